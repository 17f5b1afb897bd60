"""Color spaces, their transfer functions, white points and temperatures of light.

Every matrix between color spaces follows from the primaries and white points stated here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from .lazily import torch

if TYPE_CHECKING:
    from torch import Tensor


__all__ = [
    "D50",
    "ILLUMINANT_KELVIN",
    "SPACES",
    "TRANSFERS",
    "ColorSpace",
    "Transfer",
    "bradford",
    "conversion",
    "rgb_to_xyz",
    "temperature_of_xy",
    "xy_of_temperature",
    "xy_to_xyz",
]

# CIE xy. D50 is that of the ICC's profile connection space: XYZ 0.9642, 1, 0.8249.
D50 = (0.9642 / 2.7891, 1 / 2.7891)
D65 = (0.3127, 0.3290)

# EXIF LightSource to correlated color temperature (DNG specification, CalibrationIlluminant1).
ILLUMINANT_KELVIN: Mapping[int, float] = {
    1: 5500.0,  # daylight
    2: 4150.0,  # fluorescent
    3: 2850.0,  # tungsten
    4: 5500.0,  # flash
    9: 5500.0,  # fine weather
    10: 6500.0,  # cloudy
    11: 7500.0,  # shade
    12: 6400.0,  # daylight fluorescent
    13: 5050.0,  # day white fluorescent
    14: 4150.0,  # cool white fluorescent
    15: 3525.0,  # white fluorescent
    16: 2925.0,  # warm white fluorescent
    17: 2850.0,  # standard light A
    18: 5500.0,  # standard light B
    19: 6500.0,  # standard light C
    20: 5500.0,  # D55
    21: 6500.0,  # D65
    22: 7500.0,  # D75
    23: 5000.0,  # D50
    24: 3200.0,  # ISO studio tungsten
}


@dataclass(frozen=True)
class Transfer:
    """A transfer function: a straight piece from black, then a power.

        encode(x) = slope x up to x = end, (1 + offset) x^(1/gamma) - offset above

    Attributes:
        gamma, offset: of the power.
        slope: of the straight piece.
        end: where the two meet, in linear light; unrounded, so that the curve has no step and its
            inverse is exact. 0: a straight line alone.
    """

    gamma: float
    offset: float
    slope: float
    end: float

    def encode(self, linear: Tensor) -> Tensor:
        """Linear light to encoded values; any shape, floating point, gradients finite."""
        if self.end == 0:
            return linear
        # The power's gradient is infinite at 0 and NaN below. Below the joint the clamped power is
        # level and the line lies under it; above, the power does: so the lower one is right.
        power = linear.clamp(min=self.end).pow(1 / self.gamma)
        power = power.mul_(1 + self.offset).sub_(self.offset)
        return torch.minimum(power, self.slope * linear)

    def decode(self, encoded: Tensor) -> Tensor:
        """Encoded values to linear light: undoes :meth:`encode`."""
        if self.end == 0:
            return encoded
        joint = self.slope * self.end
        power = ((encoded.clamp(min=joint) + self.offset) / (1 + self.offset)) ** self.gamma
        return torch.where(encoded <= joint, encoded / self.slope, power)


# gamma 2.2 has no straight piece; this one, 1e-8 long, makes its gradient finite at black.
_PURE_END = 1e-8

TRANSFERS: Mapping[str, Transfer] = {
    # IEC 61966-2-1, section 5.2, whose 0.0031308 is rounded.
    "srgb": Transfer(2.4, 0.055, 12.92, 0.00313066844250063),
    # ITU-R BT.709 and BT.2020, whose alpha and beta are rounded.
    "rec709": Transfer(1 / 0.45, 0.09929682680944, 4.5, 0.018053968510807),
    "gamma2.2": Transfer(2.2, 0.0, _PURE_END ** (1 / 2.2 - 1), _PURE_END),
    # ISO 22028-2 (ROMM RGB).
    "prophoto": Transfer(1.8, 0.0, 16.0, 1 / 512),
    "linear": Transfer(1.0, 0.0, 1.0, 0.0),
}


@dataclass(frozen=True)
class ColorSpace:
    """An RGB color space.

    Attributes:
        primaries: CIE xy of red, green and blue.
        white: CIE xy.
        transfer: its own transfer function, a key of :data:`TRANSFERS`.
    """

    primaries: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
    white: tuple[float, float]
    transfer: str


SPACES: Mapping[str, ColorSpace] = {
    # IEC 61966-2-1; SMPTE EG 432-1 with D65; ITU-R BT.2020; ISO 22028-2.
    "srgb": ColorSpace(((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), D65, "srgb"),
    "display-p3": ColorSpace(((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), D65, "srgb"),
    "rec2020": ColorSpace(((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), D65, "rec709"),
    "prophoto": ColorSpace(
        ((0.734699, 0.265301), (0.159597, 0.840403), (0.036598, 0.000105)), D50, "prophoto"
    ),
    "xyz": ColorSpace(((1.0, 0.0), (0.0, 1.0), (0.0, 0.0)), D50, "linear"),
}

# Lam 1985: "sharpened" cone responses of XYZ.
_BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))


def xy_to_xyz(xy: Tensor) -> Tensor:
    """(..., 2) chromaticity to (..., 3) XYZ with Y = 1."""
    x, y = xy[..., 0], xy[..., 1]
    return torch.stack([x / y, torch.ones_like(y), (1 - x - y) / y], -1)


def _white(xy: tuple[float, float]) -> Tensor:
    return xy_to_xyz(torch.tensor(xy, dtype=torch.float64))


@lru_cache
def _rgb_to_xyz(space: str) -> Tensor:
    if space == "xyz":
        return torch.eye(3, dtype=torch.float64)
    xy = torch.tensor(SPACES[space].primaries, dtype=torch.float64)
    columns: Tensor = torch.cat([xy, 1 - xy.sum(1, keepdim=True)], 1).T
    scale: Tensor = torch.linalg.solve(columns, _white(SPACES[space].white))
    return columns * scale


def rgb_to_xyz(space: str) -> Tensor:
    """Matrix from linear RGB to XYZ, relative to the space's own white.

    Args:
        space: a key of :data:`SPACES`; "xyz" is XYZ under D50.

    Returns:
        (3, 3) float64: takes (1, 1, 1) to the white point with Y = 1.

    Raises:
        ValueError: there is no such space.

    Source: SMPTE RP 177-1993, section 3.3.
    """
    if space not in SPACES:
        raise ValueError(f"space must be one of {', '.join(SPACES)}, not {space!r}")
    return _rgb_to_xyz(space).clone()


def bradford(source: Tensor, target: Tensor) -> Tensor:
    """Matrix that adapts XYZ seen under one white to another.

    Args:
        source, target: (3,) XYZ of the whites, float64, Y = 1.

    Returns:
        (3, 3) float64: takes ``source`` to ``target``.

    Source: ICC.1:2022, annex E; DNG specification 1.7.1, chapter 6.
    """
    cones = torch.tensor(_BRADFORD, dtype=torch.float64)
    gain = (cones @ target) / (cones @ source)
    adapt: Tensor = torch.linalg.solve(cones, gain[:, None] * cones)
    return adapt


@lru_cache
def _conversion(source: str, target: str) -> Tensor:
    to_xyz = rgb_to_xyz(source)
    if SPACES[source].white != SPACES[target].white:
        to_xyz = bradford(_white(SPACES[source].white), _white(SPACES[target].white)) @ to_xyz
    matrix: Tensor = torch.linalg.solve(rgb_to_xyz(target), to_xyz)
    return matrix


def conversion(source: str, target: str) -> Tensor:
    """Matrix from one linear color space to another, adapted by Bradford's method.

    Args:
        source, target: keys of :data:`SPACES`.

    Returns:
        (3, 3) float64; between RGB spaces its rows sum to 1: white stays white.

    Raises:
        ValueError: there is no such space.
    """
    return _conversion(source, target).clone()


# Isotemperature lines: mired, CIE 1960 u and v on Planck's locus, slope. The u of 325 mired is
# printed with a slip of the pen in the first edition.
_ISOTEMPERATURE = (
    (0.0, 0.18006, 0.26352, -0.24341),
    (10.0, 0.18066, 0.26589, -0.25479),
    (20.0, 0.18133, 0.26846, -0.26876),
    (30.0, 0.18208, 0.27119, -0.28539),
    (40.0, 0.18293, 0.27407, -0.30470),
    (50.0, 0.18388, 0.27709, -0.32675),
    (60.0, 0.18494, 0.28021, -0.35156),
    (70.0, 0.18611, 0.28342, -0.37915),
    (80.0, 0.18740, 0.28668, -0.40955),
    (90.0, 0.18880, 0.28997, -0.44278),
    (100.0, 0.19032, 0.29326, -0.47888),
    (125.0, 0.19462, 0.30141, -0.58204),
    (150.0, 0.19962, 0.30921, -0.70471),
    (175.0, 0.20525, 0.31647, -0.84901),
    (200.0, 0.21142, 0.32312, -1.0182),
    (225.0, 0.21807, 0.32909, -1.2168),
    (250.0, 0.22511, 0.33439, -1.4512),
    (275.0, 0.23247, 0.33904, -1.7298),
    (300.0, 0.24010, 0.34308, -2.0637),
    (325.0, 0.24792, 0.34655, -2.4681),
    (350.0, 0.25591, 0.34951, -2.9641),
    (375.0, 0.26400, 0.35200, -3.5814),
    (400.0, 0.27218, 0.35407, -4.3633),
    (425.0, 0.28039, 0.35577, -5.3762),
    (450.0, 0.28863, 0.35714, -6.7262),
    (475.0, 0.29685, 0.35823, -8.5955),
    (500.0, 0.30505, 0.35907, -11.324),
    (525.0, 0.31320, 0.35968, -15.628),
    (550.0, 0.32129, 0.36011, -23.325),
    (575.0, 0.32931, 0.36038, -40.770),
    (600.0, 0.33724, 0.36051, -116.45),
)
# Tint 1 is 1/3000 of a unit of CIE 1960 uv, as in Adobe's programs.
_TINT_SCALE = 3000.0


def _isotemperature_lines() -> tuple[Tensor, Tensor, Tensor]:
    """Mired (N,), points of the locus (N, 2), unit vectors away from it toward green (N, 2)."""
    table = torch.tensor(_ISOTEMPERATURE, dtype=torch.float64)
    away = torch.stack([-torch.ones_like(table[:, 3]), -table[:, 3]], 1)
    return table[:, 0].contiguous(), table[:, 1:3], away / away.norm(dim=1, keepdim=True)


def _between(values: Tensor, segment: Tensor, weight: Tensor) -> Tensor:
    below, above = values[segment], values[segment + 1]
    return below + weight * (above - below)


def xy_of_temperature(kelvin: Tensor, tint: Tensor) -> Tensor:
    """Chromaticity of light of a temperature, differentiable.

    Args:
        kelvin: () float64, 1667 or more.
        tint: () float64, distance from Planck's locus in 1/3000 of CIE 1960 uv; positive is
            greener light (which balancing turns magenta).

    Returns:
        (2,) float64, CIE xy.

    Source: Robertson, "Computation of correlated color temperature and distribution temperature",
    JOSA 58(11), 1968; Wyszecki and Stiles, Color Science, 2nd edition, table 1(3.11).
    """
    mireds, locus, away = _isotemperature_lines()
    mired = 1e6 / kelvin.double()
    segment = torch.searchsorted(mireds, mired.detach(), right=True).clamp(1, len(mireds) - 1) - 1
    weight = (mired - mireds[segment]) / (mireds[segment + 1] - mireds[segment])
    direction = _between(away, segment, weight)
    direction = direction / direction.norm()
    uv = _between(locus, segment, weight) + direction * tint.double() / _TINT_SCALE
    xy: Tensor = uv * uv.new_tensor([1.5, 1.0]) / (uv[0] - 4 * uv[1] + 2)
    return xy


def temperature_of_xy(xy: Tensor) -> tuple[float, float]:
    """Correlated color temperature and tint of a chromaticity: undoes :func:`xy_of_temperature`.

    Args:
        xy: (2,) float64, CIE xy.

    Returns:
        Kelvin, 1667 to 100000 (beyond, the nearest), and tint.

    Source: as for :func:`xy_of_temperature`.
    """
    mireds, locus, away = _isotemperature_lines()
    x, y = xy.double().unbind()
    uv = torch.stack([2 * x, 3 * y]) / (1.5 - x + 6 * y)
    offset = uv - locus
    # Beyond which lines the color lies: positive toward higher temperatures' far side.
    beyond = offset[:, 1] * away[:, 0] - offset[:, 0] * away[:, 1]
    segment = (beyond < 0).sum().clamp(1, len(mireds) - 1) - 1
    before, after = beyond[segment], beyond[segment + 1]
    weight = (before / (before - after)).clamp(0, 1)
    mired = float(_between(mireds, segment, weight))
    direction = _between(away, segment, weight)
    tint = (uv - _between(locus, segment, weight)) @ (direction / direction.norm())
    return 1e6 / max(mired, 10.0), float(tint) * _TINT_SCALE
