"""One pixel in the middle of each cell: the baseline that costs no position bits."""

from __future__ import annotations

import torch
from torch import Tensor

from ..frame import Frame, Sampler
from ..samples import Samples

__all__ = ["UniformSampler", "uniform_index"]


def _middles(length: int, cell: int) -> Tensor:
    start = torch.arange(0, length, cell)
    return (start + (start + cell).clamp(max=length)) // 2


def uniform_index(height: int, width: int, cell: int) -> Tensor:
    """Flat index of every cell's middle pixel.

    Args:
        height, width: of the picture, pixels.
        cell: side of a cell, pixels, >= 1; cells at the right and lower border may be partial.

    Returns:
        (ceil(height / cell) * ceil(width / cell),) int64, increasing. The middle of a span of n
        pixels is pixel n // 2.
    """
    return (_middles(height, cell)[:, None] * width + _middles(width, cell)).flatten()


class UniformSampler(Sampler):
    """Keeps the middle pixel of every cell.

    Args:
        cell: side of a cell, pixels, >= 1. 8 keeps 1 pixel in 64, the paper's 1.5 %.

    Raises:
        ValueError: cell < 1.

    Source: the uniform sampling of SAM (Punnappurath and Brown, WACV 2021).
    """

    def __init__(self, cell: int = 8) -> None:
        super().__init__()
        if cell < 1:
            raise ValueError(f"cell must be >= 1, not {cell}")
        self.cell = cell

    def forward(self, frame: Frame) -> Samples:
        """Samples of ``frame.raw``, as many as there are cells."""
        raw: Tensor = frame.require("raw", "UniformSampler")
        index = uniform_index(raw.shape[-2], raw.shape[-1], self.cell)
        return Samples.at(index.to(raw.device), raw, self.cell)

    def extra_repr(self) -> str:
        """Text inside the parentheses of ``repr``."""
        return f"cell={self.cell}"
