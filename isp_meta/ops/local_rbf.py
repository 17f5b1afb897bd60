"""Radial-basis interpolation with one small system a cell; predictions with a sample left out.

points, values ─neighbors─▶ a system a cell ──▶ guide's pixels of that cell
             └─neighbors─▶ a system a sample left out ──▶ its prediction
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from . import _native  # noqa: F401
from .grid import (
    center_dtype,
    check_beside,
    check_cell,
    check_pixels,
    grid_shape,
    refused_gradient,
    register_calls,
    under_autocast,
)
from .operator import operator

__all__ = [
    "RADIAL",
    "RadialBasis",
    "check_samples",
    "local_rbf",
    "local_rbf_leave_one_out",
]

_ops = torch.ops.isp_meta

RADIAL = ("exponential", "rational")
_MOST_NEIGHBORS, _MOST_DIMS, _MOST_CHANNELS = 96, 18, 16


@dataclass(frozen=True)
class RadialBasis:
    """What :func:`local_rbf` interpolates with.

        c(x, y) = phi(|x - y|) + tail (1 + x . y)

    Attributes:
        position_scale: pixels that count as distance 1, > 0.
        guide_scale: difference of guides that counts as distance 1, > 0.
        radial: phi: ``exponential`` exp(-r) or ``rational`` 1 / (1 + r²), both positive definite.
        tail: prior variance of the coefficients of an affine function, >= 0; 0: without.
        ridge: variance of the values' noise, > 0.

    Raises:
        ValueError: an attribute out of range.
    """

    position_scale: float
    guide_scale: float
    radial: str = "exponential"
    tail: float = 0.0
    ridge: float = 0.01

    def __post_init__(self) -> None:
        if self.radial not in RADIAL:
            raise ValueError(f"radial must be one of {', '.join(RADIAL)}, not {self.radial!r}")
        for name in ("position_scale", "guide_scale", "ridge"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, not {getattr(self, name)}")
        if not self.tail >= 0:
            raise ValueError(f"tail must be >= 0, not {self.tail}")

    @property
    def arguments(self) -> tuple[float, float, int, float, float]:
        """As the native operators take them."""
        radial = RADIAL.index(self.radial)
        return self.position_scale, self.guide_scale, radial, self.tail, self.ridge


@operator
def local_rbf(
    guide: Tensor, points: Tensor, values: Tensor, neighbors: Tensor, cell: int, basis: RadialBasis
) -> Tensor:
    """Interpolates samples over a picture, in position and guide, with one system a cell.

        f(p) = sum over k of c(x_p, x_k) w_k,   (C + ridge I) w = v,   C_jk = c(x_j, x_k)

    over the samples k that are the cell's neighbors; x is position and guide, each over its scale,
    relative to the mean of those samples. Without gradient: backward is refused. Under autocast it
    computes in float32.

    Args:
        guide: (B, C, H, W), C <= 16, float32 or float64, on CUDA float16 and bfloat16 as well.
        points: (N, 2 + C): row and column in pixels, then guide of the samples of all pictures; of
            the guide's dtype, at least float32.
        values: (N, V), V <= 16, what the samples know, of the points' dtype.
        neighbors: (B, ceil(H / cell), ceil(W / cell), K) int64, 1 <= K <= 96: the rows of points
            that make up each cell's system, in [0, N).
        cell: side of a cell in pixels, >= 1.
        basis: kernel, scales and ridge.

    Returns:
        (B, V, H, W), of the values' dtype.

    Raises:
        ValueError: shapes, devices, cell or, on the CPU, neighbors do not fit. TypeError: dtype.
        NotImplementedError: backward; :func:`isp_meta.ops.reference.local_rbf` has one.

    Source: SAM's five-dimensional interpolation (Punnappurath and Brown, WACV 2021), localized.
    """
    check_cell(cell)
    guide, points, values = under_autocast(guide, points, values)
    check_pixels("guide", guide)
    batch, guides, height, width = guide.shape
    check_samples(points, values, neighbors, guide, guides)
    shape = (batch, *grid_shape(height, width, cell), neighbors.shape[-1])
    check_beside("neighbors", neighbors, shape, guide, {torch.int64})
    result: Tensor = _ops.local_rbf(guide, points, values, neighbors, cell, *basis.arguments)
    return result


@operator
def local_rbf_leave_one_out(
    points: Tensor, values: Tensor, neighbors: Tensor, basis: RadialBasis
) -> Tensor:
    """Predicts samples from others, as :func:`local_rbf` would: what tells a good basis from a bad.

    Args:
        points: (N, 2 + C), C <= 16: row and column in pixels, then guide; float32 or float64.
        values: (N, V), V <= 16, of the same dtype.
        neighbors: (M, 1 + K) int64, 1 <= K <= 96, in [0, N): the sample left out, then those that
            predict it.
        basis: kernel, scales and ridge.

    Returns:
        (M, V). Without gradient: backward is refused.

    Raises:
        ValueError: shapes, devices or, on the CPU, neighbors do not fit. TypeError: dtype.
        NotImplementedError: backward; :func:`isp_meta.ops.reference.local_rbf_leave_one_out` has
            one.

    Source: the errors from one factorization as in Rippa, *Adv. Comput. Math.* 11, 1999.
    """
    points, values = under_autocast(points, values)
    check_samples(points, values, neighbors, points, points.shape[-1] - 2, left_out=1)
    check_beside("neighbors", neighbors, tuple(neighbors.shape), points, {torch.int64})
    result: Tensor = _ops.local_rbf_leave_one_out(points, values, neighbors, *basis.arguments)
    return result


def check_samples(
    points: Tensor,
    values: Tensor,
    neighbors: Tensor,
    beside: Tensor,
    guides: int,
    left_out: int = 0,
) -> None:
    """Raises unless samples, their neighbors and what they lie beside fit each other.

    Args:
        left_out: samples that lead the neighbors of each system.

    Raises:
        ValueError: shape, device or number. TypeError: dtype.
    """
    if points.dim() != 2 or values.dim() != 2:
        raise ValueError(
            f"points and values must be (N, 2 + C) and (N, V), "
            f"not {tuple(points.shape)} and {tuple(values.shape)}"
        )
    dims = 4 - 2 * left_out
    if neighbors.dim() != dims:
        raise ValueError(f"neighbors must have {dims} dimensions, not {neighbors.dim()}")
    count, channels = values.shape
    dtype = center_dtype(beside.dtype)
    check_beside("points", points, (count, 2 + guides), beside, {dtype})
    check_beside("values", values, (count, channels), beside, {dtype})
    if not 0 <= guides <= _MOST_DIMS - 2 or channels > _MOST_CHANNELS:
        raise ValueError(f"at most 16 guides and values, not {guides} and {channels}")
    if not 1 <= neighbors.shape[-1] - left_out <= _MOST_NEIGHBORS:
        raise ValueError(
            f"neighbors must be 1 to {_MOST_NEIGHBORS}, not {neighbors.shape[-1] - left_out}"
        )


def _local_rbf_fake(
    guide: Tensor, points: Tensor, values: Tensor, neighbors: Tensor, *_options: float
) -> Tensor:
    return values.new_empty(guide.shape[0], values.shape[1], *guide.shape[2:])


def _leave_one_out_fake(
    points: Tensor, values: Tensor, neighbors: Tensor, *_options: float
) -> Tensor:
    return points.new_empty(neighbors.shape[0], values.shape[1])


for _name, _fake in (
    ("local_rbf", _local_rbf_fake),
    ("local_rbf_leave_one_out", _leave_one_out_fake),
):
    torch.library.register_fake(f"isp_meta::{_name}", _fake)
    torch.library.register_autograd(f"isp_meta::{_name}", refused_gradient(_name))
    register_calls(getattr(_ops, _name), f"isp_meta::{_name}")
    for _device in ("cpu", "cuda"):
        torch.library.register_autocast(f"isp_meta::{_name}", _device, torch.float32)
