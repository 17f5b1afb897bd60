"""What a camera's profile says under a given light: DNG's mathematics of camera color.

The neutral gives the light's chromaticity by the color matrices, that its temperature, and that the
weights of the profile's two calibrations.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from ..camera import Camera, ColorProfile, Neutral
from ..colorimetry import (
    D50,
    ILLUMINANT_KELVIN,
    bradford,
    temperature_of_xy,
    xy_of_temperature,
    xy_to_xyz,
)

__all__ = [
    "camera_neutral",
    "camera_to_xyz",
    "first_weight",
    "neutral_of_temperature",
    "neutral_to_xy",
]

_MOST_PASSES = 50
_CONVERGED = 1e-9
_LEAST_NEUTRAL = 1e-3
_LARGEST_CONDITION = 1e6

Matrices = tuple[tuple[float, ...], ...]


def camera_neutral(camera: Camera) -> Neutral:
    """(3,) the camera color that the picture was balanced to: chosen by a stage, or as shot.

    Raises:
        ValueError: the pictures of a batch were balanced to one each.
    """
    if camera.neutral is None:
        return camera.as_shot_neutral
    if isinstance(camera.neutral[0], tuple):
        raise ValueError(
            f"the camera's profile is for one light, and this batch was balanced to "
            f"{len(camera.neutral)}, one a picture; take its pictures one by one, or bind the "
            "stages behind the white balance"
        )
    return camera.neutral


def _calibrations(camera: Camera) -> tuple[Matrices, Matrices, tuple[int, ...]]:
    """Color matrices, forward matrices and illuminants of the profile, or of the camera itself."""
    profile = camera.profile or ColorProfile()
    if not profile.color_matrices:
        return (camera.color_matrix,), (), (camera.illuminant,)
    forward = profile.forward_matrices
    # Half a pair of forward matrices cannot be interpolated.
    usable = forward if len(forward) == len(profile.color_matrices) else ()
    return profile.color_matrices, usable, profile.illuminants


def _weight(illuminants: tuple[int, ...], kelvin: float) -> float:
    temperatures = [ILLUMINANT_KELVIN.get(code) for code in illuminants]
    if len(temperatures) < 2:
        return 1.0
    first, second = temperatures[:2]
    if first is None or second is None or first == second:
        return 1.0
    weight = (1 / kelvin - 1 / second) / (1 / first - 1 / second)
    return min(max(weight, 0.0), 1.0)


def _interpolate(matrices: Matrices, illuminants: tuple[int, ...], kelvin: float) -> Tensor:
    stack = torch.tensor(matrices, dtype=torch.float64).view(-1, 3, 3)
    if len(stack) < 2:
        return stack[0]
    weight = _weight(illuminants, kelvin)
    return weight * stack[0] + (1 - weight) * stack[1]


def _normalized_xy(xyz: Tensor) -> Tensor:
    return xyz[:2] / xyz.sum()


@lru_cache
def _neutral_to_xyz(
    color: Matrices, illuminants: tuple[int, ...], neutral: Neutral
) -> tuple[Tensor, Tensor]:
    """XYZ of the light (Y = 1), and the color matrix under it."""
    target = torch.tensor(neutral, dtype=torch.float64)
    xy = torch.tensor(D50, dtype=torch.float64)
    for _ in range(_MOST_PASSES):
        kelvin, _ = temperature_of_xy(xy)
        matrix = _interpolate(color, illuminants, kelvin)
        if float(torch.linalg.cond(matrix)) > _LARGEST_CONDITION:
            raise ValueError(f"color matrix {tuple(matrix.flatten().tolist())} is no calibration")
        xyz = torch.linalg.solve(matrix, target)
        if not bool((xyz > 0).all()):
            raise ValueError(f"neutral {neutral} is no color of light under the camera's matrices")
        step = _normalized_xy(xyz) - xy
        if float(step.abs().sum()) < _CONVERGED:
            break
        # A whole step swings around the answer, with some cameras for longer than 30 passes.
        xy = xy + step / 2
    return xyz / xyz[1], matrix


def neutral_to_xy(camera: Camera, neutral: Neutral | None = None) -> tuple[float, float]:
    """Chromaticity of the light under which a color of the camera is neutral.

    The color matrix depends on the light's temperature and the light on the matrix, so the two are
    found in turns, from D50, going half of the way every time.

    Args:
        camera: with or without a profile.
        neutral: camera color; None: :func:`camera_neutral`.

    Returns:
        CIE xy.

    Raises:
        ValueError: the matrices are no calibration, or no light gives that color.

    Source: DNG specification 1.7.1, chapter 6, "Translating Camera Neutral Coordinates to White
    Balance xy Coordinates".
    """
    color, _, illuminants = _calibrations(camera)
    xyz, _ = _neutral_to_xyz(color, illuminants, neutral or camera_neutral(camera))
    x, y = _normalized_xy(xyz).tolist()
    return x, y


def first_weight(camera: Camera) -> float:
    """Weight of the profile's first calibration under the light that the picture was balanced to.

        w = (1/T - 1/T2) / (1/T1 - 1/T2), confined to [0, 1]; that of the second is 1 - w

    Returns:
        0 to 1; 1 without a second calibration.

    Source: DNG specification 1.7.1, chapter 6, "Camera Calibration Tags".
    """
    _, _, illuminants = _calibrations(camera)
    if len(illuminants) < 2:
        return 1.0
    xy = torch.tensor(neutral_to_xy(camera), dtype=torch.float64)
    return _weight(illuminants, temperature_of_xy(xy)[0])


def neutral_of_temperature(camera: Camera, kelvin: Tensor, tint: Tensor) -> Tensor:
    """Camera color of a neutral object in light of a temperature.

        neutral = ColorMatrix(kelvin) · XYZ(xy(kelvin, tint)), the largest channel 1

    Args:
        camera: with or without a profile.
        kelvin, tint: () see :func:`isp_meta.colorimetry.xy_of_temperature`; differentiable.

    Returns:
        (3,) float64, at least 0.001.

    Source: DNG specification 1.7.1, chapter 6, "Translating White Balance xy Coordinates to Camera
    Neutral Coordinates".
    """
    color, _, illuminants = _calibrations(camera)
    xy = xy_of_temperature(kelvin, tint)
    matrix = _interpolate(color, illuminants, temperature_of_xy(xy.detach())[0])
    neutral = matrix.to(xy) @ xy_to_xyz(xy)
    return (neutral / neutral.max()).clamp(min=_LEAST_NEUTRAL)


@lru_cache
def _camera_to_xyz(
    color: Matrices, forward: Matrices, illuminants: tuple[int, ...], neutral: Neutral
) -> Tensor:
    white, matrix = _neutral_to_xyz(color, illuminants, neutral)
    d50 = xy_to_xyz(torch.tensor(D50, dtype=torch.float64))
    if forward:
        kelvin, _ = temperature_of_xy(_normalized_xy(white))
        from_balanced = _interpolate(forward, illuminants, kelvin)
        # What rounding in the tag took from white.
        return (d50 / from_balanced.sum(1))[:, None] * from_balanced
    balanced = torch.tensor(neutral, dtype=torch.float64).diag()
    to_xyz: Tensor = bradford(white, d50) @ torch.linalg.solve(matrix, balanced)
    return to_xyz / float(to_xyz[1].sum())


def camera_to_xyz(camera: Camera) -> Tensor:
    """Matrix from white-balanced camera color to XYZ under D50.

        with forward matrices:  ForwardMatrix, interpolated
        without:                Bradford(light to D50) · ColorMatrix⁻¹ · diag(neutral)

    Both are interpolated linearly between the two calibrations by :func:`first_weight`.

    Args:
        camera: balanced to :func:`camera_neutral`; without a profile its one ``color_matrix``.

    Returns:
        (3, 3) float64: takes (1, 1, 1) to D50 with Y = 1.

    Raises:
        ValueError: as for :func:`neutral_to_xy`, or a forward matrix without a white.

    Source: DNG specification 1.7.1, chapter 6, "Mapping Camera Color Space to CIE XYZ Space".
    """
    matrix = _camera_to_xyz(*_calibrations(camera), camera_neutral(camera))
    if not all(map(math.isfinite, matrix.flatten().tolist())):
        raise ValueError("the profile's forward matrices take white to no color")
    return matrix.clone()
