"""Centers from pixels, and pixels from centers.

Three native ops are the derivatives of one form that is linear in pixels f, centers u and
association q, so each one's gradients are the other two and all orders come for free:

    T(f, u, q) = sum over pixels p, neighbors n, channels c of q_n(p) f_c(p) u_c(cell n of p)

    accumulate = dT/du      distribute = dT/df      correlate = dT/dq

In ``accumulate`` and ``correlate`` the centers have one more channel, where f = 1: the mass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import _native  # noqa: F401
from .grid import (
    NEIGHBORS,
    center_dtype,
    check_beside,
    check_cell,
    check_pixels,
    grid_shape,
    register_batches,
    under_autocast,
)
from .operator import operator

__all__ = ["aggregate", "distribute"]

_ops = torch.ops.isp_meta


@operator
def aggregate(features: Tensor, association: Tensor, cell: int) -> Tensor:
    """Center of every cell: the mean of the pixels around it, weighted by association.

        u_c = sum over p of f(p) q_c(p) / sum over p of q_c(p),   p in the nine blocks around c

    Differentiable to any order.

    Args:
        features: (B, C, H, W) f, float32 or float64, on CUDA float16 and bfloat16 as well.
        association: (B, 9, H, W) q, >= 0, of the same dtype; what it holds for neighbors outside
            the picture is not read.
        cell: side of a cell in pixels, >= 1.

    Returns:
        (B, C, ceil(H / cell), ceil(W / cell)), of the features' dtype, summed in float32 at
        least; a cell to which nothing belongs is 0.

    Raises:
        ValueError: shapes, devices or cell do not fit. TypeError: dtype.

    Source: Nam et al., CVPR 2022, Eq. 2 left.
    """
    check_cell(cell)
    features, association = under_autocast(features, association)
    check_pixels("features", features)
    batch, _, height, width = features.shape
    check_beside(
        "association", association, (batch, NEIGHBORS, height, width), features, {features.dtype}
    )
    sums: Tensor = _ops.accumulate(features, association, cell)
    total, mass = sums[:, :-1], sums[:, -1:]
    empty = mass == 0
    return (total / mass.masked_fill(empty, 1)).masked_fill(empty, 0).to(features.dtype)


@operator
def distribute(centers: Tensor, association: Tensor, cell: int) -> Tensor:
    """Pixels rebuilt from the centers of the cells around them.

        f(p) = sum over neighbors n of q_n(p) u(cell n of p)

    Differentiable to any order.

    Args:
        centers: (B, C, ceil(H / cell), ceil(W / cell)) u, of the association's dtype or float32.
        association: (B, 9, H, W) q, float32 or float64, on CUDA float16 and bfloat16 as well; what
            it holds for neighbors outside the picture is not read.
        cell: side of a cell in pixels, >= 1.

    Returns:
        (B, C, H, W), of the association's dtype.

    Raises:
        ValueError: shapes, devices or cell do not fit. TypeError: dtype.

    Source: Nam et al., CVPR 2022, Eq. 2 right.
    """
    check_cell(cell)
    centers, association = under_autocast(centers, association)
    check_pixels("association", association, NEIGHBORS)
    if centers.dim() != 4:
        raise ValueError(f"centers must be (B, C, h, w), not {tuple(centers.shape)}")
    batch, _, height, width = association.shape
    shape = (batch, centers.shape[1], *grid_shape(height, width, cell))
    dtype = center_dtype(association.dtype)
    check_beside("centers", centers, shape, association, {dtype, association.dtype})
    result: Tensor = _ops.distribute(centers.to(dtype), association, cell)
    return result


def _accumulate_fake(features: Tensor, association: Tensor, cell: int) -> Tensor:
    batch, channels, height, width = features.shape
    shape = (batch, channels + 1, *grid_shape(height, width, cell))
    return features.new_empty(shape, dtype=center_dtype(features.dtype))


def _distribute_fake(centers: Tensor, association: Tensor, cell: int) -> Tensor:
    batch, _, height, width = association.shape
    return association.new_empty(batch, centers.shape[1], height, width)


def _correlate_fake(features: Tensor, centers: Tensor, cell: int) -> Tensor:
    return features.new_empty(features.shape[0], NEIGHBORS, *features.shape[2:])


_Grads = tuple[Tensor | None, Tensor | None, None]


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.cell = inputs
    ctx.save_for_backward(*tensors)


def _accumulate_backward(ctx: Any, grad: Tensor) -> _Grads:
    features, association = ctx.saved_tensors
    to_features = to_association = None
    if ctx.needs_input_grad[0]:
        to_features = _ops.distribute(grad[:, :-1], association, ctx.cell)
    if ctx.needs_input_grad[1]:
        to_association = _ops.correlate(features, grad, ctx.cell)
    return to_features, to_association, None


def _distribute_backward(ctx: Any, grad: Tensor) -> _Grads:
    centers, association = ctx.saved_tensors
    to_centers = to_association = None
    if ctx.needs_input_grad[0]:
        to_centers = _ops.accumulate(grad, association, ctx.cell)[:, :-1]
    if ctx.needs_input_grad[1]:
        massless = torch.cat([centers, torch.zeros_like(centers[:, :1])], 1)
        to_association = _ops.correlate(grad, massless, ctx.cell)
    return to_centers, to_association, None


def _correlate_backward(ctx: Any, grad: Tensor) -> _Grads:
    features, centers = ctx.saved_tensors
    to_features = to_centers = None
    if ctx.needs_input_grad[0]:
        to_features = _ops.distribute(centers[:, :-1], grad, ctx.cell)
    if ctx.needs_input_grad[1]:
        to_centers = _ops.accumulate(features, grad, ctx.cell)
    return to_features, to_centers, None


for _name, _fake, _backward in (
    ("accumulate", _accumulate_fake, _accumulate_backward),
    ("distribute", _distribute_fake, _distribute_backward),
    ("correlate", _correlate_fake, _correlate_backward),
):
    torch.library.register_fake(f"isp_meta::{_name}", _fake)
    torch.library.register_autograd(f"isp_meta::{_name}", _backward, setup_context=_save)
    register_batches(getattr(_ops, _name), f"isp_meta::{_name}")
