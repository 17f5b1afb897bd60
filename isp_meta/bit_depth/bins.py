"""Codes of many bits, of few, and what lies between: whole numbers, exact.

code of B bits = q · 2ⁿ + missing,  n = B - b:  q is what is left, of b bits

A file of 8 or 16 bits shows q with its bits repeated until they fill it, so that black stays black
and white white; its b highest bits are q again.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..codec import Depth

__all__ = ["code_at", "degrade", "from_container", "kept", "middles", "replicate"]


def kept(codes: Tensor, depth: Depth) -> Tensor:
    """q of codes: (...) int32 in 0 to 2ᵇ - 1."""
    return codes.int() >> depth.taken


def middles(left: Tensor, bits: int) -> Tensor:
    """The middles of bins, (q + 1/2) / 2ᵇ, (...) float32; of codes of B bits the same formula."""
    return (left.float() + 0.5) / (1 << bits)


def code_at(values: Tensor, left: Tensor, depth: Depth) -> Tensor:
    """The codes of B bits nearest to values, within the bins that are known.

    Args:
        values: (...) float, (code + 1/2) / 2ᴮ. left: (...) q.

    Returns:
        (...) int32.
    """
    codes = torch.floor(values.float() * (1 << depth.true)).int()
    lowest = left << depth.taken
    return torch.minimum(torch.maximum(codes, lowest), lowest + (1 << depth.taken) - 1)


def replicate(codes: Tensor, bits: int, container: int) -> Tensor:
    """Codes of few bits as a file of more shows them: their bits over and over.

    Args:
        codes: (...) whole numbers of ``bits`` bits. container: bits of the file, at least as many.

    Returns:
        (...) int32 of ``container`` bits.
    """
    codes, result, room = codes.int(), torch.zeros_like(codes, dtype=torch.int32), container
    while room > 0:
        room -= bits
        result |= codes << room if room >= 0 else codes >> -room
    return result


def from_container(codes: Tensor, container: int, bits: int) -> Tensor:
    """The highest bits of a file's codes: the inverse of :func:`replicate`."""
    return codes.int() >> (container - bits)


def degrade(image: Tensor, bits: int) -> Tensor:
    """Takes the low bits from a picture.

    Args:
        image: (C, H, W) uint8, or whole numbers of 16 bits: uint16 or int32 in 0 to 65535.
        bits: that are left, 1 to one less than the picture has.

    Returns:
        Same shape and dtype; the bits that are left repeat in place of those that were there.

    Raises:
        ValueError: bits or dtype do not fit.

    Source: Nam et al., CVPR 2022, section 4.4, where zeros take their place.
    """
    container = 8 if image.dtype == torch.uint8 else 16
    if image.dtype not in (torch.uint8, torch.uint16, torch.int32):
        raise ValueError(f"image must be uint8, uint16 or int32, not {image.dtype}")
    depth = Depth(container, bits)
    whole = image.to(torch.int32)
    if whole.numel() and not 0 <= int(whole.min()) <= int(whole.max()) < 2**container:
        raise ValueError("image must hold codes of 0 to 65535")
    return replicate(kept(whole, depth), bits, container).to(image.dtype)
