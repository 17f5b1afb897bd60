"""``isp-meta extract``: the metadata as a file of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..transfer import extract
from .console import errors, say

__all__ = ["command"]


def command(
    picture: Annotated[
        Path,
        typer.Argument(metavar="PICTURE", help="A JPEG, PNG or TIFF with its raw.", readable=False),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="By default the picture's sidecar.", readable=False),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
) -> None:
    """Copy the metadata into a sidecar (photo.jpg -> photo.jpg.ispmeta)."""
    with errors(picture):
        path = extract(picture, output, overwrite=overwrite)
        size = path.stat().st_size
    say(f"{path}: {size:,} bytes")
