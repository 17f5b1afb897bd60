"""Whether a picture still carries its raw, whole, and is the one that it was made for."""

from __future__ import annotations

import os

from ..errors import (
    CarrierError,
    ImageFileError,
    PayloadCorrupt,
    PictureMismatch,
    PictureRecompressed,
)
from .metadata import Metadata, read_metadata

__all__ = ["verify"]

_STALE = {
    "recompressed": "compressed again since; recovery works, a little less exactly",
    "edited": "edited since; recovery has to be forced, and errs where it was edited",
    "foreign": "another picture, or resized; its metadata is of no use",
}


def verify(picture: str | os.PathLike[str] | Metadata) -> Metadata:
    """What a picture carries, if that is whole and the picture exactly the one it was made for.

    Args:
        picture: a JPEG, PNG or TIFF, or what :func:`isp_meta.read_metadata` read of it.

    Raises:
        PayloadMissing: it carries nothing. PayloadCorrupt: what it carries, or itself, is damaged.
        PictureRecompressed: it was compressed again since, and recovery works.
        PictureMismatch: it changed otherwise. ImageFileError: there is no such file.
    """
    metadata = picture if isinstance(picture, Metadata) else _read(picture)
    if metadata.match != "exact":
        kind = PictureRecompressed if metadata.match == "recompressed" else PictureMismatch
        raise kind(f"{metadata.path}: {_STALE[metadata.match]}", metadata.match)
    return metadata


def _read(path: str | os.PathLike[str]) -> Metadata:
    try:
        return read_metadata(path)
    except (CarrierError, ImageFileError) as error:
        # A file that is there but no longer a whole JPEG has lost what it carried.
        if not os.path.isfile(path) or not os.access(path, os.R_OK):  # noqa: PTH113
            raise
        raise PayloadCorrupt(str(error)) from error
