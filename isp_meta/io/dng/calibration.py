"""Color and noise of a sensor from the tags of its DNG."""

from __future__ import annotations

import math

import numpy as np

from ...colorimetry import ILLUMINANT_KELVIN
from .tags import Tag, TiffTags

__all__ = [
    "as_shot_neutral",
    "color_matrix",
    "neutral_of_white",
    "noise_profile",
]

D65_KELVIN = 6504.0
_D65 = 21
_D65_XY = (0.3127, 0.3290)


def as_shot_neutral(tags: TiffTags) -> tuple[float, ...] | None:
    """(3,) DNG AsShotNeutral, or None if it is missing or not positive."""
    neutral = tags.numbers.get(Tag.AS_SHOT_NEUTRAL, ())
    usable = len(neutral) == 3 and all(0 < n < math.inf for n in neutral)
    return neutral if usable else None


def neutral_of_white(tags: TiffTags) -> tuple[float, float, float]:
    """Camera color of AsShotWhiteXY, of daylight (D65) without it, green = 1.

    Of a file without a usable color matrix it is (1, 1, 1).

    Source: DNG specification 1.7.1, AsShotWhiteXY; chapter 6.
    """
    color = color_matrix(tags)
    xy = tags.numbers.get(Tag.AS_SHOT_WHITE_XY, ())
    x, y = xy if len(xy) == 2 and 0 < xy[1] < 1 and 0 < xy[0] < 1 else _D65_XY
    if color is None:
        return 1.0, 1.0, 1.0
    red, green, blue = np.reshape(color[0], (3, 3)) @ (x / y, 1.0, (1 - x - y) / y)
    if not min(red, green, blue) > 0:
        return 1.0, 1.0, 1.0
    return float(red / green), 1.0, float(blue / green)


def color_matrix(tags: TiffTags) -> tuple[tuple[float, ...], int] | None:
    """The color matrix of the calibration illuminant nearest to D65.

        XYZ to camera = AnalogBalance · CameraCalibration · ColorMatrix

    Returns:
        (9,) row-major, and the EXIF LightSource code of its illuminant; None without a matrix.

    Source: DNG specification 1.7.1, chapter 6, "Mapping Camera Color Space to CIE XYZ Space".
    """
    balance = tags.numbers.get(Tag.ANALOG_BALANCE, (1.0, 1.0, 1.0))
    found = []
    for matrix_code, calibration_code, illuminant_code in zip(
        Tag.COLOR_MATRIX, Tag.CAMERA_CALIBRATION, Tag.CALIBRATION_ILLUMINANT, strict=True
    ):
        matrix = tags.numbers.get(matrix_code, ())
        calibration = tags.numbers.get(calibration_code, tuple(np.eye(3).ravel()))
        if len(matrix) != 9 or len(calibration) != 9 or len(balance) != 3:
            continue
        product3 = np.diag(balance) @ np.reshape(calibration, (3, 3)) @ np.reshape(matrix, (3, 3))
        if not np.isfinite(product3).all() or not product3.any():
            continue
        illuminant = int(tags.numbers.get(illuminant_code, (0.0,))[0])
        # Color differences go with reciprocal temperature (mired), not with temperature.
        kelvin = ILLUMINANT_KELVIN.get(illuminant, 1.0)
        distance = abs(1 / kelvin - 1 / D65_KELVIN)
        found.append((distance, tuple(float(v) for v in product3.ravel()), illuminant))
    if not found:
        return None
    _, matrix, illuminant = min(found)
    return matrix, illuminant or _D65


def noise_profile(tags: TiffTags) -> tuple[float, float] | None:
    """Shot and read noise of the linear mosaic: variance = shot * signal + read.

    Returns:
        The tag's values; where each color has its own, their mean over the mosaic. None without a
        usable NoiseProfile tag.

    Source: DNG specification 1.7.1, NoiseProfile.
    """
    values = tags.numbers.get(Tag.NOISE_PROFILE, ())
    # Of one plane, or of red, green and blue: green has half of the mosaic.
    weights = {2: (1.0,), 6: (0.25, 0.5, 0.25)}.get(len(values))
    if weights is None or not all(0 <= value <= 1 for value in values):
        return None
    shot, read = np.array(weights) @ np.reshape(values, (-1, 2))
    return float(shot), float(read)
