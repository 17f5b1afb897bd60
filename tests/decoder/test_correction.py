import itertools

import numpy as np
import pytest
import torch

from isp_meta.decoder import correction as module
from isp_meta.decoder.correction import ColorKernel, Correction, fit_correction

PLANTED = torch.tensor([[0.3, -0.2], [0.1, 0.4], [-0.5, 0.2]], dtype=torch.float64)


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def gain_of(color):
    """(N, 3) a smooth function of color, another one in each channel."""
    red, green, blue = color.unbind(1)
    return torch.stack([(4 * red).sin(), 0.8 * (3 * green + blue).cos(), red * blue - green], 1) / 2


def scene(count, seed=0):
    """Color, features, target and value of unclipped samples."""
    color, features = 0.98 * random(count, 3, seed=seed), random(count, 2, seed=seed + 1) - 0.5
    return color, features, gain_of(color) + features @ PLANTED.T, random(count, 3, seed=seed + 2)


@pytest.fixture
def solved(monkeypatch):
    """(smoothness, ridge) of each system solved; the last is the choice."""
    calls, solve = [], module._Ridge.solve

    def spy(self, smoothness, ridge):
        calls.append((smoothness, ridge))
        return solve(self, smoothness, ridge)

    monkeypatch.setattr(module._Ridge, "solve", spy)
    return calls


@pytest.mark.parametrize("features", [0, 2])
@pytest.mark.parametrize(("smoothness", "ridge"), [(1e-3, 1e-1), (1e-2, 1e-5)])
def test_predictions_left_out_are_those_of_fitting_again_without_the_sample(
    features, smoothness, ridge
):
    count, kernel = 30, 6
    design, target, weight = random(count, kernel + features), random(count, 3, seed=1), None
    weight = 0.1 + random(count, seed=2)
    root = random(kernel, kernel, seed=3)
    penalty = torch.zeros(kernel + features, kernel + features, dtype=torch.float64)
    penalty[:kernel, :kernel] = root.T @ root
    solution, predicted = module._Ridge(design, target, weight, penalty, features).solve(
        smoothness, ridge
    )
    x, y, w = design.numpy(), target.numpy(), weight.numpy()
    # Rows of least squares that stand for the penalties of the kernel and of the features.
    added = np.zeros((kernel + features, kernel + features))
    added[:kernel, :kernel] = root.numpy() * np.sqrt(smoothness * w.sum())
    strength = np.sqrt(ridge * (w[:, None] * x**2).sum(0))
    added[kernel:, kernel:] = np.diag(strength[kernel:])

    def refit(kept):
        rows = np.concatenate([x[kept] * np.sqrt(w[kept])[:, None], added])
        sides = np.concatenate([y[kept] * np.sqrt(w[kept])[:, None], np.zeros((len(added), 3))])
        return np.linalg.lstsq(rows, sides, rcond=None)[0]

    every = np.arange(count)
    expected = np.stack([x[i] @ refit(every != i) for i in every])
    np.testing.assert_allclose(solution.numpy(), refit(every), rtol=0, atol=1e-5)
    np.testing.assert_allclose(predicted.numpy(), expected, rtol=0, atol=1e-5)
    assert np.abs(expected - x @ refit(every)).max() > 0.01


def test_finds_a_planted_function_of_color_and_planted_weights():
    correction, predicted = fit_correction(ColorKernel.of(scene(800)[0]), *scene(800))
    color, features, target, _ = scene(500, seed=10)
    got = correction(color.T, features.T).T
    spread = float((target - target.mean(0)).square().mean().sqrt())
    assert float((got - target).square().mean().sqrt()) < 0.02 * spread
    torch.testing.assert_close(correction.weights, PLANTED, rtol=0, atol=5e-3)
    missed = predicted - scene(800)[2]
    assert float(missed.square().mean().sqrt()) < 0.03 * spread


def test_samples_predict_as_well_what_they_have_not_seen_as_they_promise(solved):
    color, features, clean, value = scene(600)
    noise = 0.3 * torch.randn(
        600, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64
    )
    fit_correction(ColorKernel.of(color), color, features, clean, value)
    quiet = solved[-1]
    correction, predicted = fit_correction(
        ColorKernel.of(color), color, features, clean + noise, value
    )
    noisy = solved[-1]
    assert noisy[0] >= 100 * quiet[0]
    at, beside, truth, _ = scene(3000, seed=20)
    missed = float((correction(at.T, beside.T).T - truth).square().mean().sqrt())
    assert missed < 0.3 / 3
    promised = float((predicted - clean - noise).square().mean().sqrt())
    assert promised == pytest.approx((missed**2 + 0.3**2) ** 0.5, rel=0.05)


def test_the_choice_has_the_least_error_of_samples_left_out(solved):
    color, features, clean, value = scene(300)
    noise = 0.1 * torch.randn(
        300, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64
    )
    target = clean + noise
    _, predicted = fit_correction(ColorKernel.of(color), color, features, target, value)
    (chosen,) = solved
    weight = value.mean(1) + 0.005
    system = module._system(ColorKernel.of(color), features, target, weight)
    weight = weight[:, None]
    every = {
        choice: float((weight * (system.solve(*choice)[1] - target)).square().sum())
        for choice in itertools.product(module._SMOOTHNESS, module._RIDGES)
    }
    for ridge in module._RIDGES:
        found = system.errors(module._SMOOTHNESS, ridge)
        assert found == pytest.approx([every[each, ridge] for each in module._SMOOTHNESS])
    assert min(every, key=every.get) == chosen
    assert float((weight * (predicted - target)).square().sum()) == pytest.approx(every[chosen])
    assert max(every.values()) > 1.1 * every[chosen]


def test_the_table_stands_for_the_kernel_function():
    centers = module._spread(random(4000, 3), 128)
    assert len(centers) == 128
    kernel = module.matern(centers, centers) + 1e-4 * torch.eye(128, dtype=torch.float64)
    solution = torch.linalg.solve(kernel, gain_of(centers))
    correction = module._correction(solution, centers, torch.float64)
    nothing = torch.zeros(0, 1000, dtype=torch.float64)
    for color, tolerance in ((random(1000, 3), 2e-3), ((32 * random(1000, 3)).round() / 32, 1e-9)):
        exact = module.matern(color, centers) @ solution
        assert float(exact.std()) > 0.2
        torch.testing.assert_close(correction(color.T, nothing).T, exact, rtol=0, atol=tolerance)


def test_the_kernel_is_thematern_of_five_halves():
    left, right = random(20, 3), random(30, 3, seed=1)
    r = np.linalg.norm(left.numpy()[:, None] - right.numpy(), axis=-1) * 5**0.5 / 0.5
    expected = (1 + r + r**2 / 3) * np.exp(-r)
    np.testing.assert_allclose(module.matern(left, right), expected, rtol=0, atol=1e-9)


def test_fewer_than_a_hundred_unclipped_samples_are_too_few():
    color, features, target, value = scene(400)
    color[99:, 1] = 1.0
    assert ColorKernel.of(color) is None
    color[99, 1] = 0.9
    kernel = ColorKernel.of(color)
    assert kernel is not None
    assert bool(fit_correction(kernel, color, features, target, value)[1].isfinite().all())


def test_clipped_samples_weigh_a_quarter():
    color = torch.full((400, 3), 0.5, dtype=torch.float64)
    color[:, 2] = 1 - 1e-9
    color[200:, 2] = 1
    target = torch.zeros(400, 3, dtype=torch.float64)
    target[200:] = 1
    value = torch.full_like(target, 0.4)
    correction, _ = fit_correction(ColorKernel.of(color), color, color[:, :0], target, value)
    got = correction(color[:1].T, color[:1, :0].T)
    # (1/4 · 1) / (1 + 1/4), less what a smooth function is drawn to zero.
    torch.testing.assert_close(got, torch.full_like(got, 0.2), rtol=0, atol=3e-3)


def test_bright_samples_weigh_more():
    color, target = torch.full((400, 3), 0.5), torch.zeros(400, 3)
    value = torch.full((400, 3), 0.095)
    target[::2], value[::2] = 1.0, 0.295
    correction, _ = fit_correction(ColorKernel.of(color), color, color[:, :0], target, value)
    got = correction(color[:1].T, color[:1, :0].T)
    torch.testing.assert_close(got, torch.full_like(got, 0.75), rtol=0, atol=0.01)


@pytest.mark.parametrize("level", [0.0, 0.4])
def test_one_color_only_gives_its_mean_and_stays_tame_elsewhere(level):
    color, noise = torch.full((200, 3), level), random(200, 3).float() - 0.5
    value = torch.full((200, 3), 0.3)
    correction, predicted = fit_correction(
        ColorKernel.of(color), color, torch.zeros(200, 4), 0.3 + noise, value
    )
    got = correction(color.T, torch.zeros(4, 200)).T
    torch.testing.assert_close(got[0], (0.3 + noise).mean(0), rtol=0, atol=5e-3)
    assert bool(predicted.isfinite().all())
    assert float((predicted - got).abs().max()) < 0.01
    everywhere = correction(random(3, 500).float(), torch.zeros(4, 500))
    assert float(everywhere.abs().max()) <= float(got.abs().max()) + 1e-6


def test_of_very_many_samples_some_are_fitted():
    color, features, target, value = scene(1200)
    correction, _ = fit_correction(
        ColorKernel.of(color[::3]), color[::3], features[::3], target[::3], value[::3]
    )
    fewer, predicted = fit_correction(
        ColorKernel.of(color, fitted=400), color, features, target, value
    )
    torch.testing.assert_close(fewer.table, correction.table, rtol=0, atol=1e-12)
    torch.testing.assert_close(fewer.weights, correction.weights, rtol=0, atol=1e-12)
    torch.testing.assert_close(predicted, fewer(color.T, features.T).T, rtol=0, atol=1e-12)


def test_gains_are_confined_and_shapes_and_dtypes_kept():
    for dtype in (torch.float32, torch.float64):
        one, weights = torch.ones(1, 3).to(dtype), torch.eye(3, 1).to(dtype)
        correction = Correction(one.double(), weights, one / 2, one)
        features = torch.tensor([[-9.0, 0.5, 9.0]]).view(1, 1, 3).to(dtype)
        got = correction(torch.full((3, 1, 3), 0.5, dtype=dtype), features)
        assert got.dtype == dtype
        expected = torch.tensor([[[-2.0, 1.5, 2.0]], [[1.0] * 3], [[1.0] * 3]])
        torch.testing.assert_close(got, expected.to(dtype), rtol=0, atol=1e-5)
