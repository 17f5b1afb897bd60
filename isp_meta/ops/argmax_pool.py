"""The pixel that belongs to a cell most."""

from __future__ import annotations

import torch
from torch import Tensor

from . import _native  # noqa: F401
from .grid import NEIGHBORS, check_cell, check_pixels, grid_shape, register_batches, under_autocast
from .operator import operator

__all__ = ["argmax_pool"]


@operator
def argmax_pool(association: Tensor, cell: int) -> Tensor:
    """Sample of every cell: the pixel of the nine blocks around it with the largest association.

        p*_c = argmax over p of q_c(p)

    Not differentiable; :func:`isp_meta.ops.sample_mask` is, straight through.

    Args:
        association: (B, 9, H, W) q, float32 or float64, on CUDA float16 and bfloat16 as well.
        cell: side of a cell in pixels, >= 1.

    Returns:
        (B, ceil(H / cell), ceil(W / cell)) int64, flat row-major pixel index; -1 where no value
        is positive. Of equal values the lowest index wins; NaN never does.

    Raises:
        ValueError: shape, device or cell do not fit. TypeError: dtype.

    Source: Nam et al., CVPR 2022, Eq. 3.
    """
    check_cell(cell)
    (association,) = under_autocast(association)
    check_pixels("association", association, NEIGHBORS)
    index: Tensor = torch.ops.isp_meta.argmax_pool(association.detach(), cell)
    return index


def _argmax_pool_fake(association: Tensor, cell: int) -> Tensor:
    batch, _, height, width = association.shape
    return association.new_empty(batch, *grid_shape(height, width, cell), dtype=torch.int64)


torch.library.register_fake("isp_meta::argmax_pool", _argmax_pool_fake)
register_batches(torch.ops.isp_meta.argmax_pool, "isp_meta::argmax_pool")
