import numpy as np
import pytest
import torch

from isp_meta.decoder.cubic import apply_polynomial, fit_polynomial

GENERATOR = torch.Generator().manual_seed(0)
SRGB = torch.rand(500, 3, generator=GENERATOR) * 0.98
# Monomials r^i g^j b^k of degree 3 at most.
POWERS = [(i, j, k) for i in range(4) for j in range(4 - i) for k in range(4 - i - j)]


def monomials(srgb):
    srgb = srgb.double().numpy()
    return np.stack([np.prod(srgb ** np.array(p), axis=1) for p in POWERS], axis=1)


def some_cubic(srgb):
    weights = np.random.default_rng(0).uniform(0, 1 / len(POWERS), (len(POWERS), 3))
    return torch.from_numpy(monomials(srgb) @ weights).float()


def predict(srgb, value, at):
    return apply_polynomial(fit_polynomial(srgb, value), at.T).T


def test_finds_a_cubic_again_even_outside_the_samples():
    at = torch.rand(200, 3, generator=GENERATOR)
    assert len(POWERS) == 20
    got = predict(SRGB, some_cubic(SRGB), at)
    torch.testing.assert_close(got, some_cubic(at), rtol=0, atol=1e-4)


def test_is_the_least_squares_fit_in_relative_error():
    noise = 0.1 * torch.rand(500, 3, generator=GENERATOR)
    value = some_cubic(SRGB) * 0.8 + noise
    root = 1 / (value.double().mean(1, keepdim=True).numpy() + 0.02)
    solution = np.linalg.lstsq(monomials(SRGB) * root, value.double().numpy() * root, rcond=None)
    expected = torch.from_numpy(monomials(SRGB) @ solution[0]).float()
    torch.testing.assert_close(predict(SRGB, value, SRGB), expected, rtol=0, atol=2e-4)


def test_clipped_samples_do_not_bend_the_fit():
    value = some_cubic(SRGB)
    burnt, wrong = SRGB[:100].clone(), torch.ones(100, 3)
    burnt[:, 1] = 1.0
    clean = fit_polynomial(SRGB, value)
    mixed = fit_polynomial(torch.cat([SRGB, burnt]), torch.cat([value, wrong]))
    assert torch.equal(clean, mixed)


def test_where_all_are_clipped_all_are_used():
    burnt = torch.ones(50, 3)
    value = torch.linspace(0.4, 0.8, 50)[:, None].expand(-1, 3)
    got = predict(burnt, value, burnt[:1])
    assert got.shape == (1, 3)
    # The weights of relative error draw it below the mean of 0.6.
    assert bool(((got > 0.5) & (got < 0.6)).all())


@pytest.mark.parametrize("color", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("count", [1, 40])
def test_one_color_only_gives_its_value_and_stays_tame_elsewhere(color, count):
    srgb, value = torch.full((count, 3), color), torch.tensor([[0.1, 0.2, 0.3]]).repeat(count, 1)
    coefficients = fit_polynomial(srgb, value)
    assert coefficients.shape == (3, 20)
    assert coefficients.dtype == torch.float64
    assert float(coefficients.abs().max()) <= 1
    got = apply_polynomial(coefficients, srgb[:1].T).T
    torch.testing.assert_close(got, value[:1], rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_shape_and_dtype_and_confines_to_the_unit_interval(dtype):
    coefficients = torch.zeros(3, 20, dtype=torch.float64)
    coefficients[0, 0], coefficients[1, 0], coefficients[2, 0] = -1.0, 2.0, 0.25
    transposed = torch.rand(3, 5, 4, generator=GENERATOR).to(dtype).mT
    got = apply_polynomial(coefficients, transposed)
    assert got.shape == (3, 4, 5)
    assert got.dtype == dtype
    assert got.flatten(1).unique(dim=1).tolist() == [[0.0], [1.0], [0.25]]
