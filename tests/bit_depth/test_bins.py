from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isp_meta.bit_depth import degrade
from isp_meta.bit_depth.bins import code_at, from_container, kept, middles, replicate
from isp_meta.codec import Depth
from isp_meta.networks.depth import bin_width

depths = st.integers(2, 16).flatmap(
    lambda true: st.integers(1, true - 1).map(lambda left: Depth(true, left))
)


def test_four_bits_of_eight():
    image = torch.tensor([0, 15, 16, 0x4F, 0xA3, 255], dtype=torch.uint8).view(1, 2, 3)
    expected = [0x00, 0x00, 0x11, 0x44, 0xAA, 0xFF]
    assert degrade(image, 4).flatten().tolist() == expected
    assert degrade(image, 4).dtype == torch.uint8


def test_bits_that_do_not_divide_the_file():
    # 5 bits abcde fill a byte as abcdeabc, 3 bits abc fill sixteen as abcabcabcabcabca.
    assert replicate(torch.tensor([0b10110]), 5, 8).tolist() == [0b10110101]
    assert replicate(torch.tensor([0b101]), 3, 16).tolist() == [0b1011011011011011]


@settings(deadline=None)
@given(st.integers(1, 16), st.data())
def test_a_file_tells_its_bits_again(bits, data):
    container = 8 if bits <= 8 else 16
    code = data.draw(st.integers(0, 2**bits - 1))
    shown = replicate(torch.tensor([code]), bits, container)
    assert from_container(shown, container, bits).tolist() == [code]
    assert replicate(torch.tensor([2**bits - 1]), bits, container).tolist() == [2**container - 1]


@settings(deadline=None)
@given(depths)
def test_every_code_is_found_again_and_never_leaves_its_bin(depth):
    codes = torch.arange(2**depth.true, dtype=torch.int32)[:: max(1, 2**depth.true // 4096)]
    left = kept(codes, depth)
    assert torch.equal(code_at(middles(codes, depth.true), left, depth), codes)
    for value in (-3.0, 0.0, 0.5, 1.0, 7.0):
        found = code_at(torch.full(codes.shape, value), left, depth)
        assert torch.equal(kept(found, depth), left)


@settings(deadline=None)
@given(depths)
def test_the_middle_of_a_bin_tells_how_wide_it_is(depth):
    codes = torch.randint(2**depth.left, (2, 1, 3, 4), generator=torch.Generator().manual_seed(1))
    width = bin_width(middles(codes, depth.left))
    assert width.shape == (2, 1, 1, 1)
    assert bool((width == 2.0**-depth.left).all())


def test_refusals():
    with pytest.raises(ValueError, match="uint8"):
        degrade(torch.zeros(3, 2, 2), 4)
    with pytest.raises(ValueError, match="8 of 8"):
        degrade(torch.zeros(3, 2, 2, dtype=torch.uint8), 8)
    with pytest.raises(ValueError, match="0 to 65535"):
        degrade(torch.full((3, 2, 2), 70000, dtype=torch.int32), 8)
