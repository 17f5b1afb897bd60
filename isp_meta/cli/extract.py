"""``isp-meta extract``: the metadata as a file of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import errors, say, stop
from .files import check_name
from .pipes import DASH, source, target

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
    """Copy the metadata into a sidecar (photo.jpg -> photo.jpg.ispmeta).

    \b
    Examples:
      isp-meta extract photo.jpg
      isp-meta extract photo.jpg -o - > metadata.ispmeta
    """
    from .. import io
    from ..carriers import sidecar
    from ..recovery import extract

    if picture == DASH and output is None:
        stop("standard input has no name; give -o", 2)
    with errors(picture):
        if output is not None and output != DASH:
            io.check_target(output, overwrite=True, sources=[picture])
            check_name(output, (sidecar.SUFFIX, ""))
        made = None if output is None else target(output, ".ispmeta")
        path = extract(source(picture), made, overwrite=overwrite)
        size = path.stat().st_size
    say(f"{path}: {size:,} bytes")
