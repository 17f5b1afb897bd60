"""Content-aware sampling without a network: soft SLIC, then one pixel a superpixel.

raw, srgb, position ─▶ features ─┬─▶ aggregate ─▶ centers ─┐   a few rounds
                                 └─▶ associate_features ◀──┘
                                          └─▶ argmax_pool ─▶ index
"""

from __future__ import annotations

import math
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from .. import ops
from ..frame import Frame, Sampler
from ..samples import Samples

__all__ = ["SuperpixelSampler", "superpixel_features"]


def superpixel_features(raw: Tensor, srgb: Tensor, cell: int, alpha: float, m: float) -> Tensor:
    """Features whose squared distance is the per-pixel summand of the superpixel loss (Eq. 1).

        ‖f(p) − f(p')‖² = α ‖Δsrgb‖² + (1 − α) ‖Δraw‖² + (m / S)² ‖Δposition‖²

    Args:
        raw, srgb: (3, H, W) in [0, 1]; scaled to [0, 255] as in the published code.
        cell: S, side of a cell, pixels.
        alpha: weight of sRGB against raw, in [0, 1].
        m: compactness, in 8-bit levels a cell.

    Returns:
        (8, H, W): sRGB, raw, row, column.

    Source: Nam et al., CVPR 2022, Eq. 1.
    """
    height, width = raw.shape[-2:]
    features = raw.new_empty(8, height, width)
    torch.mul(srgb, 255 * math.sqrt(alpha), out=features[:3])
    torch.mul(raw, 255 * math.sqrt(1 - alpha), out=features[3:6])
    step = m / cell
    features[6] = (torch.arange(height, device=raw.device, dtype=raw.dtype) * step)[:, None]
    features[7] = torch.arange(width, device=raw.device, dtype=raw.dtype) * step
    return features


class SuperpixelSampler(Sampler):
    """Keeps the pixel that belongs most surely to each superpixel of a few rounds of soft SLIC.

    Cell by cell the pixel with the largest association within the nine cells around is kept
    (Eq. 4), so a superpixel may reach into its neighbours' cells and two cells may keep one pixel:
    there are at most as many samples as cells.

    Args:
        cell: side of a cell, pixels, >= 1. 8 keeps at most 1 pixel in 64.
        iterations: rounds of association and aggregation, >= 1.
        alpha: weight of sRGB against raw, in [0, 1].
        m: compactness, 8-bit levels a cell, >= 0: large makes superpixels square. The paper's loss
            has 10; with interpolation as the reconstructor 30 did better on the two photographs
            tried, and costs fewer bits.
        scale: inverse temperature of the association, > 0.

    Raises:
        ValueError: an argument out of range.

    Source: Nam et al., CVPR 2022, Eq. 1 to 4, with the association of Jampani et al., *Superpixel
    Sampling Networks*, ECCV 2018, in place of the learned one.
    """

    # Side of a tile, pixels. Bounds the memory of features and association; at cells of 8 pixels
    # each takes less than 32 MB, up to which the heap of glibc keeps and reuses memory: 4 times
    # faster than taking fresh pages for every array.
    _TILE = 768

    def __init__(
        self,
        cell: int = 8,
        iterations: int = 3,
        alpha: float = 0.2,
        m: float = 30.0,
        scale: float = 0.001,
    ) -> None:
        super().__init__()
        if cell < 1 or iterations < 1:
            raise ValueError(f"cell and iterations must be >= 1, not {cell} and {iterations}")
        if not 0 <= alpha <= 1 or m < 0 or scale <= 0:
            raise ValueError("alpha must be in [0, 1], m >= 0, scale > 0")
        self.cell, self.iterations = cell, iterations
        self.alpha, self.m, self.scale = alpha, m, scale

    @torch.no_grad()
    def forward(self, frame: Frame) -> Samples:
        """Samples of ``frame.raw``, at most one a cell."""
        raw: Tensor = frame.require("raw", "SuperpixelSampler")
        srgb: Tensor = frame.require("srgb", "SuperpixelSampler")
        height, width = raw.shape[-2:]
        side = max(1, self._TILE // self.cell) * self.cell
        tiles = product(range(0, height, side), range(0, width, side))
        kept = [self._tile(raw, srgb, top, left, side) for top, left in tiles]
        return Samples.at(torch.cat(kept), raw, self.cell)

    @torch.no_grad()
    def cells(self, srgb: Tensor, raw: Tensor) -> Tensor:
        """(1, h, w) int64 flat index of each cell's pixel, -1 for none, the picture in one go.

        Args:
            srgb, raw: (1, 3, H, W) in [0, 1].
        """
        return self._sample(raw[0], srgb[0])[None]

    @torch.no_grad()
    def superpixels(self, frame: Frame) -> Tensor:
        """(H, W) int64: the cell, row-major on the grid, that each pixel belongs to most surely.

        In one piece, so that a picture takes 80 bytes a pixel.
        """
        raw: Tensor = frame.require("raw", "SuperpixelSampler")
        nearest = self._association(raw, frame.require("srgb", "SuperpixelSampler"))[0].argmax(0)
        height, width = raw.shape[-2:]
        rows, columns = (torch.arange(n, device=raw.device) // self.cell for n in (height, width))
        across = -(-width // self.cell)
        return (rows[:, None] + nearest // 3 - 1) * across + columns + nearest % 3 - 1

    def _tile(self, raw: Tensor, srgb: Tensor, top: int, left: int, side: int) -> Tensor:
        """(N,) flat indices of the samples of a tile's cells; -1 for a cell without one."""
        width = raw.shape[-1]
        # A round carries what a pixel holds two cells far: the same samples as in one go.
        halo = 2 * self.iterations * self.cell
        above, before = max(0, top - halo), max(0, left - halo)
        window = (..., slice(above, top + side + halo), slice(before, left + side + halo))
        index = self._sample(raw[window], srgb[window])
        row, column, cells = (
            (top - above) // self.cell,
            (left - before) // self.cell,
            side // self.cell,
        )
        index = index[row : row + cells, column : column + cells].flatten()
        across = min(width, left + side + halo) - before
        y, x = index // across + above, index % across + before
        return torch.where(index < 0, index, y * width + x)

    def _sample(self, raw: Tensor, srgb: Tensor) -> Tensor:
        """(h, w) int64 flat index within the window, -1 for a cell without a sample."""
        return ops.argmax_pool(self._association(raw, srgb), self.cell)[0]

    def _association(self, raw: Tensor, srgb: Tensor) -> Tensor:
        """(1, 9, h, w): see :func:`isp_meta.ops.associate_features`."""
        features = superpixel_features(raw, srgb, self.cell, self.alpha, self.m)[None]
        # The first centers are means over whole cells.
        centers = functional.avg_pool2d(
            features, self.cell, ceil_mode=True, count_include_pad=False
        )
        association = ops.associate_features(features, centers, self.cell, self.scale)
        for _ in range(self.iterations - 1):
            centers = ops.aggregate(features, association, self.cell)
            association = ops.associate_features(features, centers, self.cell, self.scale)
        return association

    def extra_repr(self) -> str:
        """Text inside the parentheses of ``repr``."""
        return (
            f"cell={self.cell}, iterations={self.iterations}, alpha={self.alpha:g}, "
            f"m={self.m:g}, scale={self.scale:g}"
        )
