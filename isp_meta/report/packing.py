"""Light as numbers for the page: 12 bits a value, without loss beyond that, small.

    codes ─▶ G, R - G, B - G ─▶ less what the neighbors foretell ─▶ low and high bytes ─▶ deflate

page.js undoes it.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["TOP", "foretold", "pack"]

TOP = 4095
"""Code of the peak."""


def pack(light: Tensor, peak: float) -> bytes:
    """Codes round(4095 √(light / peak)), compressed.

    Args:
        light: (3, h, w) >= 0; above the peak it is clipped. peak: > 0.

    Returns:
        zlib's (RFC 1950) form of the residuals' low bytes, then of the high ones: green first, then
        red and blue less green, row by row; each modulo 4096 and even where it is not negative.
    """
    scaled = (light / peak).clamp(0, 1).sqrt() * TOP
    red, green, blue = scaled.round().to(torch.int32).cpu().numpy()
    planes = np.stack([green, red - green, blue - green]) & TOP
    residual = (planes - foretold(planes)) & TOP
    # Small ones of either sign become small numbers.
    signed = np.where(residual > TOP // 2, residual - TOP - 1, residual)
    folded = np.where(signed < 0, -2 * signed - 1, 2 * signed)
    low, high = (folded & 255).astype(np.uint8), (folded >> 8).astype(np.uint8)
    return zlib.compress(low.tobytes() + high.tobytes(), 9)


def foretold(planes: NDArray[np.int32]) -> NDArray[np.int32]:
    """The median edge detector: the middle one of left, above, and left + above - above left.

    Args:
        planes: (C, h, w).

    Returns:
        (C, h, w); of the first row left, of the first column above, of the first pixel 0.

    Source: Weinberger, Seroussi and Sapiro, "The LOCO-I lossless image compression algorithm",
    IEEE Trans. Image Process. 9(8), 2000.
    """
    left, above, corner = (np.zeros_like(planes) for _ in range(3))
    left[..., 1:] = planes[..., :-1]
    above[:, 1:] = planes[:, :-1]
    corner[:, 1:, 1:] = planes[:, :-1, :-1]
    low, high = np.minimum(left, above), np.maximum(left, above)
    median: NDArray[np.int32] = np.clip(left + above - corner, low, high)
    median[:, 0] = left[:, 0]
    median[:, :, 0] = above[:, :, 0]
    return median
