"""The checksums that a DNG has of its raw picture."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..refusals import damaged
from .jpeg import read_jpeg_header
from .layout import JPEG, JPEG_XL, LOSSY_JPEG, Layout
from .tags import Tag, TiffTags

__all__ = ["check_digest", "coded_digest", "new_raw_image_digest", "raw_image_digest"]

_TILE = 256
_LENGTH = 16


def check_digest(tags: TiffTags, layout: Layout, samples: NDArray[np.generic], data: bytes) -> None:
    """Refuses a picture that differs from what was written.

    Args:
        tags, layout, data: of the file; of its tags NewRawImageDigest goes before RawImageDigest.
        samples: (H, W, samples) as stored, before any table.

    Raises:
        RawFileDamaged: the checksum is of another picture.

    Source: DNG specification 1.7.1, NewRawImageDigest and RawImageDigest, which leave the order of
        the bytes to Adobe's DNG SDK 1.7 (dng_negative::FindNewRawImageDigest, FindImageDigest;
        dng_lossy_compressed_image::FindDigest).
    """
    for code, of_samples in (
        (Tag.NEW_RAW_IMAGE_DIGEST, new_raw_image_digest),
        (Tag.RAW_IMAGE_DIGEST, raw_image_digest),
    ):
        told = bytes(int(value) & 0xFF for value in tags.numbers.get(code, ()))
        if len(told) != _LENGTH or not any(told) or _is_dct(layout, data):
            continue
        found = [of_samples(samples)]
        table = tags.numbers.get(Tag.LINEARIZATION_TABLE, ())
        if samples.dtype == np.uint16 and 0 < len(table) <= 1 << 8:
            # What goes through so short a table is taken for bytes.
            found.append(of_samples(samples.astype(np.uint8)))
        if layout.compression in (LOSSY_JPEG, JPEG_XL):
            # Of a lossy coding the bytes count; a lossless JPEG XL is found with either.
            found.append(coded_digest(layout, data))
        # Some versions of Lightroom overwrote the first four bytes of the old checksum.
        start = 4 if code == Tag.RAW_IMAGE_DIGEST else 0
        if told[start:] not in [digest[start:] for digest in found]:
            raise damaged(layout.name, "its raw picture is not that of its checksum (digest)")
        return


def _is_dct(layout: Layout, data: bytes) -> bool:
    """Whether the picture is in DCT-JPEGs where lossless ones belong: of what its checksum would be
    is nowhere said."""
    if layout.compression != JPEG:
        return False
    first = layout.segments[0]
    return not read_jpeg_header(data[first.offset : first.offset + first.count]).lossless


def new_raw_image_digest(samples: NDArray[np.generic]) -> bytes:
    """MD5 over the MD5 of each 256x256 pixels, whose samples stand plane by plane.

    Args:
        samples: (H, W, samples).
    """
    return _combined(_tiles(samples))


def _tiles(samples: NDArray[np.generic]) -> Iterator[bytes]:
    height, width = samples.shape[:2]
    for top in range(0, height, _TILE):
        for left in range(0, width, _TILE):
            tile = samples[top : top + _TILE, left : left + _TILE]
            yield _little_endian(np.moveaxis(tile, -1, 0))


def raw_image_digest(samples: NDArray[np.generic]) -> bytes:
    """MD5 over all samples in the order of pixels; bytes count as 16 bits.

    Args:
        samples: (H, W, samples); of floating point it is the new checksum.
    """
    if samples.dtype.kind == "f":
        return new_raw_image_digest(samples)
    whole = samples.astype(np.uint16) if samples.dtype == np.uint8 else samples
    return _md5(_little_endian(whole))


def coded_digest(layout: Layout, data: bytes) -> bytes:
    """MD5 over the MD5 of each strip's or tile's bytes, and that of JPEGTables."""
    parts = [data[s.offset : s.offset + s.count] for s in layout.segments]
    return _combined([*parts, *([layout.tables] if layout.tables else [])])


def _combined(parts: Iterator[bytes] | list[bytes]) -> bytes:
    return _md5(b"".join(map(_md5, parts)))


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _little_endian(samples: NDArray[np.generic]) -> bytes:
    return samples.astype(samples.dtype.newbyteorder("<"), copy=False).tobytes()
