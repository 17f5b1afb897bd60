"""Where the samples lie, with a gradient for the association that chose them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .argmax_pool import argmax_pool
from .grid import NEIGHBORS, register_batches, under_autocast
from .operator import operator

__all__ = ["sample_mask"]


@operator
def sample_mask(association: Tensor, cell: int, clip: float | None = None) -> Tensor:
    """Mask of the cells' samples, 1 where a pixel is some cell's :func:`argmax_pool`.

        m(p) = 1 if p = p*_c for some cell c, else 0
        dL/dq_c(p*_c) = dL/dm(p*_c), straight through the choice; 0 elsewhere

    Each of several cells that choose one pixel receives its whole gradient. The gradient is itself
    differentiable, as the linear function of dL/dm that it is.

    Args:
        association: (B, 9, H, W) q, float32 or float64, on CUDA float16 and bfloat16 as well.
        cell: side of a cell in pixels, >= 1.
        clip: limit of |dL/dm|, > 0; 1 does as the paper's published code, None as its text.

    Returns:
        (B, 1, H, W) of the association's dtype.

    Raises:
        ValueError: shape, device, cell or clip do not fit. TypeError: dtype.

    Source: Nam et al., CVPR 2022, Eq. 4; the estimator: Bengio et al., arXiv:1308.3432.
    """
    if clip is not None and not clip > 0:
        raise ValueError(f"clip must be > 0 or None, not {clip}")
    (association,) = under_autocast(association)
    index = argmax_pool(association, cell)
    mask: Tensor = _mask(association, index, cell, clip)
    return mask


# Scattering is safe here: a maximum does not depend on order, and no two cells share an entry of q.
# Gathering would not be: its own derivative adds in the order in which a GPU's threads come.


@torch.library.custom_op("isp_meta::sample_mask", mutates_args=())
def _mask(association: Tensor, index: Tensor, cell: int, clip: float | None) -> Tensor:
    batch, _, height, width = association.shape
    found = (index >= 0).to(association.dtype).flatten(1)
    mask = association.new_zeros(batch, height * width)
    mask.scatter_reduce_(1, index.clamp(min=0).flatten(1), found, "amax")
    return mask.view(batch, 1, height, width)


@_mask.register_fake
def _(association: Tensor, index: Tensor, cell: int, clip: float | None) -> Tensor:
    return association.new_empty(association.shape[0], 1, *association.shape[2:])


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, index, ctx.cell, ctx.clip = inputs
    ctx.save_for_backward(index)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
    (index,) = ctx.saved_tensors
    batch, _, height, width = grad.shape
    if ctx.clip is not None:
        grad = grad.clamp(-ctx.clip, ctx.clip)
    cell_y = torch.arange(index.shape[1], device=index.device)[:, None]
    cell_x = torch.arange(index.shape[2], device=index.device)
    # A cell without a sample writes its False to an entry that is its own as well.
    pixel = index.where(index >= 0, (cell_y * width + cell_x) * ctx.cell)
    dy = cell_y - pixel // width // ctx.cell
    dx = cell_x - pixel % width // ctx.cell
    entry = ((dy + 1) * 3 + dx + 1) * (height * width) + pixel
    chosen = torch.zeros(
        batch, NEIGHBORS * height * width, dtype=torch.bool, device=grad.device
    ).scatter(1, entry.flatten(1), (index >= 0).flatten(1))
    return grad.where(chosen.view(batch, NEIGHBORS, height, width), 0), None, None, None


_mask.register_autograd(_backward, setup_context=_save)
register_batches(torch.ops.isp_meta.sample_mask, "isp_meta::sample_mask")
