"""``isp-meta verify``: is the raw still there, whole, and this picture's?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import (
    CarrierError,
    ImageFileError,
    IspMetaError,
    PayloadCorrupt,
    PictureMismatch,
)
from .console import each, exit_code, print_json, say
from .pipes import named, source

if TYPE_CHECKING:
    from ..recovery import Metadata

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
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check JPEGs. Exit code: 0 exact, 3 no metadata, 4 corrupt, 5 picture changed since.

    \b
    Examples:
      isp-meta verify photo.jpg
      isp-meta verify -q photo.jpg && echo whole
      isp-meta verify - < photo.jpg
      isp-meta verify *.jpg --json
    """
    verdicts: list[dict[str, Any]] = []

    def work(jpeg: Path) -> None:
        verdict: dict[str, Any] = {"picture": str(jpeg), "code": 0}
        verdicts.append(verdict)
        try:
            metadata = _verified(source(jpeg))
        except IspMetaError as error:
            verdict.update(code=exit_code(error), error=named(str(error)))
            raise
        samples, where = len(metadata.payload.samples), str(metadata.source)
        verdict.update(samples=samples, source=named(where))
        if not as_json:
            say(f"{source(jpeg)}: exact, {samples:,} samples in {where}")

    try:
        each(jpegs, work)
    finally:
        if as_json:
            print_json(verdicts)


def _verified(jpeg: Path) -> Metadata:
    from ..recovery import read_metadata

    try:
        metadata = read_metadata(jpeg)
    except (CarrierError, ImageFileError) as error:
        # A file that is there but no longer a whole JPEG has lost what it carried.
        if not os.path.isfile(jpeg) or not os.access(jpeg, os.R_OK):  # noqa: PTH113
            raise
        raise PayloadCorrupt(str(error)) from error
    if metadata.match != "exact":
        raise PictureMismatch(f"{jpeg}: {_STALE[metadata.match]}")
    return metadata
