"""Dark specks: single pixels far below all that is around them, which lifted shadows show first."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["count_specks"]

# Half the side of the square of a plane that a value is seen against, and how far below it is one.
_REACH, _BELOW = 2, 0.25
# Of 25 values the median is at most so many times the mean: 13 of them are as large.
_MOST_MEDIAN = 25 / 13
# Rows of a plane at a time.
_ROWS = 256


def count_specks(mosaic: Tensor, period: int = 2) -> int:
    """Values below a quarter of the median of the 5x5 around them, of the same place of the mosaic.

    Args:
        mosaic: (C, H, W), at least 0. period: of its pattern, pixels.

    Returns:
        How many there are; those at the border are not looked at.
    """
    places = [(y, x) for y in range(period) for x in range(period)]
    return sum(_in_plane(whole[y::period, x::period]) for whole in mosaic for y, x in places)


def _in_plane(plane: Tensor) -> int:
    side, (height, width) = 2 * _REACH + 1, plane.shape
    if min(height, width) < side:
        return 0
    found = 0
    steps = torch.arange(side, device=plane.device)
    offsets = (steps[:, None] * width + steps).flatten()
    for top in range(0, height - side + 1, _ROWS):
        rows = plane[top : top + _ROWS + side - 1].contiguous()
        mean = functional.avg_pool2d(rows[None], side, 1)[0]
        inner = rows[_REACH:-_REACH, _REACH:-_REACH]
        # Few can be one, and only those are sorted.
        y, x = (inner < _BELOW * _MOST_MEDIAN * mean).nonzero().T
        around = rows.flatten()[(y * width + x)[:, None] + offsets]
        found += int((inner[y, x] < _BELOW * around.median(1).values).sum())
    return found
