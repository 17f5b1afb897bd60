import pytest
import torch

from isp_meta.comparison import count_specks


def test_only_what_is_far_below_all_around_is_one():
    mosaic = torch.full((1, 40, 40), 0.1)
    mosaic[0, 20, 20] = 0.024  # of its plane
    mosaic[0, 11, 30] = 0.026
    mosaic[0, 1, 1] = 0.0  # at the border
    mosaic[0, 30:36, :] = 0.0  # a line of darkness, 3 rows of a plane
    assert count_specks(mosaic) == 1
    assert count_specks(torch.zeros(1, 40, 40)) == 0


@pytest.mark.parametrize("period", [1, 2, 3, 6])
def test_each_place_of_the_pattern_has_a_plane(period):
    mosaic = torch.rand(2, 64, 70, generator=torch.Generator().manual_seed(period))
    expected = 0
    for plane in (
        m[y::period, x::period] for m in mosaic for y in range(period) for x in range(period)
    ):
        around = plane.unfold(0, 5, 1).unfold(1, 5, 1).flatten(2)
        expected += int((plane[2:-2, 2:-2] < 0.25 * around.median(2).values).sum())
    assert expected > 100
    assert count_specks(mosaic, period) == expected


def test_strips_lose_none(monkeypatch):
    mosaic = torch.rand(1, 90, 30, generator=torch.Generator().manual_seed(0))
    whole = count_specks(mosaic)
    monkeypatch.setattr("isp_meta.comparison.specks._ROWS", 7)
    assert count_specks(mosaic) == whole > 0


@pytest.mark.parametrize("size", [(1, 1), (9, 100)])
def test_a_few_pixels_have_none(size):
    assert count_specks(torch.zeros(1, *size)) == 0
