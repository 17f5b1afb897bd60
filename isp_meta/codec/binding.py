"""Sections BIND and MEAN: which finished picture a payload was made for.

Tools keep metadata while they change pixels, so a payload on another picture is a normal case. Two
digests recognise the picture itself; means of its blocks tell one that was compressed once more
from one that was edited, and that from another picture.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Union

import numpy as np
import numpy.typing as npt

from ..errors import PayloadCorrupt
from .header import Header
from .reader import Reader, as_array

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Binding", "Match"]

Planes = npt.NDArray[np.uint8]
Pixels = Union["Tensor", npt.NDArray[Any]]
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
    def of(cls, pixels: Pixels, scan_digest: bytes) -> Binding:
        """The binding to a finished picture.

        Args:
            pixels: (3, H, W) uint8, as decoded from the finished file.
            scan_digest: (32,) SHA-256 of that file's compressed data.

        Raises:
            ValueError: shape or dtype of pixels, length of the digest.
        """
        planes = _planes(pixels)
        _, height, width = planes.shape
        means = _block_means(planes).tobytes()
        return cls(bytes(scan_digest), _pixel_digest(planes), means, width, height)

    def holds(self, pixels: Pixels) -> bool:
        """Whether these are the very pixels that this binding was made from.

        Args:
            pixels: (3, H, W) uint8, a tensor or an array.

        Raises:
            ValueError: shape or dtype of pixels.
        """
        planes = _planes(pixels)
        # A forged payload may hold the digest of a picture of another size than its own.
        same_size = planes.shape[1:] == (self.height, self.width)
        return same_size and _pixel_digest(planes) == self.pixels

    def compare(self, pixels: Pixels, scan_digest: bytes) -> Match:
        """How a picture relates to the one that this binding was made from.

        Args:
            pixels: (3, H, W) uint8, a tensor or an array.
            scan_digest: (32,) SHA-256 of its compressed data.

        Returns:
            "exact": the same compressed data or the same pixels.
            "recompressed": the same size, no block's mean moved more than recompression moves it.
            "edited": the same size, fewer than half of the blocks moved more.
            "foreign": another size or another picture.

        Raises:
            ValueError: shape or dtype of pixels.
        """
        planes = _planes(pixels)
        if planes.shape[1:] != (self.height, self.width):
            return "foreign"
        if scan_digest == self.scan or self.holds(pixels):
            return "exact"
        here = _block_means(planes).ravel().astype(np.int16)
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


def _planes(pixels: Pixels) -> Planes:
    """Pixels as an array, if they are some."""
    planes = as_array(pixels)
    if planes.dtype != np.uint8 or planes.ndim != 3 or planes.shape[0] != 3:
        raise ValueError(f"pixels must be (3, H, W) uint8, not {planes.shape} {planes.dtype}")
    return planes


def _pixel_digest(pixels: Planes) -> bytes:
    """SHA-256 of width and height (uint32 each) and the pixels, row-major, R G B interleaved."""
    _, height, width = pixels.shape
    digest = hashlib.sha256(width.to_bytes(4, "big") + height.to_bytes(4, "big"))
    digest.update(np.ascontiguousarray(pixels.transpose(1, 2, 0)).data)
    return digest.digest()


def _block_means(pixels: Planes) -> npt.NDArray[np.uint8]:
    """(rows, columns): mean of (77 R + 150 G + 29 B) / 256 (BT.601), rounded, in integers."""
    _, height, width = pixels.shape
    tops, lefts = (np.arange(blocks(side)) * BLOCK for side in (height, width))
    # reduceat lets the last block run to the end, which is the rule for what remains.
    rows = np.add.reduceat(pixels, tops, axis=1, dtype=np.int32)
    red, green, blue = np.add.reduceat(rows, lefts, axis=2, dtype=np.int64)
    sizes = np.outer(np.diff(tops, append=height), np.diff(lefts, append=width))
    weighted = 77 * red + 150 * green + 29 * blue
    means: npt.NDArray[np.uint8] = ((weighted + 128 * sizes) // (256 * sizes)).astype(np.uint8)
    return means
