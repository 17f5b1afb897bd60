"""``isp-meta extract``: the metadata as a file of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import io
from ..carriers import sidecar
from ..recover import read_payload
from .console import errors, say

__all__ = ["command"]


def command(
    jpeg: Annotated[
        Path, typer.Argument(metavar="JPEG", help="A JPEG that carries its raw.", readable=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="By default the JPEG's sidecar.", readable=False),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
) -> None:
    """Copy the metadata into a sidecar (photo.jpg -> photo.jpg.ispmeta)."""
    path = output or sidecar.sidecar_path(jpeg)
    with errors(jpeg):
        io.check_target(path, overwrite=overwrite, sources=[jpeg])
        _payload, packed, _source = read_payload(jpeg)
        io.write_atomic(path, packed, overwrite=overwrite)
    say(f"{path}: {len(packed):,} bytes")
