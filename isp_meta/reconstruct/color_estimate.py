"""A first guess of raw from sRGB alone: one polynomial for the whole picture."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

__all__ = ["apply_polynomial", "fit_polynomial"]

_DEGREE = 3
_POWERS = [p for p in itertools.product(range(_DEGREE + 1), repeat=3) if sum(p) <= _DEGREE]


def _monomials(color: Tensor) -> Tensor:
    """(20, ...) monomials up to degree 3 of (3, ...) colors."""
    power = [torch.ones_like(color), color, color * color, color * color * color]
    return torch.stack([power[r][0] * power[g][1] * power[b][2] for r, g, b in _POWERS])


def fit_polynomial(srgb: Tensor, value: Tensor) -> Tensor:
    """Least-squares cubic from sRGB to raw, in relative error, over samples that are not clipped.

    A clipped sample says only that raw was at least so large, so it would bend the fit; where
    nothing else is left, all are used. Errors count relative to brightness, as sRGB's do.

    Args:
        srgb: (N, 3) in [0, 1]. value: (N, 3) linear raw-RGB in [0, 1]. N >= 1.

    Returns:
        (3, 20) float64 coefficients for :func:`apply_polynomial`.
    """
    usable = (srgb < 1).all(1)
    if not bool(usable.any()):
        usable = torch.ones_like(usable)
    srgb, value = srgb[usable].double(), value[usable].double()
    weight = 1 / (value.mean(1) + 0.02) ** 2
    design = _monomials(srgb.T)
    weighted = design * weight
    normal = weighted @ design.T
    # A picture with few colors leaves directions undetermined; the ridge keeps those small.
    normal += torch.diag(normal.diagonal() * 1e-7 + 1e-9)
    solution: Tensor = torch.linalg.solve(normal, weighted @ value)
    return solution.T.contiguous()


def apply_polynomial(coefficients: Tensor, srgb: Tensor) -> Tensor:
    """The first guess.

    Args:
        coefficients: (3, 20) from :func:`fit_polynomial`. srgb: (3, ...) in [0, 1].

    Returns:
        (3, ...) in [0, 1], dtype of srgb.
    """
    terms = _monomials(srgb).flatten(1)
    return (coefficients.to(srgb.dtype) @ terms).clamp(0, 1).view(srgb.shape)
