"""What a file is by its first bytes, before anything is made of it."""

from __future__ import annotations

import os
from pathlib import Path

from ..carriers.directories import read_directory
from ..errors import CarrierError
from .dng.tags import Tag
from .signatures import RENDERED, has_mosaic_behind, what_is
from .suffixes import LAYOUT_SUFFIX

__all__ = ["file_kind", "is_rendered"]

_HEAD = 64
# Strips' and tiles' sizes; what a TIFF has that is a raw file, if it is none by its DNGVersion.
_SIZES, _SUB_DIRECTORIES, _CFA_PATTERN = (279, 325), 330, 33422


def file_kind(path: str | os.PathLike[str]) -> str:
    """What kind of picture a file is, as "JPEG", "PNG", "TIFF" or "HEIC"; "" for anything else.

    Most raw files are TIFF, too.

    Raises:
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as file:
        kind = what_is(file.read(_HEAD))
    return kind if kind in RENDERED | {"TIFF"} else ""


def is_rendered(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a finished picture, and so no raw file.

    None is one beside which a layout lies. A TIFF is one if the pixels of its first directory,
    which is no DNG's, are most of the file: what raw files have there is a thumbnail.

    Raises:
        OSError: it cannot be read.
    """
    kind = file_kind(path)
    if Path(f"{os.fspath(path)}{LAYOUT_SUFFIX}").is_file():
        return False
    if kind not in ("TIFF", "JPEG"):
        return kind != ""
    data = Path(path).read_bytes()
    if kind == "JPEG":
        return not has_mosaic_behind(data)
    try:
        directory = read_directory(data)
        tags = {entry.tag for entry in directory.entries}
        if tags & {Tag.DNG_VERSION, _SUB_DIRECTORIES, _CFA_PATTERN}:
            return False
        sizes = [int(directory.numbers(data, tag).sum()) for tag in _SIZES]
    except CarrierError:
        return False
    return 2 * max(sizes) > len(data)
