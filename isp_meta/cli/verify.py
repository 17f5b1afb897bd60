"""``isp-meta verify``: is the raw still there, whole, and this picture's?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ..errors import CarrierError, ImageFileError, PayloadCorrupt, PictureMismatch
from .console import each, say
from .pipes import source

__all__ = ["command"]

_STALE = {
    "recompressed": "compressed again since; recovery works, a little less exactly",
    "edited": "edited since; recovery needs --force and errs where it was edited",
    "foreign": "another picture, or resized; its metadata is of no use",
}


def command(
    jpegs: Annotated[
        list[Path], typer.Argument(metavar="JPEG", help="JPEG, PNG, TIFF.", readable=False)
    ],
) -> None:
    """Check JPEGs. Exit code: 0 exact, 3 no metadata, 4 corrupt, 5 picture changed since.

    \b
    Examples:
      isp-meta verify photo.jpg
      isp-meta verify -q photo.jpg && echo whole
      isp-meta verify - < photo.jpg
    """
    each(jpegs, _verify)


def _verify(jpeg: Path) -> None:
    from ..recovery import read_metadata

    jpeg = source(jpeg)
    try:
        metadata = read_metadata(jpeg)
    except (CarrierError, ImageFileError) as error:
        # A file that is there but no longer a whole JPEG has lost what it carried.
        if not os.path.isfile(jpeg) or not os.access(jpeg, os.R_OK):  # noqa: PTH113
            raise
        raise PayloadCorrupt(str(error)) from error
    if metadata.match != "exact":
        raise PictureMismatch(f"{jpeg}: {_STALE[metadata.match]}")
    samples = metadata.payload.samples
    say(f"{jpeg}: exact, {len(samples):,} samples in {metadata.source}")
