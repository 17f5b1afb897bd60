"""Cameras that LibRaw knows by name: their colors, without a raw file of theirs."""

from __future__ import annotations

import functools
from io import BytesIO

import numpy as np
import rawpy
import tifffile

from ..camera import Camera
from ..errors import RawFileError
from .dng.tags import CFA, Tag

__all__ = ["known_camera"]

_BYTE, _ASCII, _SHORT, _LONG = 1, 2, 3, 4
_SIDE = 32  # LibRaw opens nothing of 16x16 pixels or less.
_BITS = 14


@functools.lru_cache(maxsize=256)
def known_camera(make: str, model: str) -> Camera:
    """A camera of LibRaw's table: ColorMatrix for D65, and the daylight neutral that follows.

    Args:
        make, model: as the camera writes them into EXIF ("SONY", "SLT-A57"), or nearly so.

    Returns:
        A Camera with ``color_matrix`` and ``as_shot_neutral`` of that sensor; the mosaic is RGGB
        with 14 bits and no black level, which no table gives.

    Raises:
        RawFileError: LibRaw has no matrix for a camera of that name.

    Source: Adobe's DNG Converter by way of LibRaw's table ``adobe_coeff``, as rawpy passes it on.
    """
    # LibRaw looks a camera up by the name in a file: here one without a matrix of its own.
    buffer = BytesIO()
    with tifffile.TiffWriter(buffer) as tif:
        tif.write(
            np.zeros((_SIDE, _SIDE), np.uint16),
            photometric=CFA,
            metadata=None,
            software=False,
            extratags=[
                (Tag.MAKE, _ASCII, 0, make, True),
                (Tag.MODEL, _ASCII, 0, model, True),
                (Tag.CFA_REPEAT_PATTERN_DIM, _SHORT, 2, (2, 2), True),
                (Tag.CFA_PATTERN, _BYTE, 4, bytes([0, 1, 1, 2]), True),
                (Tag.DNG_VERSION, _BYTE, 4, bytes([1, 4, 0, 0]), True),
                (Tag.UNIQUE_CAMERA_MODEL, _ASCII, 0, f"{make} {model}", True),
                (Tag.WHITE_LEVEL, _LONG, 1, 2**_BITS - 1, True),
            ],
        )
    try:
        with rawpy.imread(BytesIO(buffer.getvalue())) as raw:
            matrix = np.array(raw.rgb_xyz_matrix[:3], np.float64)
            gains = np.array(raw.daylight_whitebalance[:3], np.float64)
    except rawpy.LibRawError as error:
        raise RawFileError(f"{make} {model}: LibRaw knows no such camera ({error})") from error
    if not matrix.any() or not (np.isfinite(gains).all() and (gains > 0).all()):
        raise RawFileError(f"{make} {model}: LibRaw knows no color matrix of such a camera")
    return Camera(
        make=make,
        model=model,
        white_level=2**_BITS - 1,
        as_shot_neutral=tuple(gains[1] / gains),
        # Single precision in LibRaw; four decimals in Adobe's tables.
        color_matrix=tuple(float(value) for value in matrix.round(4).ravel()),
    )
