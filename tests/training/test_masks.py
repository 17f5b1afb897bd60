import pytest
import torch

from isp_meta import Frame
from isp_meta.samplers import UniformSampler
from isp_meta.training.masks import random_mask, uniform_mask


@pytest.mark.parametrize(("share", "count"), [(1 / 64, 16), (0.3, 307), (1.0, 1024), (1e-6, 1)])
def test_a_random_mask_keeps_the_share_of_each_picture(share, count):
    mask = random_mask((3, 32, 32), share, torch.Generator().manual_seed(1))
    assert mask.shape == (3, 1, 32, 32)
    assert mask.unique().tolist() in ([0, 1], [1])
    assert mask.sum((1, 2, 3)).tolist() == [count] * 3


def test_a_random_mask_is_a_function_of_its_seed_and_covers_all_pixels():
    def draw(seed, batch=1):
        return random_mask((batch, 8, 8), 1 / 8, torch.Generator().manual_seed(seed))

    assert draw(1).equal(draw(1))
    assert not draw(1).equal(draw(2))
    kept = draw(3, batch=4000).mean(0)
    # The share of 4000 draws lies within 5 standard deviations, 0.005 each, of its mean.
    assert ((kept - 1 / 8).abs() < 0.026).all()


@pytest.mark.parametrize(("height", "width", "cell"), [(32, 32, 8), (30, 19, 8), (5, 3, 16)])
def test_a_uniform_mask_is_that_of_the_sampler(height, width, cell):
    mask = uniform_mask((2, height, width), cell)
    frame = Frame(raw=torch.rand(3, height, width), srgb=torch.rand(3, height, width))
    assert mask.shape == (2, 1, height, width)
    assert mask[1].equal(UniformSampler(cell)(frame).mask())
