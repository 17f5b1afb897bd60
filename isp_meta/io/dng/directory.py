"""The directory of a DNG that is written: its tags, and the whole file as bytes."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from fractions import Fraction
from io import BytesIO
from math import isqrt
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray

from ...camera import LINEAR, MONOCHROME, Camera, EditorTag, pattern_of
from ..exif import exif_directory, pack_directory, plain_text
from .editing import written_tags
from .tags import CFA, LINEAR_RAW, MAIN_TEXTS, Tag, open_tiff

__all__ = ["EXIF_PLACEHOLDER", "LOSSLESS_JPEG", "Compression", "append_exif", "pack_dng"]

Compression = Literal["lossless-jpeg", "jpegxl", "none"]

_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _SRATIONAL = 1, 2, 3, 4, 5, 10  # TIFF types
ExtraTag = tuple[int, int, int, Any, bool]

# tifffile does not write the EXIF tag itself; the next code is free and sorts into its place.
EXIF_PLACEHOLDER: ExtraTag = (Tag.EXIF_IFD + 1, _LONG, 1, 0, True)
# Readers outside LibRaw and Adobe's SDK know the first predictor of lossless JPEG alone.
_TILE = 256
LOSSLESS_JPEG: dict[str, Any] = {
    "tile": (_TILE, _TILE),
    "compression": "jpeg",
    "compressionargs": {"lossless": True, "predictor": 1, "bitspersample": 16},
}
_JPEGXL_TILE = 512
_JPEGXL: dict[str, Any] = {
    "tile": (_JPEGXL_TILE, _JPEGXL_TILE),
    "compression": "jpegxl_dng",
    "compressionargs": {"lossless": True, "effort": 5, "usecontainer": False},
}
_JPEGXL_VERSION = (1, 7, 0, 0)


def pack_dng(
    codes: NDArray[np.uint16],
    camera: Camera,
    black: Sequence[float],
    white: int,
    *,
    demosaiced: bool,
    compress: Compression,
) -> bytes:
    """A DNG.

    Args:
        codes: (H, W) of a mosaic or of a monochrome sensor, (H, W, 3) of three colors a pixel.
        camera: of the picture, with the tags that its raw file had for editors.
        black: level of each place of a mosaic's period, row-major, or of each color. white: level.
        demosaiced: the picture was made of the camera's mosaic.
        compress: see :func:`isp_meta.write_dng`.
    """
    mosaic = not demosaiced and camera.cfa not in (LINEAR, MONOCHROME)
    stored = written_tags(camera, (codes.shape[0], codes.shape[1]), white, demosaiced=demosaiced)
    tags = {tag[0]: tag for tag in [*_identity(camera), *_levels(mosaic, black, white)]}
    if mosaic:
        tags |= {tag[0]: tag for tag in _pattern(camera)}
    if camera.cfa != MONOCHROME:
        tags |= {tag[0]: tag for tag in _color(camera, stored.keys())}
    tags |= {code: _extra(code, tag) for code, tag in stored.items()}
    newest = (1, 1, 0, 0) if stored.keys().isdisjoint(Tag.OPCODE_LIST) else (1, 3, 0, 0)
    version = _JPEGXL_VERSION if compress == "jpegxl" else (1, 4, 0, 0)
    for code, number in (
        (Tag.DNG_VERSION, version),
        (Tag.DNG_BACKWARD_VERSION, max(newest, version if compress == "jpegxl" else newest)),
    ):
        tags[code] = (code, _BYTE, 4, bytes(number), True)
    return _tiff(codes, CFA if mosaic else LINEAR_RAW, list(tags.values()), camera, compress)


def _identity(camera: Camera) -> list[ExtraTag]:
    make, model = plain_text(camera.make), plain_text(camera.model)
    unique = model if model.lower().startswith(make.lower()) else f"{make} {model}".strip()
    texts = [
        (Tag.MAKE, make),
        (Tag.MODEL, model),
        *((code, plain_text(camera.exif.get(name, ""))) for name, code in MAIN_TEXTS.items()),
        (Tag.UNIQUE_CAMERA_MODEL, unique or "Unknown"),
    ]
    scale = (Tag.DEFAULT_SCALE, _RATIONAL, 2, _ratios(camera.default_scale), True)
    return [
        *[(code, _ASCII, 0, text, True) for code, text in texts if text],
        *([] if camera.default_scale == (1, 1) else [scale]),
        (Tag.ORIENTATION, _SHORT, 1, camera.orientation, True),
    ]


def _color(camera: Camera, stored: Sequence[int] | Any) -> list[ExtraTag]:
    """The neutral; and the camera's one matrix, unless the file's own matrices are stored."""
    neutral = (Tag.AS_SHOT_NEUTRAL, _RATIONAL, 3, _ratios(camera.as_shot_neutral), True)
    if Tag.COLOR_MATRIX[0] in stored:
        return [neutral]
    return [
        neutral,
        (Tag.COLOR_MATRIX[0], _SRATIONAL, 9, _ratios(camera.color_matrix), True),
        (Tag.CALIBRATION_ILLUMINANT[0], _SHORT, 1, camera.illuminant, True),
    ]


def _levels(mosaic: bool, black: Sequence[float], white: int) -> list[ExtraTag]:
    side = isqrt(len(black)) if mosaic else 1
    samples = 1 if mosaic else len(black)
    return [
        (Tag.BLACK_LEVEL_REPEAT_DIM, _SHORT, 2, (side, side), True),
        (Tag.BLACK_LEVEL, _RATIONAL, len(black), _ratios(black), True),
        (Tag.WHITE_LEVEL, _LONG, samples, (white,) * samples, True),
    ]


def _pattern(camera: Camera) -> list[ExtraTag]:
    pattern = bytes(pattern_of(camera.cfa).flatten().tolist())
    return [
        (Tag.CFA_REPEAT_PATTERN_DIM, _SHORT, 2, (camera.period,) * 2, True),
        (Tag.CFA_PATTERN, _BYTE, len(pattern), pattern, True),
    ]


def _extra(code: int, tag: EditorTag) -> ExtraTag:
    numbers = np.frombuffer(tag.data, tag.layout)
    if numbers.dtype.itemsize == 1:
        return code, tag.type, len(tag.data), tag.data, True
    count = len(numbers) // (2 if tag.type in (_RATIONAL, _SRATIONAL) else 1)
    return code, tag.type, count, tuple(numbers.tolist()), True


def _ratios(values: Sequence[float]) -> tuple[int, ...]:
    numbers: list[int] = []
    for value in values:
        if not abs(value) < 2**31:
            raise ValueError(f"{value} does not fit a DNG's 32-bit fraction")
        # Through its decimal form, so that 0.1 is 1/10 and not the nearest binary fraction.
        exact = Fraction(repr(float(value)))
        ratio = exact.limit_denominator(int((2**31 - 1) / max(1.0, abs(value))))
        numbers += [ratio.numerator, ratio.denominator]
    return tuple(numbers)


def _tiff(
    codes: NDArray[np.uint16],
    photometric: int,
    tags: list[ExtraTag],
    camera: Camera,
    compress: Compression,
) -> bytes:
    # LibRaw misreads tiles of lossless JPEG that are wider than the picture.
    lossless_jpeg = LOSSLESS_JPEG if codes.shape[1] >= _TILE else {}
    how = {"lossless-jpeg": lossless_jpeg, "jpegxl": _JPEGXL, "none": {}}[compress]
    buffer = BytesIO()
    # tifffile takes linear raw of three colors alone, so that of one is renamed below.
    of_one = photometric == LINEAR_RAW and codes.ndim == 2
    with tifffile.TiffWriter(buffer, byteorder="<") as tif:
        tif.write(
            codes,
            photometric=tifffile.PHOTOMETRIC.MINISBLACK if of_one else photometric,
            subfiletype=0,  # Adobe's SDK takes only this for the main picture
            extratags=[*tags, EXIF_PLACEHOLDER],
            metadata=None,
            software=False,
            maxworkers=os.cpu_count(),  # tifffile's own default leaves half of the cores idle
            **how,
        )
    if of_one:
        buffer.seek(0)
        with tifffile.TiffFile(buffer, mode="r+") as tif:
            tif.pages.first.tags[Tag.PHOTOMETRIC].overwrite(LINEAR_RAW)
    return append_exif(buffer.getvalue(), camera)


def append_exif(data: bytes, camera: Camera) -> bytes:
    """Puts an EXIF directory at the end of a TIFF, and the tag of its place over the placeholder.

    Args:
        data: little-endian TIFF whose main directory has :data:`EXIF_PLACEHOLDER`.
        camera: its ``exif`` fills the directory.
    """
    with open_tiff(data) as tif:
        entry = tif.pages.first.tags[EXIF_PLACEHOLDER[0]].offset
    grown = bytearray(data)
    grown += b"\0" * (len(grown) % 2)
    struct.pack_into("<HHII", grown, entry, Tag.EXIF_IFD, _LONG, 1, len(grown))
    return bytes(grown + pack_directory(exif_directory(camera), len(grown)))
