"""Samples that no network chooses, for a batch of pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from ..samplers.largest_error import largest_index
from ..samplers.uniform import uniform_index

__all__ = ["largest_mask", "random_mask", "uniform_mask"]


def random_mask(
    shape: tuple[int, int, int], share: float, generator: torch.Generator | None = None
) -> Tensor:
    """Pixels drawn uniformly without replacement, as many in each picture.

    Args:
        shape: (B, H, W).
        share: of the pixels to keep, in (0, 1]; at least one pixel of a picture.
        generator: of the draw, on the CPU, so that every device draws the same.

    Returns:
        (B, 1, H, W) float32 on the CPU: 1 at round(share H W) pixels of each picture, else 0.

    Source: s̃ and m̃ of the meta loss, Nam et al., CVPR 2022, section 3.3.
    """
    batch, height, width = shape
    count = max(1, round(share * height * width))
    order = torch.rand(batch, height * width, generator=generator)
    kept = order.topk(count, sorted=False).indices
    return torch.zeros_like(order).scatter_(1, kept, 1.0).view(batch, 1, height, width)


def uniform_mask(shape: tuple[int, int, int], cell: int) -> Tensor:
    """The middle of every cell.

    Args:
        shape: (B, H, W).
        cell: side of a cell, pixels, >= 1.

    Returns:
        (B, 1, H, W) float32 on the CPU, a view of one picture's.
    """
    batch, height, width = shape
    mask = torch.zeros(height * width)
    mask[uniform_index(height, width, cell)] = 1.0
    return mask.view(1, 1, height, width).expand(batch, 1, height, width)


def largest_mask(error: Tensor, cell: int) -> Tensor:
    """The pixel of the largest error in every cell.

    Args:
        error: (B, 1, H, W), >= 0.
        cell: side of a cell, pixels, >= 1.

    Returns:
        (B, 1, H, W) float32, on the device of the error.
    """
    batch, _, height, width = error.shape
    index = largest_index(error[:, 0], cell).flatten(1)
    mask = torch.zeros(batch, height * width, device=error.device)
    return mask.scatter_(1, index, 1.0).view(batch, 1, height, width)
