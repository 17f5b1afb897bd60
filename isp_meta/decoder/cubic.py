"""A first guess of raw from sRGB alone: one polynomial for the whole picture."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

__all__ = ["apply_polynomial", "fit_polynomial"]

_DEGREE = 3
_POWERS = [p for p in itertools.product(range(_DEGREE + 1), repeat=3) if sum(p) <= _DEGREE]
# Pixels whose monomials stay in the cache.
_RUN = 16384


def _monomials(color: Tensor) -> Tensor:
    """(20, N) monomials up to degree 3 of (3, N) colors."""
    terms = color.new_ones(len(_POWERS), color.shape[1])
    for i, powers in enumerate(_POWERS[1:], 1):
        channel = next(c for c in range(3) if powers[c])
        lower = tuple(power - (c == channel) for c, power in enumerate(powers))
        torch.mul(terms[_POWERS.index(lower)], color[channel], out=terms[i])
    return terms


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
    coefficients = coefficients.to(srgb.dtype)
    raw = srgb.new_empty(3, srgb[0].numel())
    runs = (torch.split(pixels, _RUN, 1) for pixels in (srgb.flatten(1), raw))
    for colors, result in zip(*runs, strict=True):
        torch.mm(coefficients, _monomials(colors), out=result).clamp_(0, 1)
    return raw.view(srgb.shape)
