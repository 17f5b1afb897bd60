import math

import pytest
import torch

from isp_meta.capture.loop.blocks import Blocks


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (13, 30)])
def test_pixels_are_found_by_block_and_place(size):
    blocks = Blocks(*size, 8)
    index = torch.arange(size[0] * size[1])
    assert int(blocks.of(index).max()) + 1 == math.prod(blocks.shape)
    assert torch.equal(blocks.pixel(blocks.of(index), blocks.place(index)), index)
    parts = blocks.split((index + 1.0).view(size))
    assert torch.equal(parts[blocks.of(index), blocks.place(index)], index + 1.0)
    assert float(parts.sum()) == float((index + 1.0).sum())


def test_rare_places_take_more_bits():
    blocks = Blocks(64, 64, 8)
    middle = blocks.pixel(torch.arange(64), torch.full((64,), 36))
    assert float(blocks.bits(middle)[36]) < 0.05
    assert float(blocks.bits(middle)[0]) > 11
    anywhere = blocks.bits(torch.arange(64 * 64))
    torch.testing.assert_close(anywhere, torch.full((64,), 6.0))
