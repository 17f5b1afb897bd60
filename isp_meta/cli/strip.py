"""``isp-meta strip``: pictures without their metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import each, say
from .files import PICTURES, Files
from .pipes import source

__all__ = ["command"]

_FILES = Files("strip", "picture", PICTURES)


def command(
    pictures: Annotated[
        list[Path], typer.Argument(metavar="PICTURE", help="JPEG, PNG, TIFF.", readable=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File, or a folder for several.", readable=False),
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Replace the pictures themselves.")
    ] = False,
    keep_time: Annotated[
        bool, typer.Option("--keep-time", help="Keep the time of modification.")
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace existing files.")] = False,
) -> None:
    """Remove the metadata from PICTUREs; the picture and all else stay to the byte.

    \b
    Examples:
      isp-meta strip photo.jpg -o plain.jpg
      isp-meta strip *.jpg --in-place
      isp-meta strip - -o - < photo.jpg > plain.jpg
    """
    from ..carriers import sidecar
    from ..recovery import strip

    def work(item: tuple[Path, Path | None]) -> None:
        picture, path = source(item[0]), item[1]
        removed = strip(picture, path, in_place=in_place, keep_time=keep_time, overwrite=overwrite)
        beside = sidecar.sidecar_path(picture)
        stays = f"; {beside} stays" if beside.is_file() else ""
        say(f"{path or picture}: {removed:,} bytes removed{stays}")

    each(_FILES.rewritten(pictures, output, in_place), work)
