"""The paper's sampler: superpixels that a network draws, and one pixel of each.

srgb, raw ─▶ network ─▶ logits ─┬─ associate ─▶ q ─ sample_mask ─▶ mask
                                └─ superpixel_loss ─▶ loss
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .. import ops
from ..frame import Frame, Sampler
from ..networks.tiles import Window, run_tiled, tile_windows
from ..samples import Samples
from .choice import Choice, Inputs, check_inputs, network_inputs, window_reader

__all__ = ["LearnedSampler"]


class LearnedSampler(Sampler):
    """Keeps of each cell the pixel that a network is surest belongs to its superpixel.

    Args:
        network: (B, 6, H, W), or (B, 3, H, W) where it sees one picture, to (B, 9, H, W) logits of
            the nine cells around a pixel, for any H and W; the paper's is ``UNet(6, 9)``.
        cell: side of a cell, pixels, >= 1. 8 keeps at most 1 pixel in 64.
        inputs: what the network sees: "both" sRGB and raw, in this order, "srgb" or "raw".
        alpha: weight of sRGB against raw in the superpixel loss, in [0, 1].
        m: compactness, 8-bit levels a cell, >= 0.
        clip: limit of the gradient that goes straight through; 1 does as the paper's published
            code, None as its text.
        mask_outside: False chooses as the paper's published code does, where cells outside the
            picture take part in the softmax: for the authors' checkpoints. The superpixel loss
            never counts them.
        dtype: in which the network runs on a frame, torch.bfloat16 say; None: its own.

    Raises:
        ValueError: an argument out of range.

    Source: Nam et al., CVPR 2022, Eqs. 1 to 5.
    """

    # Side of a tile with what its cells' neighbors need, pixels.
    _TILE = 1024

    def __init__(
        self,
        network: nn.Module,
        cell: int = 8,
        inputs: Inputs = "both",
        alpha: float = 0.2,
        m: float = 10.0,
        *,
        clip: float | None = None,
        mask_outside: bool = True,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_inputs(inputs)
        if cell < 1:
            raise ValueError(f"cell must be >= 1, not {cell}")
        if not 0 <= alpha <= 1 or not 0 <= m < float("inf"):
            raise ValueError(f"alpha must be in [0, 1] and m >= 0, not {alpha} and {m}")
        if clip is not None and not clip > 0:
            raise ValueError(f"clip must be > 0 or None, not {clip}")
        self.network = network
        self.cell, self.inputs, self.alpha, self.m = cell, inputs, alpha, m
        self.clip, self.mask_outside, self.dtype = clip, mask_outside, dtype

    def choose(self, srgb: Tensor, raw: Tensor) -> Choice:
        """Mask and superpixel loss of a batch, differentiable in the network's parameters.

        Args:
            srgb, raw: (B, 3, H, W) in [0, 1].
        """
        logits = self.network(network_inputs(srgb, raw, self.inputs)).to(raw.dtype).contiguous()
        loss = ops.superpixel_loss(logits, srgb, raw, self.cell, self.alpha, self.m)
        mask = ops.sample_mask(self._association(logits), self.cell, self.clip)
        return Choice(mask, loss)

    @torch.no_grad()
    def cells(self, srgb: Tensor, raw: Tensor) -> Tensor:
        """(B, h, w) int64 flat index of each cell's pixel, -1 for none, pictures in one go.

        Args:
            srgb, raw: (B, 3, H, W) in [0, 1].
        """
        return self._pooled(self.network(network_inputs(srgb, raw, self.inputs)))

    @torch.no_grad()
    def forward(self, frame: Frame) -> Samples:
        """Samples of ``frame.raw``, at most one a cell; the network in evaluation mode."""
        read, raw, size = window_reader(frame, self.inputs, type(self).__name__)
        # A cell is chosen among the pixels of its neighbors, whose softmax sees theirs.
        border = 2 * self.cell
        side = max(self.cell, self._TILE - 2 * border)
        kept = []
        for part in tile_windows(Window(0, size[0], 0, size[1]), side, self.cell):
            around = part.grown(border, size)
            logits = run_tiled(
                self.network, read, size, window=around, tile=self._TILE, dtype=self.dtype
            )
            index = self._of_part(logits, part.within(around))
            y, x = index // around.size[1] + around.top, index % around.size[1] + around.left
            kept.append(torch.where(index < 0, index, y * size[1] + x))
        return Samples.at(torch.cat(kept).to(raw.device), raw, self.cell)

    def _of_part(self, logits: Tensor, part: Window) -> Tensor:
        """(N,) flat index, within the logits, of the samples of the cells of a part of them."""
        cells = Window(*(-(-at // self.cell) for at in part))
        return cells.of(self._pooled(logits[None])[0]).flatten()

    def _pooled(self, logits: Tensor) -> Tensor:
        return ops.argmax_pool(self._association(logits), self.cell)

    def _association(self, logits: Tensor) -> Tensor:
        return ops.associate(logits, self.cell, self.mask_outside)

    def extra_repr(self) -> str:
        """Text inside the parentheses of ``repr``."""
        return (
            f"cell={self.cell}, inputs={self.inputs!r}, alpha={self.alpha:g}, m={self.m:g}, "
            f"clip={self.clip}, mask_outside={self.mask_outside}"
        )
