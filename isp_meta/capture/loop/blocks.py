"""The picture in blocks, about a sample each, and what it costs to tell where in one it lies."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["PRICE", "Blocks"]

PRICE = 2.0
"""A bit a pixel is worth what makes the error fall to e⁻² of itself: so much do smaller cells bring
about."""

# As if one sample in fifty had been moved before.
_MOVED = 0.02


@dataclass(frozen=True)
class Blocks:
    """Squares from the top left, numbered row by row; those at the right and bottom may be cut.

    Attributes:
        height, width: of the picture, pixels. side: of a block.
    """

    height: int
    width: int
    side: int

    @property
    def shape(self) -> tuple[int, int]:
        """Blocks down and across."""
        return -(-self.height // self.side), -(-self.width // self.side)

    def of(self, index: Tensor) -> Tensor:
        """(N,) the blocks of (N,) pixels, a flat index."""
        y, x = index // self.width // self.side, index % self.width // self.side
        return y * self.shape[1] + x

    def place(self, index: Tensor) -> Tensor:
        """(N,) where in their blocks (N,) pixels lie, row-major."""
        y, x = index // self.width % self.side, index % self.width % self.side
        return y * self.side + x

    def pixel(self, block: Tensor, place: Tensor) -> Tensor:
        """(N,) flat index of places in (N,) blocks: inverse of :meth:`of` and :meth:`place`."""
        across = self.shape[1]
        y = block // across * self.side + place // self.side
        return y * self.width + block % across * self.side + place % self.side

    def split(self, plane: Tensor) -> Tensor:
        """(B, side²) an (H, W) plane block by block; 0 beyond its edges."""
        down, across = self.shape
        missing = (0, across * self.side - self.width, 0, down * self.side - self.height)
        padded = functional.pad(plane, missing)
        parts = padded.view(down, self.side, across, self.side)
        return parts.transpose(1, 2).reshape(down * across, self.side**2)

    def bits(self, index: Tensor) -> Tensor:
        """(side²,) what each place takes, about, as often as (N,) samples stand there."""
        places = self.side**2
        often = torch.bincount(self.place(index), minlength=places).float()
        often += _MOVED * len(index) / places
        return -torch.log2(often / often.sum())
