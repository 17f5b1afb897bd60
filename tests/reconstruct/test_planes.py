import pytest
import torch

from isp_meta.networks import Window
from isp_meta.reconstruct.planes import sample_planes
from isp_meta.samples import Samples


def picture(height, width):
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(0)) + 0.1


@pytest.mark.parametrize("step", [1, 3, 1000])
@pytest.mark.parametrize(
    "window", [(0, 9, 0, 14), (2, 7, 3, 9), (8, 9, 13, 14), (0, 1, 0, 14), (4, 5, 0, 1)]
)
def test_planes_are_the_window_of_the_masked_picture(window, step):
    raw, window = picture(9, 14), Window(*window)
    samples = Samples.at(torch.arange(0, 9 * 14, step), raw)
    kept, mask = sample_planes(samples, window)
    assert torch.equal(mask, window.of(samples.mask()))
    assert torch.equal(kept, window.of(samples.mask() * raw))


def test_no_samples_make_empty_planes():
    none = Samples.at(torch.zeros(0, dtype=torch.int64), picture(5, 6))
    kept, mask = sample_planes(none, Window(1, 4, 2, 5))
    assert kept.shape == (3, 3, 3)
    assert mask.shape == (1, 3, 3)
    assert not bool(kept.any() | mask.any())
