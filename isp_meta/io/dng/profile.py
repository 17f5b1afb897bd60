"""Camera profiles: those inside a DNG, and DCP files."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...camera import ColorProfile
from ...errors import RawFileError
from ..input import read_bytes
from .calibration import as_shot_neutral
from .tags import Tag, TiffTags, read_tags

__all__ = ["color_profile", "read_profile"]

Matrix = NDArray[np.float64]

# A DCP file is a TIFF with another number behind its byte order.
_MAGIC = {b"IIRC": b"II*\0", b"MMCR": b"MM\0*"}
_ENCODINGS = ("linear", "srgb")
_MOST_STOPS = 8.0


def read_profile(path: str | os.PathLike[str]) -> ColorProfile:
    """Reads a camera profile file (DCP), to take the place of a camera's own.

    ``camera.replace(profile=read_profile("Camera Standard.dcp"))`` gives a camera that renders by
    it. A raw file's CameraCalibration and AnalogBalance are not applied to it.

    Args:
        path: DCP, or a DNG for the profile inside it.

    Raises:
        RawFileError: missing, no profile, truncated or without a usable color matrix; the text
            names file, cause and what to do.

    Source: DNG specification 1.7.1, chapter 6, "Camera Profiles"; a DCP's magic number is "CR".
    """
    data = read_bytes(path)
    magic = _MAGIC.get(data[:4])
    tags = read_tags(data if magic is None else magic + data[4:])
    if tags is None or (magic is None and not tags.is_dng):
        raise RawFileError(f"{path}: no camera profile, or damaged; name a DCP or DNG file")
    profile = color_profile(tags)
    if profile is None:
        raise RawFileError(f"{path}: has no usable color matrix; get a fresh copy of the profile")
    return profile


def color_profile(tags: TiffTags) -> ColorProfile | None:
    """The camera profile that tags hold.

    Its matrices include AnalogBalance and CameraCalibration. A part that makes no sense is left
    out: a table with a wrong number of values, say, or a tone curve that falls.

    Returns:
        None without a usable color matrix for each of its illuminants.

    Source: DNG specification 1.7.1, chapters 4 and 6.
    """
    usable, colors, forwards, maps = [], [], [], []
    neutral = as_shot_neutral(tags) or (1.0, 1.0, 1.0)
    for index, illuminant_code in enumerate(Tag.CALIBRATION_ILLUMINANT[:2]):
        color = _matrix(tags, Tag.COLOR_MATRIX[index])
        if color is None:
            continue
        calibration = _calibration(tags, index)
        forward = _matrix(tags, Tag.FORWARD_MATRIX[index])
        usable.append(_whole(tags, illuminant_code))
        colors.append(_row_major(calibration @ color))
        if forward is not None:
            forwards.append(_row_major(forward @ _individual(calibration, neutral)))
        maps.append(_table(tags, Tag.PROFILE_HUE_SAT_MAP_DIMS, Tag.PROFILE_HUE_SAT_MAP_DATA[index]))
    if not colors or not np.isfinite(colors).all():
        return None
    return ColorProfile(
        name=tags.texts.get(Tag.PROFILE_NAME, ""),
        illuminants=tuple(usable),
        color_matrices=tuple(colors),
        # Of two calibrations one forward matrix alone cannot be interpolated.
        forward_matrices=tuple(forwards) if len(forwards) == len(colors) else (),
        # One map alone serves every light.
        hue_sat_maps=tuple(table for table in maps if table is not None),
        hue_sat_encoding=_encoding(tags, Tag.PROFILE_HUE_SAT_MAP_ENCODING),
        look_table=_table(tags, Tag.PROFILE_LOOK_TABLE_DIMS, Tag.PROFILE_LOOK_TABLE_DATA),
        look_encoding=_encoding(tags, Tag.PROFILE_LOOK_TABLE_ENCODING),
        tone_curve=_tone_curve(tags),
        exposure=_stops(tags, Tag.BASELINE_EXPOSURE) + _stops(tags, Tag.BASELINE_EXPOSURE_OFFSET),
    )


def _matrix(tags: TiffTags, code: int) -> Matrix | None:
    """(3, 3) of a tag, if it can be inverted."""
    values = tags.numbers.get(code, ())
    if len(values) != 9 or not np.isfinite(values).all():
        return None
    matrix = np.reshape(values, (3, 3))
    return matrix if np.linalg.cond(matrix) < 1e6 else None


def _calibration(tags: TiffTags, index: int) -> Matrix:
    """(3, 3) AnalogBalance · CameraCalibration, from the model's color to the single camera's."""
    balance = tags.numbers.get(Tag.ANALOG_BALANCE, ())
    usable = len(balance) == 3 and all(0 < value < math.inf for value in balance)
    calibration = _matrix(tags, Tag.CAMERA_CALIBRATION[index])
    gains = np.reshape(balance if usable else (1.0, 1.0, 1.0), (3, 1))
    return gains * (np.eye(3) if calibration is None else calibration)


def _individual(calibration: Matrix, neutral: Sequence[float]) -> Matrix:
    """What a single camera's deviation means to its white-balanced color.

    ForwardMatrix takes the model's color, balanced; the identity unless CameraCalibration mixes
    channels, and exact for light as it was shot.
    """
    to_model = np.linalg.inv(calibration)
    balanced = to_model @ np.asarray(neutral)
    factor: Matrix = (to_model / balanced[:, None]) * np.asarray(neutral)
    return factor


def _row_major(matrix: Matrix) -> tuple[float, ...]:
    return tuple(float(value) for value in matrix.ravel())


def _whole(tags: TiffTags, code: int) -> int:
    value = (tags.numbers.get(code) or (0.0,))[0]
    return int(value) if math.isfinite(value) else 0


def _stops(tags: TiffTags, code: int) -> float:
    value = (tags.numbers.get(code) or (0.0,))[0]
    return value if abs(value) <= _MOST_STOPS else 0.0


def _encoding(tags: TiffTags, code: int) -> str:
    value = _whole(tags, code)
    return _ENCODINGS[value] if value in (0, 1) else "linear"


def _table(tags: TiffTags, dims_code: int, data_code: int) -> Tensor | None:
    """(hues, saturations, values, 3), stored with values outermost, then hues."""
    dims = tags.numbers.get(dims_code, ())
    data = tags.numbers.get(data_code, ())
    if len(dims) not in (2, 3) or not data or not np.isfinite((*dims, *data)).all():
        return None
    hues, saturations, values = (int(n) for n in (*dims, 1.0)[:3])
    if min(hues, values) < 1 or saturations < 2 or hues * saturations * values * 3 != len(data):
        return None
    table = torch.tensor(data, dtype=torch.float32).view(values, hues, saturations, 3)
    return table.movedim(0, 2).contiguous()


def _tone_curve(tags: TiffTags) -> Tensor | None:
    """(K, 2) points that rise from (0, 0) to (1, 1)."""
    values = tags.numbers.get(Tag.PROFILE_TONE_CURVE, ())
    if len(values) < 4 or len(values) % 2 or not np.isfinite(values).all():
        return None
    points = torch.tensor(values, dtype=torch.float32).view(-1, 2)
    rises = bool((points[:, 0].diff() > 0).all()) and bool((points[:, 1].diff() >= 0).all())
    ends = points[0].tolist() == [0, 0] and points[-1].tolist() == [1, 1]
    return points if rises and ends else None
