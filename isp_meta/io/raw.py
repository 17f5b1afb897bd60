"""Reading raw files of every kind: which reader a file belongs to."""

from __future__ import annotations

import os
import struct

from ..errors import CarrierError
from ..frame import Frame
from .dng.read import read_dng
from .dng.tags import Tag
from .headerless import RawLayout, layout_beside, read_headerless
from .input import read_bytes
from .makers import read_maker_raw
from .refusals import not_a_raw_file, rendered_already, unsupported, without_layout
from .signatures import RENDERED, has_mosaic_behind, what_is
from .structure import tiff_directories

__all__ = ["read_raw"]

# What a header names, and no reader takes: what it is, and what helps.
_REFUSED = {
    "X3F": (
        "a Foveon sensor (X3F), three layers without a mosaic",
        "Sigma Photo Pro renders it",
    ),
    "R3D": ("Redcode video (R3D)", "REDCINE-X makes pictures of it"),
}
_READ = frozenset({"TIFF", "ORF", "RW2", "RAF", "MRW", "CRW", "CR3", "Phase One", "ARRI", "Nokia"})
# Those that say how their codes lie. The first bytes of any other may be codes, by chance.
_SAYING = (_READ - {"TIFF"}) | _REFUSED.keys() | {"DNG"}


def read_raw(
    path: str | os.PathLike[str], *, layout: RawLayout | None = None, gps: bool = False
) -> Frame:
    """Reads a raw file: the sensor's codes, and what the file says of its camera.

    Args:
        path: DNG, CR2, CR3, NEF, ARW, RAF ... or, with a layout, a file without a header.
        layout: how codes lie in a file that does not say so, or in a gray PNG or TIFF; None: as
            the TOML file beside it says (photo.raw.toml), if there is one.
        gps: whether the camera's ``exif`` may tell where the picture was taken.

    Returns:
        A Frame with ``codes`` (1, H, W) float32: the visible area in the sensor's own orientation,
        in sensor codes (after a DNG's LinearizationTable), black level included; and ``camera``.
        A linear DNG has ``codes`` (3, H, W). Where a maker's file is not TIFF-based, make, model
        and most of EXIF come from Exiv2, if the ``exif`` extra is installed.

    Raises:
        RawFileDamaged: cut off or damaged: what, where, how many bytes.
        RawFileUnsupported: whole, but of a kind that is not read; the text names it, and what
            helps.
        NotARawFile: a rendered picture, or anything else; or no header and no layout.
        RawFileError: missing, a folder, empty, not readable.
    """
    data = read_bytes(path)
    kind = what_is(data)
    if kind == "TIFF" and _is_dng(data):
        kind = "DNG"
    if layout is None and kind not in _SAYING:
        layout = layout_beside(path)
    if layout is not None:
        if kind in _SAYING:
            raise unsupported(path, f"a layout for {kind}, which has its own", "leave it out")
        return read_headerless(data, kind, path, layout)
    if kind == "DNG":
        return read_dng(data, path, gps=gps)
    if kind in _REFUSED:
        raise unsupported(path, *_REFUSED[kind])
    if kind in _READ or (kind == "JPEG" and has_mosaic_behind(data)):
        return read_maker_raw(data, kind, path, gps=gps)
    if kind in RENDERED:
        raise rendered_already(path, kind)
    if kind:
        raise not_a_raw_file(path, kind)
    raise without_layout(path, "no header says which camera made it")


def _is_dng(data: bytes) -> bool:
    try:
        main = next(tiff_directories(data))
    except (CarrierError, struct.error):  # its reader says what is wrong
        return False
    return any(entry.tag == Tag.DNG_VERSION for entry in main.entries)
