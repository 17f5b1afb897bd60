"""The page docs/format.md and the coder agree: positions, values, camera, names, binding."""

from __future__ import annotations

import pytest
import torch
from second_reader.payload import read

from isp_meta.codec import Steps, encode


def chosen(height: int, width: int, share: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.nonzero(torch.rand(height * width, generator=generator) < share).flatten()


def clusters(height: int, width: int) -> torch.Tensor:
    """Half of the pixels in every third square of 16 x 16."""
    index = chosen(height, width, 0.5)
    return index[(index // width // 16 + index % width // 16) % 3 == 0]


def crossings(height: int, width: int) -> torch.Tensor:
    y, x = torch.arange(3, height, 8).view(-1, 1), torch.arange(2, width, 7)
    return (y * width + x).flatten()


@pytest.mark.parametrize("coding", ["range", "packed"])
@pytest.mark.parametrize(
    ("cell", "index", "steps", "mode"),
    [
        (8, None, Steps(), 1),
        (8, chosen(96, 130, 0.05), Steps.linear(10), None),
        (16, clusters(96, 130), Steps.linear(14), 1),
        (50, chosen(96, 130, 0.05), Steps.linear(16), None),
        (0, chosen(96, 130, 0.05), Steps(65535, 0), 2),
        (0, chosen(96, 130, 0.9), Steps(5, 30), None),
        (8, crossings(96, 130), Steps(), 0),
        (3, torch.zeros(0, dtype=torch.int64), Steps(), 0),
        (0, torch.tensor([12479]), Steps(), 0),
    ],
)
def test_page_and_coder_agree(coding, cell, index, steps, mode, make_payload, assert_read):
    payload = make_payload(cell=cell, index=index, steps=steps)
    data = encode(payload, coding=coding)
    assert_read(read(data), payload)
    place = data.index(b"POSN") + 8
    if coding == "packed":
        assert data[place] == 3
    elif mode is not None:
        assert data[place] == mode
