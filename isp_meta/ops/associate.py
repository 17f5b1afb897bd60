"""Which cells a pixel belongs to, from a network's logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import _native  # noqa: F401
from .grid import NEIGHBORS, check_cell, check_pixels, register_batches, under_autocast
from .operator import operator

__all__ = ["associate"]

_ops = torch.ops.isp_meta


@operator
def associate(logits: Tensor, cell: int, mask_outside: bool = True) -> Tensor:
    """Soft association of every pixel with the nine cells around it.

        q_n(p) = exp(z_n(p)) / sum over existing m of exp(z_m(p))

    Differentiable to any order.

    Args:
        logits: (B, 9, H, W) z, float32 or float64, on CUDA float16 and bfloat16 as well;
            neighbors row-major, 4 is the pixel's own cell.
        cell: side of a cell in pixels, >= 1.
        mask_outside: False spends mass on cells outside the picture as if they existed, as the
            paper's published code does.

    Returns:
        (B, 9, H, W), in [0, 1]: sums to 1 over the neighbors; one outside the picture is exactly
        0. NaN in a logit of an existing neighbor makes that pixel NaN.

    Raises:
        ValueError: shape, device or cell do not fit. TypeError: dtype.

    Source: Nam et al., CVPR 2022, section 3.1.
    """
    check_cell(cell)
    (logits,) = under_autocast(logits)
    check_pixels("logits", logits, NEIGHBORS)
    result: Tensor = _ops.associate(logits, cell, mask_outside)
    return result


def _associate_fake(logits: Tensor, cell: int, mask_outside: bool) -> Tensor:
    return logits.new_empty(logits.shape)


def _associate_backward_fake(grad: Tensor, association: Tensor) -> Tensor:
    return association.new_empty(association.shape)


def _save_output(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(output)


def _associate_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
    (association,) = ctx.saved_tensors
    return _ops.associate_backward(grad, association), None, None


def _save_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _associate_backward_backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor]:
    # Of q (g - sum q g): symmetric in g, and linear in it; plain tensors carry all higher orders.
    grad, q = ctx.saved_tensors
    to_q = upstream * (grad - (q * grad).sum(1, keepdim=True))
    to_q = to_q - grad * (q * upstream).sum(1, keepdim=True)
    return _ops.associate_backward(upstream, q), to_q


torch.library.register_fake("isp_meta::associate", _associate_fake)
torch.library.register_fake("isp_meta::associate_backward", _associate_backward_fake)
torch.library.register_autograd(
    "isp_meta::associate", _associate_backward, setup_context=_save_output
)
torch.library.register_autograd(
    "isp_meta::associate_backward", _associate_backward_backward, setup_context=_save_inputs
)
register_batches(_ops.associate, "isp_meta::associate")
register_batches(_ops.associate_backward, "isp_meta::associate_backward")
