"""The sensor behind a picture: its levels, its colors, and what its maker says of both."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..lazily import torch
from ..optics import Warp
from ..printing import Brief
from .editing import EditorTags

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "BAYER_PATTERNS",
    "LINEAR",
    "MONOCHROME",
    "QUAD_BAYER",
    "XTRANS",
    "Camera",
    "ColorProfile",
    "GainMap",
    "Neutral",
    "check_cfa",
    "pattern_of",
    "period_of",
]

Neutral = tuple[float, float, float]
"""Camera color of a neutral object."""

BAYER_PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")
QUAD_BAYER = "RRGGRRGGGGBBGGBB"
XTRANS = "GBGGRGRGRBGBGBGGRGGRGGBGBGBRGRGRGGBG"
MONOCHROME = "W"
LINEAR = "RGB"
_LONGEST_PERIOD = 8

# XYZ (D65) to linear sRGB, IEC 61966-2-1: the "camera" of a picture that has no sensor.
_XYZ_TO_SRGB = (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570)


def period_of(cfa: str) -> int:
    """Side of the square that a sensor's colors repeat in; 1 without a mosaic.

    Args:
        cfa: as :attr:`Camera.cfa`.
    """
    return 1 if cfa == LINEAR else math.isqrt(len(cfa))


def pattern_of(cfa: str) -> Tensor:
    """Colors of a mosaic's places.

    Args:
        cfa: as :attr:`Camera.cfa`, but not "RGB", of which every pixel has all three.

    Returns:
        (period, period) int64: 0 red, 1 green, 2 blue. The one place of a monochrome sensor is
        green, the color nearest to what it sees.

    Raises:
        ValueError: there is no mosaic, or ``cfa`` is none.
    """
    check_cfa(cfa)
    if cfa == LINEAR:
        raise ValueError("every pixel of a linear picture has all colors; it has no pattern")
    colors = ["RGB".index(color) for color in cfa.replace(MONOCHROME, "G")]
    return torch.tensor(colors).view(period_of(cfa), -1)


def check_cfa(cfa: str) -> None:
    """Refuses what is no color filter.

    Raises:
        ValueError: not as :attr:`Camera.cfa`.
    """
    if cfa in (MONOCHROME, LINEAR, *BAYER_PATTERNS):
        return
    side = period_of(cfa)
    whole = 2 < side <= _LONGEST_PERIOD and side**2 == len(cfa)
    if not whole or set(cfa) != set("RGB"):
        raise ValueError(
            f"cfa must be one of {', '.join(BAYER_PATTERNS)}, the R, G and B of a square of 3 to "
            f"{_LONGEST_PERIOD} pixels a side, {MONOCHROME} or {LINEAR}, not {cfa[:64]!r}"
        )


@dataclass(frozen=True, eq=False, repr=False)
class GainMap(Brief):
    """Gains over the sensor's area that undo the lens's shading, on a coarse grid.

    Attributes:
        gains: (rows, columns, planes) float32, > 0.
        rectangle: (top, left, bottom, right) of the pixels it applies to, in :attr:`Frame.codes`.
        pitch: (rows, columns): every how many pixels, from the rectangle's corner, it applies.
        planes: (first, count) of the colors it applies to: (0, 1) for a mosaic.
        spacing: (vertical, horizontal) between the grid's points, relative to the picture's size.
        origin: (vertical, horizontal) of the grid's first point, relative to the picture's size.

    Source: DNG specification 1.7.1, chapter 7, opcode GainMap.
    """

    gains: Tensor
    rectangle: tuple[int, int, int, int]
    pitch: tuple[int, int] = (1, 1)
    planes: tuple[int, int] = (0, 1)
    spacing: tuple[float, float] = (1.0, 1.0)
    origin: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, eq=False, repr=False)
class ColorProfile(Brief):
    """A DNG camera profile: what a raw file or a DCP file says of the camera's colors.

    Attributes:
        name: as in ProfileName.
        illuminants: EXIF LightSource code of each calibration, one or two.
        color_matrices: (9,) row-major for each illuminant, XYZ to camera, calibration included.
        forward_matrices: (9,) for each illuminant, white-balanced camera to XYZ D50; or empty.
        hue_sat_maps: (hues, saturations, values, 3) for each illuminant: hue shift in degrees,
            saturation scale, value scale; or empty.
        hue_sat_encoding: of the value axis: "linear" or "srgb".
        look_table: of that form, applied after exposure; or None.
        look_encoding: of its value axis.
        tone_curve: (K, 2) knots over [0, 1], or None.
        exposure: stops by which the maker lifts the picture (BaselineExposure and its offset).

    Source: DNG specification 1.7.1, chapters 5 and 6.
    """

    name: str = ""
    illuminants: tuple[int, ...] = (21,)
    color_matrices: tuple[tuple[float, ...], ...] = ()
    forward_matrices: tuple[tuple[float, ...], ...] = ()
    hue_sat_maps: tuple[Tensor, ...] = ()
    hue_sat_encoding: str = "linear"
    look_table: Tensor | None = None
    look_encoding: str = "linear"
    tone_curve: Tensor | None = None
    exposure: float = 0.0


@dataclass(frozen=True, repr=False)
class Camera(Brief):
    """The sensor and its calibration, as a raw file states them.

    Attributes:
        make, model: as in EXIF; may be empty.
        cfa: colors of the mosaic's top-left square, which repeats, row-major: R, G and B of 2x2
            pixels (RGGB, BGGR, GRBG, GBRG), of 4x4 (:data:`QUAD_BAYER`), of 6x6 (:data:`XTRANS`),
            of any side up to 8. "W": monochrome. "RGB": linear, all three at every pixel.
        black_level: sensor codes at zero light, one for each letter of ``cfa`` in that order; a
            single one stands for all.
        white_level: sensor code at saturation.
        as_shot_neutral: (3,) camera color of a neutral object, green = 1 by custom, all > 0
            (DNG AsShotNeutral); the gains of white balance are its reciprocals.
        color_matrix: (9,) 3x3 row-major, XYZ to camera (DNG ColorMatrix).
        illuminant: EXIF LightSource code of ``color_matrix`` (21: D65, 23: D50, 17: standard A).
        orientation: EXIF Orientation, 1 to 8; pixels always stay as the sensor delivered them.
        crop: (top, left) of the picture's first pixel in the raw file's full area; negative where
            the picture reaches beyond it.
        exif: further tags by name, for passing through.
        neutral: (3,) camera color that the picture was balanced to, or of a batch one for each
            picture; None: ``as_shot_neutral``.
        profile: the maker's account of the colors beyond one matrix, or None.
        gain_maps: lens shading, to be undone; applied one after the other.
        warp: distortion of the lens, to be undone, or None.
        noise: (shot, read) of a mosaic in [0, 1]: variance = shot * signal + read; None: unknown.
        default_scale: (horizontal, vertical) factors that make pixels square (DNG DefaultScale).
        editing: what the raw file tells raw editors, or None; :func:`isp_meta.write_dng` passes it
            on.

    ``==`` ignores the last seven. Metadata keeps ``editing`` alone of them, with DefaultScale in
    it; the others serve rendering.

    Raises:
        ValueError: a value out of its range.
    """

    make: str = ""
    model: str = ""
    cfa: str = "RGGB"
    black_level: tuple[float, ...] = (0.0,)
    white_level: float = 65535.0
    as_shot_neutral: Neutral = (1.0, 1.0, 1.0)
    color_matrix: tuple[float, ...] = _XYZ_TO_SRGB
    illuminant: int = 21
    orientation: int = 1
    crop: tuple[int, int] = (0, 0)
    exif: Mapping[str, str] = field(default_factory=dict)
    neutral: Neutral | tuple[Neutral, ...] | None = field(default=None, compare=False)
    profile: ColorProfile | None = field(default=None, compare=False)
    gain_maps: tuple[GainMap, ...] = field(default=(), compare=False)
    warp: Warp | None = field(default=None, compare=False)
    noise: tuple[float, float] | None = field(default=None, compare=False)
    default_scale: tuple[float, float] = field(default=(1.0, 1.0), compare=False)
    editing: EditorTags | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        check_cfa(self.cfa)
        if len(self.black_level) == 1:
            object.__setattr__(self, "black_level", tuple(self.black_level) * len(self.cfa))
        if len(self.black_level) != len(self.cfa) or len(self.as_shot_neutral) != 3:
            raise ValueError(
                f"black_level takes {len(self.cfa)} values under {self.cfa}, as_shot_neutral 3"
            )
        if len(self.color_matrix) != 9:
            raise ValueError(f"color_matrix takes 9 values, not {len(self.color_matrix)}")
        if not all(b < self.white_level for b in self.black_level):
            raise ValueError(
                f"white_level {self.white_level} must exceed every black_level {self.black_level}"
            )
        if not all(n > 0 for n in self.as_shot_neutral):
            raise ValueError(f"as_shot_neutral must be positive, not {self.as_shot_neutral}")
        if self.neutral is not None:
            values = torch.tensor(self.neutral)
            if values.dim() > 2 or values.shape[-1] != 3 or not bool((values > 0).all()):
                raise ValueError(f"neutral must be 3 positive values, not {self.neutral}")
        if not 1 <= self.orientation <= 8:
            raise ValueError(f"orientation must be 1 to 8, not {self.orientation}")

    @property
    def period(self) -> int:
        """Side of the square that ``cfa`` and ``black_level`` repeat in; 1 without a mosaic."""
        return period_of(self.cfa)

    @property
    def channels(self) -> int:
        """Of the sensor's codes: 3 of a linear picture, 1 of a mosaic and of a monochrome one."""
        return 3 if self.cfa == LINEAR else 1

    def replace(self, **changes: Any) -> Camera:
        """A copy with some attributes changed."""
        return dataclasses.replace(self, **changes)
