"""Samples as the planes that a network reads."""

from __future__ import annotations

import torch
from torch import Tensor

from ..networks.tiles import Window
from ..samples import Samples

__all__ = ["sample_planes"]


def sample_planes(samples: Samples, window: Window) -> tuple[Tensor, Tensor]:
    """The samples within a window of their picture, each in its place.

    Returns:
        kept, (3, h, w), 0 where there is no sample; mask, (1, h, w), 1 where there is one, else 0.
        Of the values' dtype and device.
    """
    rows = torch.tensor([window.top, window.bottom], device=samples.index.device)
    first, last = torch.searchsorted(samples.index, rows * samples.width).tolist()
    row = samples.index[first:last] // samples.width - window.top
    column = samples.index[first:last] % samples.width - window.left
    height, width = window.size
    inside = (column >= 0) & (column < width)
    row, column = row[inside], column[inside]
    planes = samples.value.new_zeros(4, height, width)
    planes[:3, row, column] = samples.value[first:last][inside].T
    planes[3, row, column] = 1.0
    return planes[:3], planes[3:]
