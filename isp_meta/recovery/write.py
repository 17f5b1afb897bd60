"""A recovered frame as a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from .. import io
from ..frame import Frame

__all__ = ["Format", "write_recovered"]

Format = Literal["dng", "tiff", "npy"]


def write_recovered(
    path: Path, frame: Frame, format: Format, cfa: bool, overwrite: bool = False
) -> None:
    """Writes a recovered frame.

    Args:
        path: target. frame: with ``raw``, or ``codes`` where the whole mosaic was kept.
        format: of the file. cfa: a DNG with the sensor's mosaic. overwrite: it may exist.

    Raises:
        OutputError: it cannot be written.
    """
    writers: dict[str, Callable[[], None]] = {
        "tiff": lambda: io.write_tiff16(path, frame.require("raw", "recover"), overwrite=overwrite),
        "npy": lambda: io.write_npy(path, frame.require("raw", "recover"), overwrite=overwrite),
        "dng": lambda: io.write_dng(path, frame, cfa=cfa, overwrite=overwrite),
    }
    if format == "dng" and cfa and frame.codes is not None:
        io.write_mosaic(path, frame, overwrite=overwrite)
    else:
        writers[format]()
