"""The pixel of each cell where the decoder errs as it does all around: noise aside.

srgb ─▶ reconstructor without samples ─▶ error against raw ─┬────────────┐
                                                            └▶ smoothed ─┴▶ the nearest to it
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..frame import Frame, Reconstructor, Sampler, Samples
from .largest_error import largest_index

__all__ = ["TypicalErrorSampler"]

# Of the Gaussian, pixels: the best of 1.5, 2.5 and 4 on eight photographs.
_SIGMA = 1.5


class TypicalErrorSampler(Sampler):
    """Keeps the pixel of every cell whose error is most like that of its surroundings.

    What interpolates errors between samples spreads a sample's own noise over its cell; here there
    is the least of it.

    Args:
        reconstructor: takes a frame whose ``samples`` are None; what it leaves over is to be
            interpolated.
        cell: side of a cell, pixels, >= 1.

    Raises:
        ValueError: cell < 1.
    """

    def __init__(self, reconstructor: Reconstructor, cell: int = 8) -> None:
        super().__init__()
        if cell < 1:
            raise ValueError(f"cell must be >= 1, not {cell}")
        self.reconstructor, self.cell = reconstructor, cell

    @torch.no_grad()
    def forward(self, frame: Frame) -> Samples:
        """Samples of ``frame.raw``, as many as there are cells."""
        raw: Tensor = frame.require("raw", "TypicalErrorSampler")
        error = raw - self.reconstructor(frame.replace(raw=None, samples=None))
        unlike = _smooth(error).sub_(error).square_().sum(0)
        # Above 0, so that no pixel stands behind those beyond the picture's border.
        index = largest_index(1 / (1 + unlike / unlike.mean().clamp(min=1e-20)), self.cell)
        return Samples.at(index.flatten(), raw, self.cell)

    def extra_repr(self) -> str:
        """Text inside the parentheses of ``repr``."""
        return f"cell={self.cell}"


def _smooth(planes: Tensor) -> Tensor:
    """(C, H, W) under a Gaussian, the border's pixels repeated."""
    reach = round(3 * _SIGMA)
    at = torch.arange(-reach, reach + 1).to(planes)
    weight = torch.exp(-(at**2) / (2 * _SIGMA**2))
    weight /= weight.sum()
    result = planes[:, None]
    for axis in (2, 3):
        pad = (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0)
        shape = (1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1)
        result = functional.conv2d(
            functional.pad(result, pad, mode="replicate"), weight.view(shape)
        )
    return result[:, 0]
