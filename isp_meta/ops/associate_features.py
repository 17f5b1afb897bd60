"""Which cells a pixel belongs to, from the likeness of its features to theirs."""

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

__all__ = ["associate_features"]

_ops = torch.ops.isp_meta


@operator
def associate_features(features: Tensor, centers: Tensor, cell: int, scale: float) -> Tensor:
    """Soft association by likeness: content-aware superpixels with no network.

        q_n(p) = softmax over existing neighbors n of -scale * |f(p) - u_n|^2

    One step of soft SLIC; :func:`isp_meta.ops.aggregate` is the other. Differentiable to any order
    in features and centers.

    Args:
        features: (B, C, H, W) f, float32 or float64, on CUDA float16 and bfloat16 as well.
        centers: (B, C, ceil(H / cell), ceil(W / cell)) u, of the features' dtype or float32.
        cell: side of a cell in pixels, >= 1.
        scale: how sharply distance separates, >= 0, in units of 1 / features^2.

    Returns:
        (B, 9, H, W), in [0, 1]: sums to 1 over the neighbors, row-major, 4 the pixel's own cell;
        one outside the picture is exactly 0.

    Raises:
        ValueError: shapes, devices or cell do not fit. TypeError: dtype.

    Source: Jampani et al., Superpixel Sampling Networks, ECCV 2018, Eq. 3.
    """
    check_cell(cell)
    features, centers = under_autocast(features, centers)
    check_pixels("features", features)
    batch, channels, height, width = features.shape
    shape = (batch, channels, *grid_shape(height, width, cell))
    dtype = center_dtype(features.dtype)
    check_beside("centers", centers, shape, features, {dtype, features.dtype})
    result: Tensor = _ops.associate_features(features, centers.to(dtype), cell, scale)
    return result


def _associate_features_fake(features: Tensor, centers: Tensor, cell: int, scale: float) -> Tensor:
    return features.new_empty(features.shape[0], NEIGHBORS, *features.shape[2:])


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    features, centers, ctx.cell, ctx.scale = inputs
    ctx.save_for_backward(features, centers, output)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
    features, centers, association = ctx.saved_tensors
    to_features = to_centers = None
    slope = _ops.associate_backward(grad, association)
    if ctx.needs_input_grad[0]:
        # The term in f itself vanishes, for a softmax's slopes sum to 0 over the neighbors.
        to_features = _ops.distribute(2 * ctx.scale * centers, slope, ctx.cell)
    if ctx.needs_input_grad[1]:
        sums = _ops.accumulate(features, slope, ctx.cell)
        to_centers = 2 * ctx.scale * (sums[:, :-1] - centers * sums[:, -1:])
    return to_features, to_centers, None, None


torch.library.register_fake("isp_meta::associate_features", _associate_features_fake)
torch.library.register_autograd("isp_meta::associate_features", _backward, setup_context=_save)
register_batches(_ops.associate_features, "isp_meta::associate_features")
