import pytest
import torch

from isp_meta.errors import PipelineOrderError
from isp_meta.frame import Frame
from isp_meta.samplers import UniformSampler
from isp_meta.samplers.uniform import uniform_index


def picture(height, width):
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (8, 16), (13, 29), (3, 40)])
@pytest.mark.parametrize("cell", [1, 2, 5, 8, 50])
def test_keeps_one_pixel_in_the_middle_of_every_cell(size, cell):
    height, width = size
    expected = [
        (top + min(top + cell, height)) // 2 * width + (left + min(left + cell, width)) // 2
        for top in range(0, height, cell)
        for left in range(0, width, cell)
    ]
    samples = UniformSampler(cell)(Frame(raw=picture(*size), srgb=picture(*size)))
    assert samples.index.tolist() == expected
    assert uniform_index(height, width, cell).tolist() == expected
    assert (samples.height, samples.width, samples.cell) == (height, width, cell)


def test_values_are_the_raw_pixels_there():
    raw = picture(13, 29)
    samples = UniformSampler(4)(Frame(raw=raw, srgb=1 - raw))
    assert torch.equal(samples.value, raw.flatten(1)[:, samples.index].T)


def test_one_pixel_a_cell_keeps_the_whole_picture_whatever_its_strides():
    raw = picture(7, 5).mT
    samples = UniformSampler(1)(Frame(raw=raw, srgb=raw))
    assert torch.equal(samples.value.T.reshape(raw.shape), raw)


@pytest.mark.parametrize("cell", [0, -3])
def test_refuses_a_cell_without_pixels(cell):
    with pytest.raises(ValueError, match=str(cell)):
        UniformSampler(cell)


def test_asks_for_raw_by_name():
    with pytest.raises(PipelineOrderError, match=r"UniformSampler needs frame\.raw"):
        UniformSampler()(Frame(srgb=picture(2, 2)))


def test_shows_its_cell():
    assert repr(UniformSampler(6)) == "UniformSampler(cell=6)"
