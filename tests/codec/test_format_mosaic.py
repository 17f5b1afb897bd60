"""Section mOSA of docs/format.md: the mosaic's codes, as page and coder say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from second_reader.mosaic import read_mosaic

from isp_meta.codec import Mosaic

X_TRANS = "GBGGRGRGRBGBGBGGRGGRGGBGBGBRGRGRGGBG"


def codes_of(image: torch.Tensor, kind: str) -> torch.Tensor:
    """(1, H, W) codes of 12 bits, or of a kind that calls for other paths."""
    codes = (256 + image.mean(0, keepdim=True) * 3839).round()
    if kind == "few":
        return (codes / 40).floor() * 37 + 5
    if kind == "noise":
        generator = torch.Generator().manual_seed(2)
        return torch.randint(0, 65536, codes.shape, generator=generator).float()
    return torch.full_like(codes, 700.0) if kind == "one" else codes


@pytest.mark.parametrize("guided", [True, False], ids=["guided", "alone"])
@pytest.mark.parametrize(
    ("height", "width", "colors", "columns", "kind"),
    [
        (1, 1, "G", 1, ""),
        (34, 29, "RGGB", 2, ""),
        (243, 5, "GRBG", 2, ""),  # a second stripe
        (21, 26, X_TRANS, 6, ""),
        (27, 15, "GBRGG", 1, ""),  # rows that no stripe is a multiple of
        (24, 19, "BGGR", 2, "few"),  # a list of codes
        (20, 23, "RGB", 3, "few"),
        (24, 24, "GBRG", 2, "noise"),
        (18, 18, "RGGB", 2, "one"),
    ],
)
def test_page_and_coder_agree(picture, guided, height, width, colors, columns, kind):
    image = picture(height, width)
    codes = codes_of(image, kind)
    pixels = (image.sqrt() * 255).round().to(torch.uint8)
    mosaic = Mosaic.of(codes, colors, columns, pixels=pixels if guided else None)
    found = read_mosaic(mosaic.pack(), height, width, pixels.numpy().astype(np.int64))
    assert np.array_equal(found, codes[0].numpy())
