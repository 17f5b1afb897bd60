"""Inverse tone curves: monotone, one a channel, straight between evenly spaced knots."""

from __future__ import annotations

import torch
from torch import Tensor

from ..samples import ParametricModel

__all__ = ["apply_curves", "fit_curves"]

_LAST = ParametricModel.KNOTS - 1
# Of curvature, and of the distance from the straight line, against one pixel a knot: they tell only
# where no pixel does.
_SMOOTHNESS, _STRAIGHTNESS = 1e-3, 1e-9


def _segment(level: Tensor) -> tuple[Tensor, Tensor]:
    """The knot below each level, and how far it is to the next."""
    position = level.clamp(0, 1) * _LAST
    knot = position.long().clamp_(max=_LAST - 1)
    return knot, position.sub_(knot)


def apply_curves(level: Tensor, curves: Tensor) -> Tensor:
    """Each channel through its curve.

    Args:
        level: (3, N) sRGB; outside [0, 1] the nearest end counts. curves: (3, 256), of its dtype.

    Returns:
        (3, N), dtype of level.
    """
    result = torch.empty_like(level)
    for channel, curve, out in zip(level, curves, result, strict=True):
        knot, beyond = _segment(channel)
        torch.lerp(curve[knot], curve[1:][knot], beyond, out=out)
    return result


def fit_curves(level: Tensor, linear: Tensor) -> Tensor:
    """The monotone curves that lead from sRGB to linear light, in least squares.

    Args:
        level: (3, N) sRGB in [0, 1], N >= 1. linear: (3, N).

    Returns:
        (3, 256) float64, never falling.
    """
    knots = _LAST + 1
    bend = torch.diff(torch.eye(knots, dtype=torch.float64), n=2, dim=0)
    line = torch.linspace(0, 1, knots, dtype=torch.float64)
    curves = []
    for channel, target in zip(level.double(), linear.double(), strict=True):
        knot, beyond = _segment(channel)
        pixels_a_knot = len(knot) / knots

        def total(place: Tensor, value: Tensor) -> Tensor:
            return torch.bincount(place, value, minlength=knots)

        diagonal = total(knot, (1 - beyond).square()) + total(knot + 1, beyond.square())
        beside = torch.diag(total(knot, (1 - beyond) * beyond)[:-1], 1)
        normal = torch.diag(diagonal + _STRAIGHTNESS * pixels_a_knot) + beside + beside.T
        normal += _SMOOTHNESS * pixels_a_knot * (bend.T @ bend)
        right = total(knot, (1 - beyond) * target) + total(knot + 1, beyond * target)
        curve = torch.linalg.solve(normal, right + _STRAIGHTNESS * pixels_a_knot * line)
        falling_from_above = curve.flip(0).cummin(0).values.flip(0)
        curves.append((curve.cummax(0).values + falling_from_above) / 2)
    return torch.stack(curves)
