import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from isp_meta.stages.rows import at_pixels, gaussian, in_bands, of_bands, row_bands, weighted_sum


def test_bands_cover_every_row_once_and_start_on_multiples():
    bands = row_bands(torch.empty(3, 1001, 1000), multiple=16)
    assert len(bands) > 1
    assert [row for top, bottom in bands for row in range(top, bottom)] == list(range(1001))
    assert all(top % 16 == 0 for top, _ in bands)


def test_one_band_where_a_gradient_is_recorded():
    picture, number = torch.rand(3, 1001, 1000), nn.Parameter(torch.ones(()))
    assert row_bands(picture, number) == [(0, 1001)]
    with torch.no_grad():
        assert len(row_bands(picture, number)) > 1
    assert torch.func.vmap(lambda p: p + len(row_bands(p)))(picture[:, None])[0, 0, 0, 0] == (
        picture[0, 0, 0] + 1
    )


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_bands_give_the_whole_picture(mode):
    picture = torch.rand(3, 700, 300)
    with mode():
        bands = row_bands(picture)
        twice = in_bands(lambda top, bottom: picture[..., top:bottom, :] * 2, picture, bands)
        sums = of_bands(lambda top, bottom: float(picture[..., top:bottom, :].sum()), bands)
    assert torch.equal(twice, picture * 2)
    assert sum(sums) == pytest.approx(float(picture.double().sum()), rel=1e-4)


def test_at_pixels_interpolates_as_pytorch_does():
    grid = torch.rand(1, 2, 5, 7, dtype=torch.float64)
    expected = F.interpolate(grid, scale_factor=4, mode="bilinear")
    rows = at_pixels(at_pixels(grid, -1, 0, 28, 4), -2, 3, 11, 4)
    torch.testing.assert_close(rows, expected[..., 3:11, :])


def test_weighted_sum_of_channels():
    picture, weights = torch.rand(2, 3, 4, 5), torch.tensor([0.2, 0.7, 0.1])
    expected = (picture * weights.view(3, 1, 1)).sum(1, keepdim=True)
    torch.testing.assert_close(weighted_sum(picture, weights), expected)


def test_gaussian_keeps_what_is_even_and_spreads_a_point():
    sigma = torch.tensor(2.0, dtype=torch.float64)
    torch.testing.assert_close(
        gaussian(torch.ones(5, 9).double(), sigma), torch.ones(5, 9).double()
    )
    point = torch.zeros(41, 41, dtype=torch.float64)
    point[20, 20] = 1
    place = torch.arange(-20, 21, dtype=torch.float64)
    expected = torch.exp(-(place**2) / 8) / math.sqrt(8 * math.pi)
    torch.testing.assert_close(gaussian(point, sigma)[10:31, 20] / expected[20], expected[10:31])
