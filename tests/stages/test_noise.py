import pytest
import torch

from isp_meta.camera import Camera
from isp_meta.errors import PipelineOrderError
from isp_meta.frame import Frame
from isp_meta.stages import SensorNoise, add_noise, noisy_codes


@pytest.mark.parametrize("signal", [0.0, 0.01, 0.25, 1.0])
def test_variance_grows_with_the_signal(signal):
    generator = torch.Generator().manual_seed(1)
    clean = torch.full((1, 400, 500), signal, dtype=torch.float64)
    noisy = add_noise(clean, 1e-3, 4e-6, generator)
    variance = 1e-3 * signal + 4e-6
    # Of 200,000 values: four standard errors.
    assert noisy.mean().item() == pytest.approx(signal, abs=4 * (variance / 200_000) ** 0.5)
    assert noisy.var().item() == pytest.approx(variance, rel=4 * (2 / 200_000) ** 0.5)


def test_no_noise_changes_nothing_and_darkness_has_read_noise_alone():
    clean = torch.rand(2, 3, 4, 5)
    assert torch.equal(add_noise(clean, 0.0, 0.0), clean)
    below = torch.full((1, 300, 300), -0.5)
    assert add_noise(
        below, 0.1, 1e-4, torch.Generator().manual_seed(0)
    ).std().item() == pytest.approx(0.01, rel=0.02)


def test_gradient_is_finite_even_in_the_dark():
    def noisy(clean, shot, read):
        return add_noise(clean, shot, read, torch.Generator().manual_seed(0))

    clean = torch.rand(1, 3, 4, dtype=torch.float64) + 0.1
    shot = torch.tensor(0.01, dtype=torch.float64)
    read = torch.tensor(1e-3, dtype=torch.float64)
    arguments = [value.requires_grad_() for value in (clean, shot, read)]
    assert torch.autograd.gradcheck(noisy, arguments)
    dark = [torch.zeros(shape, requires_grad=True) for shape in ((1, 2, 2), (), ())]
    noisy(*dark).sum().backward()
    assert all(bool(value.grad.isfinite().all()) for value in dark)


def test_a_seed_repeats_and_none_does_not():
    frame = Frame(Camera(noise=(1e-3, 1e-6)), mosaic=torch.full((1, 8, 8), 0.5))
    seeded, free = SensorNoise(seed=3), SensorNoise()
    assert torch.equal(seeded(frame).mosaic, seeded(frame).mosaic)
    assert not torch.equal(free(frame).mosaic, free(frame).mosaic)
    assert torch.equal(frame.mosaic, torch.full((1, 8, 8), 0.5))


def test_noise_is_the_camera_s_unless_given():
    frame = Frame(Camera(noise=(0.0, 1e-2)), mosaic=torch.full((1, 200, 200), 0.5))
    assert SensorNoise(seed=0)(frame).mosaic.std().item() == pytest.approx(0.1, rel=0.02)
    assert SensorNoise(read=1e-4, seed=0)(frame).mosaic.std().item() == pytest.approx(
        0.01, rel=0.02
    )
    with pytest.raises(ValueError, match="SensorNoise: the camera states no noise"):
        SensorNoise(shot=1e-3)(frame.replace(camera=Camera()))
    bound = SensorNoise(shot=0.5, seed=1).bind(frame.camera)
    assert bound.arguments() == pytest.approx({"shot": 0.5, "read": 1e-2, "seed": 1})


def test_refusals_and_repr():
    with pytest.raises(ValueError, match="shot must be 0 to 1"):
        SensorNoise(shot=-0.1)
    assert repr(SensorNoise(shot=0.5, seed=2)) == "SensorNoise(shot=0.5, seed=2)"


@pytest.mark.parametrize(("cfa", "black"), [("RGGB", (60, 61, 62, 63)), ("RGB", (60, 61, 62))])
def test_codes_hold_the_noise_of_so_many_electrons(cfa, black):
    camera = Camera(cfa=cfa, black_level=black, white_level=4095, noise=(0.5, 0.5))
    signal = 0.25
    codes = torch.full((camera.channels, 200, 200), 61 + signal * (4095 - 61)).round()
    codes[:, :4] = 4095
    found = noisy_codes(Frame(camera, codes=codes, raw=codes), 800, 4)
    assert found.filled == {"codes"}
    assert found.camera.noise == found.camera.editing.tags[51041].numbers == (1 / 800, 25e-6)
    assert found.camera.replace(noise=camera.noise, editing=None) == camera
    assert torch.equal(found.codes, found.codes.round())
    assert bool((found.codes[:, :4] == 4095).all())
    noise = (found.codes - codes)[:, 4:] / (4095 - 61)
    assert noise.mean().item() == pytest.approx(0, abs=4e-4)
    assert noise.var().item() == pytest.approx(signal / 800 + 25e-6, rel=0.03)
    assert torch.equal(noisy_codes(found.replace(codes=codes), 800, 4).codes, found.codes)
    assert not torch.equal(noisy_codes(found.replace(codes=codes), 800, 4, 1).codes, found.codes)


def test_noise_stays_within_the_codes_and_is_refused_out_of_range():
    frame = Frame(Camera(black_level=(2, 2, 2, 2), white_level=255), codes=torch.zeros(1, 64, 64))
    dark = noisy_codes(frame, 10, 5).codes
    assert dark.min() == 0
    assert dark.max() > 100
    nearly = noisy_codes(frame.replace(codes=torch.full((1, 64, 64), 254.0)), 10, 5).codes
    assert nearly.max() == 255 > nearly.min()
    for electrons, read in ((0.5, 0), (float("nan"), 1), (float("inf"), 1), (10, -1), (10, 11)):
        with pytest.raises(ValueError, match="electrons must be at least 1"):
            noisy_codes(frame, electrons, read)
    with pytest.raises(PipelineOrderError, match=r"noisy_codes needs frame\.codes"):
        noisy_codes(Frame(), 100)
