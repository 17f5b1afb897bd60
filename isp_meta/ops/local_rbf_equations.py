"""What samples should be for :func:`isp_meta.ops.local_rbf` to meet a picture: equations a cell."""

from __future__ import annotations

import torch
from torch import Tensor

from . import _native  # noqa: F401
from .grid import (
    check_beside,
    check_cell,
    check_pixels,
    grid_shape,
    refused_gradient,
    register_calls,
    under_autocast,
)
from .local_rbf import RadialBasis, check_samples
from .operator import operator

__all__ = ["local_rbf_equations"]

_ops = torch.ops.isp_meta
_MOST = 16


@operator
def local_rbf_equations(
    guide: Tensor,
    points: Tensor,
    values: Tensor,
    neighbors: Tensor,
    cell: int,
    basis: RadialBasis,
    guess: Tensor,
    truth: Tensor,
    weight: Tensor | None = None,
) -> Tensor:
    """Normal equations of the log-gains with which a guess meets the truth, linearized.

        (guess + 0.001) exp(f) = truth + 0.001,   f as of :func:`isp_meta.ops.local_rbf`

    f is linear in the samples' values: f(p) = sum over k of s_k(p) v_k. About the values given, a
    pixel asks for t(p) = f + d, d = (truth + 0.001) / found - 1, or for f + 1 + log(d) where d > 1.
    It counts by w(p), the mean of the colors' squared slopes, found max(1, d). Over the pixels of
    a cell:

        A_jk = sum of w s_j s_k,    b_jv = sum of w s_j t_v

    Without gradient: backward is refused.

    Args:
        guide, points, neighbors, cell, basis: as of :func:`isp_meta.ops.local_rbf`, K <= 16.
        values: (N, V) log-gains of the samples, 1 <= V <= 16.
        guess, truth: (B, V, H, W) >= 0, of the values' dtype.
        weight: (B, 1, H, W) how much each pixel counts, >= 0; None: all the same.

    Returns:
        (B, ceil(H / cell), ceil(W / cell), K, K + V): A, then b.

    Raises:
        ValueError: shapes, devices, cell or, on the CPU, neighbors do not fit. TypeError: dtype.
        NotImplementedError: backward; :func:`isp_meta.ops.reference.local_rbf_equations` has one.

    Source: a step of Gauss and Newton.
    """
    check_cell(cell)
    guide, points, values, guess, truth = under_autocast(guide, points, values, guess, truth)
    check_pixels("guide", guide)
    batch, guides, height, width = guide.shape
    check_samples(points, values, neighbors, guide, guides)
    count, colors = neighbors.shape[-1], values.shape[1]
    if count > _MOST or not colors:
        raise ValueError(
            f"at most {_MOST} neighbors and at least one value, not {count} and {colors}"
        )
    shape = (batch, *grid_shape(height, width, cell), count)
    check_beside("neighbors", neighbors, shape, guide, {torch.int64})
    planes = (batch, colors, height, width)
    check_beside("guess", guess, planes, guide, {values.dtype})
    check_beside("truth", truth, planes, guide, {values.dtype})
    if weight is None:
        weight = values.new_empty(0)
    else:
        check_beside("weight", weight, (batch, 1, height, width), guide, {values.dtype})
    samples = points, values, neighbors
    result: Tensor = _ops.local_rbf_equations(
        guide, *samples, guess, truth, weight, cell, *basis.arguments
    )
    return result


def _fake(
    guide: Tensor, points: Tensor, values: Tensor, neighbors: Tensor, *_rest: object
) -> Tensor:
    count = neighbors.shape[-1]
    return values.new_empty(*neighbors.shape, count + values.shape[1])


_NAME = "isp_meta::local_rbf_equations"
torch.library.register_fake(_NAME, _fake)
torch.library.register_autograd(_NAME, refused_gradient("local_rbf_equations"))
register_calls(_ops.local_rbf_equations, _NAME)
for _device in ("cpu", "cuda"):
    torch.library.register_autocast(_NAME, _device, torch.float32)
