"""Sampling without superpixels: the pixels that a network rates highest, wherever they lie."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..frame import Frame, Sampler
from ..networks.tiles import run_tiled
from ..samples import Samples
from .choice import Choice, Inputs, check_inputs, network_inputs, window_reader

__all__ = ["FreeFormSampler", "highest"]


def highest(score: Tensor, count: int) -> Tensor:
    """Marks the highest scores; of equal ones those that come first.

    Args:
        score: (..., N), any float type; NaN comes last.
        count: how many to mark, in [1, N].

    Returns:
        (..., N) bool, ``count`` of them True in each row.
    """
    score = torch.where(score.isnan(), -torch.inf, score)
    threshold = score.topk(count, -1, sorted=False).values.amin(-1, keepdim=True)
    above, equal = score > threshold, score == threshold
    room = count - above.sum(-1, keepdim=True)
    return above | (equal & (equal.cumsum(-1, dtype=torch.int32) <= room))


class FreeFormSampler(Sampler):
    """Keeps the share of the pixels that a network rates highest.

    Args:
        network: (B, 6, H, W), or (B, 3, H, W) where it sees one picture, to (B, 1, H, W) logits of
            keeping a pixel, for any H and W; ``UNet(6, 1)``, say.
        share: of the pixels to keep, in (0, 1], rounded; at least one pixel is kept.
        inputs: what the network sees: "both" sRGB and raw, in this order, "srgb" or "raw".
        clip: limit of the gradient that goes straight through; None: none.
        dtype: in which the network runs on a frame, torch.bfloat16 say; None: its own.

    Raises:
        ValueError: an argument out of range.

    Source: the free-form sampling of Nam et al., CVPR 2022, Table 3.
    """

    def __init__(
        self,
        network: nn.Module,
        share: float = 1 / 64,
        inputs: Inputs = "both",
        *,
        clip: float | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_inputs(inputs)
        if not 0 < share <= 1:
            raise ValueError(f"share must be in (0, 1], not {share}")
        if clip is not None and not clip > 0:
            raise ValueError(f"clip must be > 0 or None, not {clip}")
        self.network = network
        self.share, self.inputs, self.clip, self.dtype = share, inputs, clip, dtype

    def choose(self, srgb: Tensor, raw: Tensor) -> Choice:
        """Mask of a batch, differentiable in the network's parameters; the loss is 0.

        Args:
            srgb, raw: (B, 3, H, W) in [0, 1].
        """
        logits = self.network(network_inputs(srgb, raw, self.inputs)).to(raw.dtype)
        chosen = self._chosen(logits.detach().flatten(1)).view(logits.shape).to(raw.dtype)
        likely = logits.sigmoid()
        if self.clip is not None and likely.requires_grad:
            limit = self.clip
            likely.register_hook(lambda grad: grad.clamp(-limit, limit))
        # Adds exactly nothing, and the probability's slope where a pixel was chosen.
        mask = chosen + chosen * (likely - likely.detach())
        return Choice(mask, logits.new_zeros(()))

    @torch.no_grad()
    def forward(self, frame: Frame) -> Samples:
        """Samples of ``frame.raw``; their cell is 0. The network runs in evaluation mode."""
        read, raw, size = window_reader(frame, self.inputs, type(self).__name__)
        logits = run_tiled(self.network, read, size, dtype=self.dtype)
        index = self._chosen(logits.flatten()).nonzero()[:, 0]
        return Samples.at(index.to(raw.device), raw)

    def _chosen(self, score: Tensor) -> Tensor:
        return highest(score, max(1, round(self.share * score.shape[-1])))

    def extra_repr(self) -> str:
        """Text inside the parentheses of ``repr``."""
        return f"share={self.share:g}, inputs={self.inputs!r}, clip={self.clip}"
