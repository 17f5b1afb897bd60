"""Sections BIND and MEAN: which finished picture a payload was made for.

Tools keep metadata while they change pixels, so a payload on another picture is a normal case. Two
digests recognise the picture itself; means of its blocks tell one that was compressed once more
from one that was edited, and that from another picture.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import PayloadCorrupt
from .header import Header
from .reader import Reader

__all__ = ["Binding", "Match"]

Match = Literal["exact", "recompressed", "edited", "foreign"]

BLOCK = 64
"""Side of a block, pixels; the last block of a row or column also takes what remains."""

TOLERANCE = 3
"""How far recompression may move a block's mean luma, 0 to 255; docs/format.md has figures."""

_DIGEST_SIZE = hashlib.sha256().digest_size


@dataclass(frozen=True)
class Binding:
    """What a finished picture looked like when its payload was made.

    Attributes:
        scan: (32,) SHA-256 of its compressed data; unchanged by edits of metadata.
        pixels: (32,) SHA-256 of its decoded pixels; unchanged by lossless recompression.
        means: mean luma of its blocks, one byte each, row-major.
        width, height: pixels.

    Raises:
        ValueError: fields of a wrong size.
    """

    scan: bytes
    pixels: bytes
    means: bytes
    width: int
    height: int

    def __post_init__(self) -> None:
        if len(self.scan) != _DIGEST_SIZE or len(self.pixels) != _DIGEST_SIZE:
            raise ValueError(f"a digest has {_DIGEST_SIZE} bytes")
        if len(self.means) != blocks(self.height) * blocks(self.width):
            raise ValueError(
                f"{len(self.means)} means do not fit {self.width}x{self.height} pixels"
            )

    @classmethod
    def of(cls, pixels: Tensor, scan_digest: bytes) -> Binding:
        """The binding to a finished picture.

        Args:
            pixels: (3, H, W) uint8, as decoded from the finished file.
            scan_digest: (32,) SHA-256 of that file's compressed data.

        Raises:
            ValueError: shape or dtype of pixels, length of the digest.
        """
        _check_pixels(pixels)
        _, height, width = pixels.shape
        means = _block_means(pixels).tobytes()
        return cls(bytes(scan_digest), _pixel_digest(pixels), means, width, height)

    def holds(self, pixels: Tensor) -> bool:
        """Whether these are the very pixels that this binding was made from.

        Args:
            pixels: (3, H, W) uint8.

        Raises:
            ValueError: shape or dtype of pixels.
        """
        _check_pixels(pixels)
        # A forged payload may hold the digest of a picture of another size than its own.
        same_size = tuple(pixels.shape[1:]) == (self.height, self.width)
        return same_size and _pixel_digest(pixels) == self.pixels

    def compare(self, pixels: Tensor, scan_digest: bytes) -> Match:
        """How a picture relates to the one that this binding was made from.

        Args:
            pixels: (3, H, W) uint8.
            scan_digest: (32,) SHA-256 of its compressed data.

        Returns:
            "exact": the same compressed data or the same pixels.
            "recompressed": the same size, no block's mean moved more than recompression moves it.
            "edited": the same size, fewer than half of the blocks moved more.
            "foreign": another size or another picture.

        Raises:
            ValueError: shape or dtype of pixels.
        """
        _check_pixels(pixels)
        if tuple(pixels.shape[1:]) != (self.height, self.width):
            return "foreign"
        if scan_digest == self.scan or self.holds(pixels):
            return "exact"
        here = _block_means(pixels).ravel().astype(np.int16)
        there = np.frombuffer(self.means, dtype=np.uint8)
        moved = int((np.abs(here - there) > TOLERANCE).sum())
        if moved == 0:
            return "recompressed"
        return "edited" if 2 * moved < len(self.means) else "foreign"

    def pack_digests(self) -> bytes:
        """Bytes of section BIND."""
        return self.scan + self.pixels

    @classmethod
    def unpack(cls, digests: bytes, means: bytes, header: Header) -> Binding:
        """The binding of two sections' bytes.

        Raises:
            PayloadCorrupt: sections of a wrong size.
        """
        reader = Reader(digests, "section BIND of the raw metadata")
        scan, pixels = reader.take(_DIGEST_SIZE), reader.take(_DIGEST_SIZE)
        reader.finish()
        try:
            return cls(scan, pixels, means, header.width, header.height)
        except ValueError as error:
            raise PayloadCorrupt(f"section MEAN of the raw metadata is wrong: {error}") from None


def blocks(side: int) -> int:
    """How many blocks stand along a side of so many pixels."""
    return max(1, side // BLOCK)


def _check_pixels(pixels: Tensor) -> None:
    if pixels.dtype != torch.uint8 or pixels.dim() != 3 or pixels.shape[0] != 3:
        raise ValueError(
            f"pixels must be (3, H, W) uint8, not {tuple(pixels.shape)} {pixels.dtype}"
        )


def _pixel_digest(pixels: Tensor) -> bytes:
    """SHA-256 of width and height (uint32 each) and the pixels, row-major, R G B interleaved."""
    _, height, width = pixels.shape
    digest = hashlib.sha256(width.to_bytes(4, "big") + height.to_bytes(4, "big"))
    digest.update(pixels.permute(1, 2, 0).cpu().contiguous().numpy().data)
    return digest.digest()


def _block_means(pixels: Tensor) -> npt.NDArray[np.uint8]:
    """(rows, columns): mean of (77 R + 150 G + 29 B) / 256 (BT.601), rounded, in integers."""
    _, height, width = pixels.shape
    tops, lefts = (np.arange(blocks(side)) * BLOCK for side in (height, width))
    # reduceat lets the last block run to the end, which is the rule for what remains.
    rows = np.add.reduceat(pixels.cpu().numpy(), tops, axis=1, dtype=np.int32)
    red, green, blue = np.add.reduceat(rows, lefts, axis=2, dtype=np.int64)
    sizes = np.outer(np.diff(tops, append=height), np.diff(lefts, append=width))
    weighted = 77 * red + 150 * green + 29 * blue
    means: npt.NDArray[np.uint8] = ((weighted + 128 * sizes) // (256 * sizes)).astype(np.uint8)
    return means
