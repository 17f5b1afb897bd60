import pytest
import torch

from isp_meta.optics import Warp, resampled, source_of, undone

STRONG = torch.tensor([0.95, -0.25, 0.08, 0.01, 0.004, -0.006], dtype=torch.float64)
CENTER = torch.tensor([0.45, 0.55], dtype=torch.float64)


def places():
    side = torch.linspace(-0.7, 0.7, 9, dtype=torch.float64)
    return torch.stack(torch.meshgrid(side, side, indexing="ij"))


def test_the_polynomials_of_the_specification():
    y, x = 0.3, -0.5
    r2 = y * y + x * x
    k0, k1, k2, k3, t0, t1 = STRONG.tolist()
    f = k0 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    right = f * x + t0 * 2 * x * y + t1 * (r2 + 2 * x * x)
    down = f * y + t1 * 2 * x * y + t0 * (r2 + 2 * y * y)
    found = source_of(torch.tensor([y, x], dtype=torch.float64), STRONG)
    assert found.tolist() == pytest.approx([down, right], abs=1e-12)


def test_undone_to_the_last_digit():
    assert (source_of(places(), STRONG) - places()).abs().max() > 0.05
    torch.testing.assert_close(undone(source_of(places(), STRONG), STRONG), places())
    torch.testing.assert_close(source_of(undone(places(), STRONG), STRONG), places())


def test_gradients_of_both_ways():
    k = STRONG.clone().requires_grad_()
    at = places()[:, 1:4, 2:5].clone().requires_grad_()
    assert torch.autograd.gradcheck(source_of, (at, k))
    assert torch.autograd.gradcheck(undone, (at, k))


def test_a_pixel_comes_from_where_it_should():
    """A plane is interpolated exactly: what arrives says whence it came."""
    height, width = 40, 56
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    planes = torch.stack([rows, columns]).double()[None]
    found = resampled(planes, STRONG, CENTER)[0]
    middle = CENTER * torch.tensor([height, width])
    reach = torch.maximum(middle, torch.tensor([height, width]) - middle).norm()
    place = (planes[0] + 0.5 - middle.view(2, 1, 1)) / reach
    expected = source_of(place, STRONG) * reach + middle.view(2, 1, 1) - 0.5
    inner = (slice(None), slice(4, -4), slice(4, -4))
    torch.testing.assert_close(found[inner], expected[inner])


def test_there_and_back_again():
    generator = torch.Generator().manual_seed(0)
    smooth = torch.rand(1, 1, 6, 8, generator=generator, dtype=torch.float64)
    smooth = torch.nn.functional.interpolate(smooth, (96, 128), mode="bicubic")
    mild = torch.tensor([1.0, -0.1, 0.02, 0.0, 0.002, 0.001], dtype=torch.float64)
    again = resampled(resampled(smooth, mild, CENTER, inverse=True), mild, CENTER)
    inner = (..., slice(12, -12), slice(12, -12))
    assert (again - smooth)[inner].abs().max() < 2e-3
    assert (resampled(smooth, mild, CENTER) - smooth)[inner].abs().max() > 0.05


def test_rows_are_those_of_the_whole():
    picture = torch.rand(2, 3, 20, 30, generator=torch.Generator().manual_seed(0)).double()
    whole = resampled(picture, STRONG, CENTER)
    assert torch.equal(resampled(picture, STRONG, CENTER, rows=(5, 9)), whole[..., 5:9, :])


def test_refuses_another_number_of_values():
    for sets, center in (((), (0.5, 0.5)), (((1.0,) * 5,), (0.5, 0.5)), (((1.0,) * 6,), (0.5,))):
        with pytest.raises(ValueError, match="six coefficients, and a center of two"):
            Warp(sets, center)
