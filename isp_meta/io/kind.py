"""What a file is by its first bytes, before anything is made of it."""

from __future__ import annotations

import os
from pathlib import Path

from ..carriers.directories import read_directory
from ..errors import CarrierError
from .dng.tags import Tag

__all__ = ["file_kind", "is_rendered"]

_HEAD = 32
_SIGNATURES = (
    (b"\xff\xd8", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    *((mark, "TIFF") for mark in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"%PDF", "PDF"),
)
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF"} | dict.fromkeys(
    (b"heic", b"heix", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"
)
# Strips' and tiles' sizes; what a TIFF has that is a raw file, if it is none by its DNGVersion.
_SIZES, _SUB_DIRECTORIES, _CFA_PATTERN = (279, 325), 330, 33422


def file_kind(path: str | os.PathLike[str]) -> str:
    """What kind of picture a file is, as "JPEG", "PNG", "TIFF" or "HEIC"; "" for anything else.

    Most raw files are TIFF, too.

    Raises:
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as file:
        head = file.read(_HEAD)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "")
    return next((kind for mark, kind in _SIGNATURES if head.startswith(mark)), "")


def is_rendered(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a finished picture, and so no raw file.

    A TIFF is one if the pixels of its first directory, which is no DNG's, are most of the file:
    what raw files have there is a thumbnail.

    Raises:
        OSError: it cannot be read.
    """
    kind = file_kind(path)
    if kind != "TIFF":
        return kind != ""
    data = Path(path).read_bytes()
    try:
        directory = read_directory(data)
        tags = {entry.tag for entry in directory.entries}
        if tags & {Tag.DNG_VERSION, _SUB_DIRECTORIES, _CFA_PATTERN}:
            return False
        sizes = [int(directory.numbers(data, tag).sum()) for tag in _SIZES]
    except CarrierError:
        return False
    return 2 * max(sizes) > len(data)
