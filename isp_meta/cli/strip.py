"""``isp-meta strip``: the JPEG without its metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import io
from ..carriers import jpeg as jpeg_carrier
from ..errors import CarrierError, ImageFileError
from .console import errors, say

__all__ = ["command"]


def command(
    jpeg: Annotated[Path, typer.Argument(metavar="JPEG", help="A JPEG.", readable=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="By default the JPEG itself; needs --overwrite.", readable=False
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
) -> None:
    """Remove the metadata from a JPEG; the picture and all else stay to the byte."""
    path = output or jpeg
    with errors(jpeg):
        data = io.read_bytes(jpeg, ImageFileError)
        try:
            stripped = jpeg_carrier.strip(data)
        except CarrierError as error:
            raise CarrierError(f"{jpeg}: {error}") from error
        io.write_atomic(path, stripped, overwrite=overwrite)
    say(f"{path}: {len(data) - len(stripped):,} bytes removed")
