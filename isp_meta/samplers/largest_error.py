"""The pixel of each cell that the decoder would get wrong most: known at capture, for it can try.

srgb ─▶ reconstructor without samples ─▶ error against raw ─▶ its largest in every cell
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn import functional

from ..frame import Frame, Reconstructor, Sampler
from ..samples import Samples

__all__ = ["ErrorSampler", "LargestErrorSampler", "largest_index"]


def largest_index(error: Tensor, cell: int) -> Tensor:
    """Flat index of the largest error in every cell; of equal ones the first.

    Args:
        error: (..., H, W), >= 0.
        cell: side of a cell, pixels, >= 1; cells at the right and lower border may be partial.

    Returns:
        (..., ceil(H / cell), ceil(W / cell)) int64.
    """
    height, width = error.shape[-2:]
    down, across = -(-height // cell), -(-width // cell)
    pad = (0, across * cell - width, 0, down * cell - height)
    padded = functional.pad(error, pad, value=-1.0)
    cells = padded.reshape(*error.shape[:-2], down, cell, across, cell).transpose(-2, -3)
    inside = cells.flatten(-2).argmax(-1)
    row = torch.arange(down, device=error.device)[:, None] * cell + inside // cell
    column = torch.arange(across, device=error.device) * cell + inside % cell
    index: Tensor = row * width + column
    return index


class ErrorSampler(Sampler):
    """Keeps one pixel of every cell, by what a reconstructor without samples gets wrong.

    Args:
        reconstructor: takes a frame whose ``samples`` are None.
        cell: side of a cell, pixels, >= 1.

    Raises:
        ValueError: cell < 1.
    """

    def __init__(self, reconstructor: Reconstructor, cell: int = 8) -> None:
        super().__init__()
        if cell < 1:
            raise ValueError(f"cell must be >= 1, not {cell}")
        self.reconstructor, self.cell = reconstructor, cell

    @abstractmethod
    def rank(self, error: Tensor) -> Tensor:
        """(H, W) >= 0, largest where a pixel is to be kept, of (3, H, W) errors."""

    @torch.no_grad()
    def forward(self, frame: Frame) -> Samples:
        """Samples of ``frame.raw``, as many as there are cells."""
        raw: Tensor = frame.require("raw", type(self).__name__)
        error = self.reconstructor(frame.replace(raw=None, samples=None)) - raw
        return Samples.at(largest_index(self.rank(error), self.cell).flatten(), raw, self.cell)

    def extra_repr(self) -> str:
        """Text inside the parentheses of ``repr``."""
        return f"cell={self.cell}"


class LargestErrorSampler(ErrorSampler):
    """Keeps the pixel of every cell that is met worst; for the reconstructor that is asked."""

    def rank(self, error: Tensor) -> Tensor:
        """The squared error of all colors."""
        return error.square().sum(0)
