import numpy as np
import pytest
import torch

from isp_meta.evaluation import error_map, sample_overlay
from isp_meta.frame import Samples

BLACK, ORANGE_RED, WHITE = (0, 0, 0), (255, 69, 0), (255, 255, 255)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_error_map_shows_the_largest_channels_error(sign, channel):
    truth = torch.full((3, 1, 5), 0.5)
    estimate = truth.clone()
    estimate[channel] += sign * torch.tensor([0.0, 0.005, 0.01, 0.021, 0.4])
    estimate[(channel + 1) % 3] += 0.0001
    picture = error_map(estimate, truth)
    assert (picture.size, picture.mode) == ((5, 1), "RGB")
    pixels = [picture.getpixel((x, 0)) for x in range(5)]
    assert np.abs(np.subtract(pixels[0], BLACK)).max() <= 3
    assert np.abs(np.subtract(pixels[2], ORANGE_RED)).max() <= 3
    assert pixels[3] == pixels[4] == WHITE
    assert 100 < pixels[1][0] < 160


def test_error_map_is_scaled_to_what_it_is_told():
    truth = torch.zeros(3, 1, 1)
    assert error_map(truth + 0.2, truth, full_scale=0.2).getpixel((0, 0)) == WHITE
    assert error_map(truth + 0.2, truth, full_scale=100).getpixel((0, 0)) == BLACK


def test_error_map_has_the_size_of_the_picture():
    truth = torch.rand(3, 7, 11, generator=torch.Generator().manual_seed(0))
    assert error_map(truth.mT.contiguous().mT, truth).size == (11, 7)


@pytest.mark.parametrize("zoom", [1, 2, 5])
@pytest.mark.parametrize("index", [[0], [3, 4, 11], list(range(12))])
def test_sample_overlay_marks_every_kept_pixel_and_no_other(zoom, index):
    srgb = torch.full((3, 3, 4), 0.5)
    picture = sample_overlay(srgb, Samples.at(torch.tensor(index), srgb), zoom)
    assert (picture.size, picture.mode) == ((4 * zoom, 3 * zoom), "RGB")
    pixels = np.asarray(picture)
    for place in range(12):
        top, left = place // 4 * zoom, place % 4 * zoom
        block = pixels[top : top + zoom, left : left + zoom].reshape(-1, 3)
        yellow = [255, 242, 51] if place in index else [76, 76, 76]
        assert np.abs(block.astype(int) - yellow).max() <= 1


def test_sample_overlay_leaves_the_picture_as_it_was():
    srgb = torch.rand(3, 3, 4, generator=torch.Generator().manual_seed(0))
    before = srgb.clone()
    sample_overlay(srgb, Samples.at(torch.tensor([1, 5]), srgb))
    assert torch.equal(srgb, before)
