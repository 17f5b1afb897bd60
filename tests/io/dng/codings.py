"""Codings of raw pictures that several tests go through, and what is read of a file."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from made_dng import Coding, photograph

from isp_meta.io.dng.read import read_dng

HEIGHT, WIDTH = 40, 64
TILE = (16, 32)
FLOATS = (photograph(HEIGHT, WIDTH, 10) / np.float32(1024)).astype(np.float32)


def codes_of(data: bytes) -> np.ndarray:
    """(H, W) or (H, W, samples)."""
    codes = read_dng(data, "a.dng").codes
    assert codes is not None
    assert codes.dtype == torch.float32
    assert codes.is_contiguous()
    return codes[0].numpy() if len(codes) == 1 else codes.movedim(0, -1).numpy()


def named(coding: Coding) -> str:
    parts = [coding.compression, f"{coding.bits}", coding.order, f"p{coding.predictor}"]
    parts += [f"{coding.tile or coding.rows}", f"c{coding.components}" * (coding.components > 1)]
    return "-".join([*filter(None, parts), *(["planar"] if coding.planar else [])])


def every_coding() -> Iterator[tuple[Coding, np.ndarray, str | None]]:
    """One of each kind."""
    mosaic, linear = photograph(HEIGHT, WIDTH, 8), photograph(HEIGHT, WIDTH, 8, 3)
    for kind in ("none", "jpeg", "deflate", "lossy", "jpeg dct", "jpeg xl"):
        for tile, rows in ((TILE, 0), (None, 16)):
            coding = Coding(kind, 8, tile, rows)
            yield coding, mosaic.astype(np.uint8), "RGGB"
            yield coding, linear.astype(np.uint8), None
    yield Coding("none", 12, TILE), photograph(HEIGHT, WIDTH, 12), "RGGB"
    yield Coding("deflate", 32, TILE, predictor=3), FLOATS, "RGGB"


CODINGS = list(every_coding())
each_coding = pytest.mark.parametrize(
    ("coding", "picture", "cfa"), CODINGS, ids=[f"{named(c)}-{p.ndim}" for c, p, _ in CODINGS]
)
