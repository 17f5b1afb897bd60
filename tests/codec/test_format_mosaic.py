"""Section mOSA of docs/format.md: the mosaic's codes, as page and coder say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from second_reader.mosaic import read_mosaic

from isp_meta.camera import QUAD_BAYER, XTRANS
from isp_meta.codec import Mosaic


def codes_of(image: torch.Tensor, kind: str) -> torch.Tensor:
    """(C, H, W) codes of 12 bits, or of a kind that calls for other paths."""
    codes = (256 + image * 3839).round()
    if kind == "few":
        return (codes / 40).floor() * 37 + 5
    if kind == "noise":
        generator = torch.Generator().manual_seed(2)
        return torch.randint(0, 65536, codes.shape, generator=generator).float()
    return torch.full_like(codes, 700.0) if kind == "one" else codes


@pytest.mark.parametrize("guided", [True, False], ids=["guided", "alone"])
@pytest.mark.parametrize(
    ("height", "width", "cfa", "kind"),
    [
        (1, 1, "W", ""),
        (34, 29, "RGGB", ""),
        (243, 5, "GRBG", ""),  # a second stripe
        (21, 26, XTRANS, ""),
        (20, 19, QUAD_BAYER, ""),
        (247, 7, "GBRGGBGGRBRGBGGGGRBGBRGGR", ""),  # rows that no stripe is a multiple of
        (24, 19, "BGGR", "few"),  # a list of codes
        (20, 23, "RGB", "few"),
        (24, 13, "RGB", ""),
        (22, 17, "W", "few"),
        (24, 24, "GBRG", "noise"),
        (18, 18, "RGGB", "one"),
    ],
)
def test_page_and_coder_agree(picture, guided, height, width, cfa, kind):
    image = picture(height, width)
    seen = image if cfa == "RGB" else image.mean(0, keepdim=True)
    codes = codes_of(seen, kind)
    pixels = (image.sqrt() * 255).round().to(torch.uint8)
    mosaic = Mosaic.of(codes, cfa, pixels=pixels if guided else None)
    found = read_mosaic(mosaic.pack(), cfa, height, width, pixels.numpy().astype(np.int64))
    assert np.array_equal(found, codes.numpy())
