"""``isp-meta attach``: metadata into a picture that lacks it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import errors, say
from .files import PICTURES, Files
from .pipes import source

__all__ = ["command"]

_FILES = Files("attach", "picture", PICTURES)


def command(
    picture: Annotated[
        Path, typer.Argument(metavar="PICTURE", help="JPEG, PNG or TIFF.", readable=False)
    ],
    metadata: Annotated[
        Path | None,
        typer.Argument(
            metavar="METADATA",
            help="A sidecar, or another picture that carries it; by default PICTURE's sidecar.",
            readable=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The file to write.", readable=False)
    ] = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="Replace PICTURE itself.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Go on although the picture was edited since.")
    ] = False,
    keep_time: Annotated[
        bool, typer.Option("--keep-time", help="Keep the time of modification.")
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
) -> None:
    """Put metadata into a PICTURE, if it was made for it (photo.jpg.ispmeta -> photo.jpg).

    \b
    Examples:
      isp-meta attach photo.jpg --in-place
      isp-meta attach edited.jpg original.jpg -o both.jpg
    """
    from ..recovery import attach

    ((_, path),) = _FILES.rewritten([picture], output, in_place, also=[metadata])
    with errors(picture):
        picture = source(picture)
        found = attach(
            picture,
            metadata,
            path,
            in_place=in_place,
            force=force,
            keep_time=keep_time,
            overwrite=overwrite,
        )
    say(f"{path or picture}: {found.size:,} bytes from {found.source}, {found.match}")
