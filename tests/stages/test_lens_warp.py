import pytest
import torch

from isp_meta.camera import Camera
from isp_meta.frame import Frame
from isp_meta.optics import NO_WARP, Warp, resampled, source_of
from isp_meta.stages import LensWarp, lens_warp

BARREL = [1.0, -0.08, 0.01, 0.0, 0.0, 0.0]
COLORS = [[1.002, 0.001, 0.0, 0.0, 0.0, 0.0], list(NO_WARP), [0.998, 0.002, 0.0, 0.0, 0.0, 0.0]]


def picture(size=(30, 40), dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 6, 8, generator=generator)
    return torch.nn.functional.interpolate(coarse, size, mode="bilinear")[0].to(dtype)


def test_each_color_by_its_own_coefficients():
    raw, center = picture(dtype=torch.float64), torch.tensor([0.5, 0.5])
    done = lens_warp(raw, torch.tensor(COLORS), center)
    for channel, values in enumerate(COLORS):
        own = resampled(raw[None, channel : channel + 1], torch.tensor(values).double(), center)
        torch.testing.assert_close(done[channel], own[0, 0])
    torch.testing.assert_close(done[1], raw[1])


def test_simulated_and_corrected():
    raw = picture((96, 128), torch.float64)
    for coefficients in (BARREL, COLORS):
        seen = LensWarp(coefficients, inverse=True).double()(Frame(raw=raw))
        done = LensWarp(coefficients).double()(seen).raw
        inner = (..., slice(8, -8), slice(8, -8))
        assert (done - raw)[inner].abs().max() < 0.2 * (seen.raw - raw)[inner].abs().max()


def test_the_camera_s_own():
    warp = Warp((tuple(BARREL),), (0.4, 0.6))
    frame = Frame(Camera(warp=warp), raw=picture())
    expected = LensWarp(BARREL, (0.4, 0.6))(frame).raw
    assert torch.equal(LensWarp()(frame).raw, expected)
    assert torch.equal(LensWarp().bind(frame.camera)(frame.replace(camera=Camera())).raw, expected)
    plain = frame.replace(camera=Camera())
    assert LensWarp()(plain) is plain
    assert torch.equal(LensWarp().bind(Camera())(frame).raw, frame.raw)


def test_calibrations_of_other_programs():
    """OpenCV's model, whose unit is the focal length."""
    k1, k2, p1, p2, focal = -0.2, 0.05, 0.002, -0.003, 1.3
    stage = LensWarp.brown_conrady([k1, k2], [p1, p2], focal)
    x, y = 0.3 / focal, -0.4 / focal
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2 * r2
    right = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    down = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    found = source_of(torch.tensor([-0.4, 0.3]), stage.coefficients)
    assert found.tolist() == pytest.approx([down * focal, right * focal], abs=1e-6)


def test_a_distortion_is_learned():
    raw = picture((48, 64))
    target = LensWarp(BARREL)(Frame(raw=raw)).raw
    stage = LensWarp(NO_WARP).learn("coefficients")
    optimizer = torch.optim.LBFGS(stage.parameters(), max_iter=20, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        error = ((stage(Frame(raw=raw)).raw - target) ** 2).sum()
        error.backward()
        return error

    optimizer.step(loss)
    assert loss().item() < 1e-3  # at first 2.8


def test_refusals_and_repr():
    with pytest.raises(ValueError, match=r"\(6,\) or \(3, 6\) and center \(2,\), not \(5,\)"):
        lens_warp(torch.zeros(3, 4, 4), torch.zeros(5), torch.zeros(2))
    with pytest.raises(ValueError, match=r"not \(1, 4, 4\)"):
        lens_warp(torch.zeros(1, 4, 4), torch.zeros(6), torch.zeros(2))
    with pytest.raises(ValueError, match="6 coefficients, or 3 times 6"):
        LensWarp([1.0, 0.0])
    with pytest.raises(ValueError, match="field must be"):
        LensWarp(field="mosaic")
    with pytest.raises(ValueError, match="up to 3 radial"):
        LensWarp.brown_conrady([0.1] * 4)
    assert repr(LensWarp()).startswith("LensWarp(coefficients=the camera's, center=[0.5, 0.5], ")
