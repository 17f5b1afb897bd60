"""``isp-meta report``: a page about a picture that carries its raw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import errors, progress, say
from .files import Files
from .layouts import Layout, takes_layout
from .pipes import source

__all__ = ["LEAST_WIDTH", "MOST_WIDTH", "command"]

# Those of report.build, which the list of options need not wait for.
LEAST_WIDTH, MOST_WIDTH = 320, 4096

_FILES = Files("report", "picture", (".html", ".htm"))


@takes_layout
def command(
    *,
    jpeg: Annotated[
        Path, typer.Argument(metavar="JPEG", help="JPEG, PNG or TIFF with its raw.", readable=False)
    ],
    raw: Annotated[
        Path | None,
        typer.Option("--raw", help="The original raw file: measures the error.", readable=False),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The page, or a folder.", readable=False)
    ] = None,
    layout: Layout,
    width: Annotated[
        int, typer.Option(min=LEAST_WIDTH, max=MOST_WIDTH, help="Of its pictures, at most.")
    ] = 1600,
    force: Annotated[
        bool, typer.Option("--force", help="Go on although the picture was edited since.")
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing page.")] = False,
) -> None:
    """Write a page to look at: picture, raw, samples, error (-> photo-report.html).

    \b
    Examples:
      isp-meta report photo.jpg
      isp-meta report photo.jpg --raw photo.dng -o report.html
    """
    from ..report import write_report

    (path,) = _FILES.targets([jpeg], output, "-report.html", also=[raw])
    with errors(jpeg), progress(jpeg.name) as step:
        size = write_report(
            source(jpeg),
            path,
            raw,
            layout=layout,
            width=width,
            force=force,
            overwrite=overwrite,
            progress=step,
        )
    say(f"{path}: {size:,} bytes")
