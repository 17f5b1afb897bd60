"""How much of two pictures, and of their pixels' positions, the superpixels of logits lose."""

from __future__ import annotations

from typing import Any, Literal

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
    has_autocast,
    register_calls,
)
from .operator import operator

__all__ = ["superpixel_loss"]

_ops = torch.ops.isp_meta
_COLORS, _CHANNELS = 3, 8


@operator
def superpixel_loss(
    logits: Tensor,
    srgb: Tensor,
    raw: Tensor,
    cell: int,
    alpha: float = 0.2,
    m: float = 10,
    reduction: Literal["mean", "sum"] = "mean",
) -> Tensor:
    """Superpixel loss: what pictures and positions lose when superpixels average them.

        q = associate(logits)       f' = distribute(aggregate(f, q), q) for each of
        x: sRGB, y: raw, p: position (row, column) of a pixel, in pixels

        sum    alpha |x - x'|^2 + (1 - alpha) |y - y'|^2 + (m / cell)^2 |p - p'|^2,
               summed over batch, pixels and channels: the text of the paper
        mean   255^2 alpha mean (x - x')^2 + 255^2 (1 - alpha) mean (y - y')^2
               + (m / cell)^2 mean (p - p')^2, means over batch, pixels and the 3, 3, 2 channels:
               the paper's published code

    Neither association nor rebuilt pixels are stored: beside the gradient, about 70 bytes a cell
    between forward and backward; in the forward, 576 bytes a cell more.

    Differentiable once, in logits. Sums are float32 at least. Under autocast pictures become
    float32; logits stay as they are on CUDA, and become float32 on the CPU.

    Slopes of a mean are small: in float16 those of more than some ten megapixels vanish, unless the
    loss is scaled, as by ``torch.amp.GradScaler``. bfloat16 has no such limit.

    Args:
        logits: (B, 9, H, W), float32 or float64, on CUDA float16 and bfloat16 as well; neighbors
            row-major, 4 is the pixel's own cell.
        srgb: (B, 3, H, W) of the same dtype or float32, x in [0, 1]; data, it may not require a
            gradient.
        raw: (B, 3, H, W) of the same dtype or float32, y in [0, 1]; data as well.
        cell: side of a cell in pixels, >= 1.
        alpha: weight of sRGB beside raw, in [0, 1].
        m: compactness, >= 0; larger values keep superpixels closer to their cells.
        reduction: "mean" or "sum".

    Returns:
        Loss, a scalar, of the logits' dtype but at least float32.

    Raises:
        ValueError: shapes, devices, cell, alpha, m or reduction do not fit, or a picture requires
            a gradient. TypeError: dtype. NotImplementedError: on differentiating twice.

    Source: Nam et al., CVPR 2022, Eqs. 1 and 2.
    """
    _check_parameters(cell, alpha, m, reduction)
    if has_autocast(logits):
        if logits.device.type == "cpu":
            logits = logits.to(center_dtype(logits.dtype))
        srgb, raw = (t.to(center_dtype(t.dtype)) for t in (srgb, raw))
    _check_pictures(logits, srgb, raw)
    srgb, raw = (t.to(center_dtype(logits.dtype)) for t in (srgb, raw))
    position = (m / cell) ** 2
    weights = (alpha, 1 - alpha, position)
    if reduction == "mean":
        scale = 255**2 / _COLORS
        weights = (scale * alpha, scale * (1 - alpha), position / 2)
    total, _, _ = _ops.superpixel_loss(logits, srgb, raw, cell, *weights)
    batch, _, height, width = logits.shape
    loss: Tensor = total / (batch * height * width) if reduction == "mean" else total
    return loss


def _check_parameters(cell: int, alpha: float, m: float, reduction: str) -> None:
    check_cell(cell)
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be in [0, 1], not {alpha}")
    if not 0 <= m < float("inf"):
        raise ValueError(f"m must be >= 0 and finite, not {m}")
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction must be 'mean' or 'sum', not {reduction!r}")


def _check_pictures(logits: Tensor, srgb: Tensor, raw: Tensor) -> None:
    check_pixels("logits", logits, NEIGHBORS)
    batch, _, height, width = logits.shape
    for name, picture in (("srgb", srgb), ("raw", raw)):
        dtypes = {logits.dtype, center_dtype(logits.dtype)}
        check_beside(name, picture, (batch, _COLORS, height, width), logits, dtypes)
        if picture.requires_grad and torch.is_grad_enabled():
            raise ValueError(f"{name} requires a gradient, and superpixel_loss has none for it")


def _loss_fake(
    logits: Tensor, srgb: Tensor, raw: Tensor, cell: int, *_weights: float
) -> tuple[Tensor, Tensor, Tensor]:
    batch, _, height, width = logits.shape
    rows, cols = grid_shape(height, width, cell)
    dtype = center_dtype(logits.dtype)
    centers = (batch, rows, cols, _CHANNELS)
    return (
        logits.new_empty((), dtype=dtype),
        logits.new_empty(centers, dtype=dtype),
        logits.new_empty(centers, dtype=dtype),
    )


def _backward_fake(grad: Tensor, logits: Tensor, *rest: Any) -> Tensor:
    return logits.new_empty(logits.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *pixels, ctx.cell, ctx.srgb_weight, ctx.raw_weight, ctx.position_weight = inputs
    _, centers, slopes = output
    ctx.mark_non_differentiable(centers, slopes)
    ctx.save_for_backward(*pixels, centers, slopes)


def _backward(ctx: Any, grad: Tensor, *none: Tensor) -> tuple[Tensor | None, ...]:
    if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
        raise NotImplementedError("superpixel_loss has no gradient for its pictures")
    weights = (ctx.srgb_weight, ctx.raw_weight, ctx.position_weight)
    to_logits = _ops.superpixel_loss_backward(grad, *ctx.saved_tensors, ctx.cell, *weights)
    return to_logits, *[None] * 6


def _save_nothing(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    pass


def _backward_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    raise NotImplementedError("superpixel_loss is differentiable once, not twice")


torch.library.register_fake("isp_meta::superpixel_loss", _loss_fake)
torch.library.register_fake("isp_meta::superpixel_loss_backward", _backward_fake)
torch.library.register_autograd("isp_meta::superpixel_loss", _backward, setup_context=_save)
torch.library.register_autograd(
    "isp_meta::superpixel_loss_backward", _backward_backward, setup_context=_save_nothing
)
register_calls(_ops.superpixel_loss, "isp_meta::superpixel_loss")
# On CUDA it takes logits as autocast makes them.
torch.library.register_autocast("isp_meta::superpixel_loss", "cpu", torch.float32)
