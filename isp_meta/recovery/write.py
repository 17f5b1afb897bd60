"""A recovered frame as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from .. import io
from ..frame import Frame

__all__ = ["Format", "write_recovered"]

Format = Literal["dng", "tiff", "npy"]


def write_recovered(
    path: Path,
    frame: Frame,
    format: Format,
    linear: bool = False,
    compress: io.Compression = "lossless-jpeg",
    *,
    overwrite: bool = False,
) -> None:
    """Writes a recovered frame.

    Args:
        path: target. frame: with ``raw``, and ``codes`` where the whole mosaic was kept.
        format: of the file. linear, compress: of a DNG, see :func:`isp_meta.write_dng`.
        overwrite: it may exist.

    Raises:
        OutputError: it cannot be written.
    """
    if format == "dng":
        io.write_dng(path, frame, linear=linear, compress=compress, overwrite=overwrite)
    elif format == "tiff":
        io.write_tiff16(path, frame.require("raw", "recover"), overwrite=overwrite)
    else:
        io.write_npy(path, frame.require("raw", "recover"), overwrite=overwrite)
