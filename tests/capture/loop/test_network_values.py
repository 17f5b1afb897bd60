import copy

import pytest
import torch

from isp_meta.capture.loop import ClosedLoopSampler, close_loop
from isp_meta.capture.loop import network_values as module
from isp_meta.capture.loop.any_decoder import BlackBox
from isp_meta.capture.loop.network_values import ControlValues
from isp_meta.codec import Steps, quantize
from isp_meta.networks import UNet
from isp_meta.reconstruct import LocalRBFReconstructor, ResidualUNetReconstructor, UNetReconstructor
from isp_meta.reconstruct.residual_unet import ResidualUNet
from isp_meta.samplers import UniformSampler


@pytest.fixture(scope="module", params=["unet", "residual-unet"])
def trained(request, scene):
    """A small network that has learned to read samples."""
    torch.manual_seed(0)
    if request.param == "unet":
        made = UNetReconstructor(UNet(7, 3, 4, "sigmoid"))
    else:
        made = ResidualUNetReconstructor(ResidualUNet(UNet(13, 3, 4)))
    frames = [scene(32, 48, seed=10 * number + 5) for number in range(4)]
    srgb, raw = (torch.stack([getattr(f, name) for f in frames]) for name in ("srgb", "raw"))
    mask = torch.stack([frame.samples.mask() for frame in frames])
    optimizer = torch.optim.Adam(made.network.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        inputs = made.inputs(srgb, mask * raw, mask)
        (made.network(inputs) - raw).square().mean().log().backward()
        optimizer.step()
    optimizer.zero_grad()
    return made.eval()


@pytest.fixture
def reconstructor(trained):
    return copy.deepcopy(trained)


def test_controls_serve_a_network_better_than_what_was_measured(scene, reconstructor):
    frame = scene(64, 96)
    values, box = ControlValues(reconstructor, frame, frame.samples, None), BlackBox
    error = box(reconstructor, frame).error
    found = list(values.better(2, error))
    errors = [error for _, error in found]
    assert errors == sorted(set(errors), reverse=True)
    assert errors[-1] < 0.98 * error(frame.samples)
    for samples, missed in found:
        assert missed == error(samples)
        assert samples.control
        assert samples.made_for == reconstructor.fingerprint()
        assert torch.equal(samples.index, frame.samples.index)
        assert 0 <= float(samples.value.min()) <= float(samples.value.max()) <= 1
        assert torch.equal(samples.value, quantize(samples.value, Steps()))


def test_the_gradient_is_that_of_the_squared_error(scene):
    """By finite differences in float64."""
    torch.manual_seed(0)
    reconstructor = UNetReconstructor(UNet(7, 3, 2, "sigmoid")).eval().double()
    frame = scene(17, 23)
    frame = frame.replace(raw=frame.raw.double(), srgb=frame.srgb.double())
    counts = torch.rand(17, 23, generator=torch.Generator().manual_seed(0)) < 0.8
    samples = UniformSampler(8)(frame)
    values = ControlValues(reconstructor, frame, samples, counts)
    found, base = values._gradient(samples.value), samples.value
    window = module.Window(0, 17, 0, 23)

    def error(value):
        read = reconstructor.window_reader(frame.srgb, module.replace(samples, value=value))
        with torch.no_grad():
            made = reconstructor.network(read(window)[None])[0]
        return float(((made - frame.raw) * counts).square().sum())

    for number, color in ((0, 0), (3, 1), (5, 2)):
        shift = torch.zeros_like(base)
        shift[number, color] = 1e-5
        slope = (error(base + shift) - error(base - shift)) / 2e-5
        assert float(found[number, color]) == pytest.approx(slope, rel=1e-4, abs=1e-9)


def test_tiles_give_the_gradient_of_the_whole(scene, reconstructor, monkeypatch):
    frame = scene(40, 150, 8)
    values = ControlValues(reconstructor, frame, frame.samples, None)
    whole = values._gradient(frame.samples.value)
    monkeypatch.setattr(module, "_TILE", 32)
    parts = values._gradient(frame.samples.value)
    torch.testing.assert_close(parts, whole, rtol=1e-3, atol=1e-5 * float(whole.abs().max()))


def test_the_network_stays_as_it_is(scene, reconstructor):
    before = {name: value.clone() for name, value in reconstructor.network.state_dict().items()}
    reconstructor.network.train()
    samples = close_loop(scene(32, 48), 2, reconstructor=reconstructor)
    assert samples.control
    assert reconstructor.network.training
    for name, value in reconstructor.network.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(p.requires_grad and p.grad is None for p in reconstructor.network.parameters())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_whether_gradients_are_on_changes_nothing(scene, reconstructor, mode):
    frame = scene(32, 48)
    expected = close_loop(frame, 2, reconstructor=reconstructor)
    with mode():
        found = close_loop(
            frame.replace(raw=frame.raw.clone(), srgb=frame.srgb.clone()),
            2,
            reconstructor=reconstructor,
        )
        assert torch.is_grad_enabled() == (mode is torch.enable_grad)
    assert torch.equal(found.value, expected.value)


def test_values_that_serve_worse_are_not_stored(scene, reconstructor, monkeypatch):
    monkeypatch.setattr(module, "_RATE", 30.0)
    frame = scene(32, 48)
    samples = close_loop(frame, 2, reconstructor=reconstructor)
    box = BlackBox(reconstructor, frame)
    assert float(box.missed(samples).sum()) <= float(box.missed(frame.samples).sum())


def test_controls_are_pasted_by_nobody_and_refused_by_others(scene, reconstructor):
    frame = scene(32, 48)
    frame = frame.replace(samples=ClosedLoopSampler(UniformSampler(8), 2, reconstructor)(frame))
    at = frame.samples.index
    made = reconstructor(frame).flatten(1)[:, at].T
    assert not torch.allclose(made, frame.samples.value, rtol=0, atol=1e-3)
    with pytest.raises(ValueError, match=r"LocalRBFReconstructor needs .* made for .*UNetRec"):
        LocalRBFReconstructor()(frame)
    torch.manual_seed(1)
    other = UNetReconstructor(UNet(7, 3, 2, "sigmoid")).eval()
    with pytest.raises(ValueError, match=r"its own controls; these are .* made for \w*UNetRec"):
        other(frame)
    with pytest.raises(ValueError, match=r"fine-tuning a .* needs measured values; these are"):
        reconstructor.fine_tune(frame, 1)
    reconstructor.fine_tune_steps = 1
    with pytest.raises(ValueError, match="needs measured values"):
        reconstructor(frame)
