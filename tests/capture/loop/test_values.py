from dataclasses import replace

import pytest
import torch

from isp_meta.capture.loop import values as module
from isp_meta.capture.loop.fit import fit_model
from isp_meta.capture.loop.values import control_values
from isp_meta.decoder import Decoder, Guide
from isp_meta.frame import Frame
from isp_meta.reconstruct import LocalRBFReconstructor
from isp_meta.samplers import UniformSampler


@pytest.fixture(scope="module")
def fitted(scene):
    """A picture whose sides are no multiples of a block's, its samples with a model."""
    frame = scene(131, 158)
    model = fit_model(Guide(frame.srgb), frame.raw, frame.samples, 16)
    return frame.replace(samples=replace(frame.samples, model=model))


def steps_of(frame: Frame, rounds: int, counts: torch.Tensor | None = None):
    decoder = Decoder.of(Guide(frame.srgb), frame.samples)
    yield from control_values(decoder, frame.raw, rounds, counts)


def controls(frame: Frame, rounds: int) -> torch.Tensor:
    return list(steps_of(frame, rounds))[-1]


def error_of(frame, missed, value):
    samples = replace(frame.samples, value=value, control=True)
    return missed(LocalRBFReconstructor()(frame.replace(samples=samples)), frame.raw)


def test_more_rounds_come_nearer_to_the_truth(fitted, missed):
    errors = [error_of(fitted, missed, controls(fitted, rounds)) for rounds in (0, 2, 4, 40)]
    assert errors[1] < 0.85 * errors[0]
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 1.1 * errors[3]


def test_no_value_near_the_best_is_better(fitted, missed):
    best = controls(fitted, 60)
    least = error_of(fitted, missed, best)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        away = 0.02 * torch.randn(best.shape, generator=generator) * best
        assert error_of(fitted, missed, (best + away).clamp(0, 1)) > least


def test_what_is_bright_weighs_more(fitted):
    """Errors count in raw, not in its logarithm: of two truths for one color the mean is met."""
    checks = (torch.arange(131)[:, None] + torch.arange(158)) % 2
    truth = torch.where(checks.bool(), 0.6, 0.2).expand(3, -1, -1).contiguous()
    flat = fitted.replace(raw=truth, srgb=torch.full_like(fitted.srgb, 0.6))
    flat = flat.replace(samples=replace(UniformSampler(8)(flat), model=fitted.samples.model))
    kept = flat.replace(samples=replace(flat.samples, value=controls(flat, 8), control=True))
    assert float(LocalRBFReconstructor()(kept).mean()) == pytest.approx(0.4, rel=0.02)
    left, right = truth[:, :, :79], truth[:, :, 79:]
    left, right = (part * torch.tensor(share) for part, share in ((left, 1.0), (right, 0.1)))
    shown = torch.cat([torch.full_like(left, 0.6), torch.full_like(right, 0.2)], 2)
    both = flat.replace(raw=torch.cat([left, right], 2), srgb=shown)
    decoder = Decoder.of(Guide(both.srgb), both.samples)
    start = module._starting_gains(decoder, both.raw, None)
    _, found = module._equations(decoder, start, both.raw, None, 8, 9)
    curvature = found[0].diagonal(dim1=1, dim2=2).sum(1)
    assert curvature[2] > 20 * curvature[-3]


def test_without_a_round_they_are_means_of_blocks(fitted):
    decoder = Decoder.of(Guide(fitted.srgb), fitted.samples)
    raw, guess = (part[:, 8:16, 16:24].mean((1, 2)) for part in (fitted.raw, decoder.guess))
    pixel = decoder.guess[:, 12, 20]  # the sample of that block
    place = int((fitted.samples.index == 12 * 158 + 20).nonzero())
    expected = (pixel + 1e-3) * (raw + 1e-3) / (guess + 1e-3) - 1e-3
    torch.testing.assert_close(controls(fitted, 0)[place], expected, rtol=0, atol=1e-6)


def test_noise_leaves_no_bias(fitted):
    """Of a flat part the mean is met, however noisy: a logarithm, or a weight that knows the noise,
    would make it darker or brighter."""
    noise = 1 + 0.4 * torch.randn(fitted.raw.shape, generator=torch.Generator().manual_seed(0))
    dark = fitted.replace(raw=0.02 * noise.clamp(min=0), srgb=torch.full_like(fitted.srgb, 0.15))
    samples = UniformSampler(8)(dark)
    dark = dark.replace(
        samples=replace(samples, model=fit_model(Guide(dark.srgb), dark.raw, samples, 16))
    )
    value = controls(dark, 8)
    kept = dark.replace(samples=replace(dark.samples, value=value, control=True))
    assert float(LocalRBFReconstructor()(kept).mean()) == pytest.approx(0.02, rel=0.02)


def test_bands_change_next_to_nothing(fitted, missed, monkeypatch):
    whole = error_of(fitted, missed, controls(fitted, 8))
    monkeypatch.setattr(module, "_BAND_PIXELS", 158 * 8 * 3)
    parts = list(steps_of(fitted, 8))
    assert len(parts) == 6
    assert error_of(fitted, missed, parts[-1]) == pytest.approx(whole, rel=0.01)
    assert error_of(fitted, missed, parts[2]) < error_of(fitted, missed, fitted.samples.value)


def test_values_stay_within_what_can_be_stored(fitted):
    bright = fitted.replace(raw=(2 * fitted.raw).clamp(max=1))
    samples = replace(UniformSampler(8)(bright), model=fitted.samples.model)
    value = controls(bright.replace(samples=samples), 4)
    assert float(value.min()) >= 0
    assert float(value.max()) <= 1


@pytest.mark.parametrize("curvature", [0.0, -1e-6])
def test_equations_that_rounding_made_indefinite_leave_values_finite(curvature):
    neighbors = torch.tensor([[0, 1], [1, 2]])
    equations = torch.cat([curvature * torch.eye(2), torch.full((2, 3), 1e-3)], 1).expand(2, 2, 5)
    assert bool(module._solve(neighbors, equations, torch.zeros(4, 3), 8).isfinite().all())


def test_what_does_not_count_draws_no_value(fitted):
    counts = torch.ones(fitted.raw.shape[1:], dtype=torch.bool)
    counts[:, 80:] = False
    strange = fitted.raw.clone()
    strange[:, :, 80:] = 0.5
    one, other = (
        list(steps_of(fitted.replace(raw=raw), 4, counts))[-1] for raw in (fitted.raw, strange)
    )
    assert torch.equal(one, other)
    assert not torch.equal(one, controls(fitted, 4))
