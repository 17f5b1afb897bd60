"""Pixels drawn at random: what the meta-learner trains on, and the plainest baseline."""

from __future__ import annotations

import torch
from torch import Tensor

from ..frame import Frame, Sampler
from ..samples import Samples

__all__ = ["RandomSampler"]


class RandomSampler(Sampler):
    """Keeps pixels drawn uniformly without replacement, the same ones for the same seed and size.

    Args:
        seed: of the draw.
        fraction: share of the pixels to keep, in (0, 1]; at least one pixel is kept.

    Raises:
        ValueError: fraction out of range.

    Source: random sampling in Table 2 of Nam et al., CVPR 2022.
    """

    def __init__(self, seed: int = 0, fraction: float = 1 / 64) -> None:
        super().__init__()
        if not 0 < fraction <= 1:
            raise ValueError(f"fraction must be in (0, 1], not {fraction}")
        self.seed = seed
        self.fraction = fraction

    def forward(self, frame: Frame) -> Samples:
        """Samples of ``frame.raw``; their cell is 0."""
        raw: Tensor = frame.require("raw", "RandomSampler")
        count = raw.shape[-2] * raw.shape[-1]
        generator = torch.Generator().manual_seed(self.seed)
        index = torch.randperm(count, generator=generator)[: max(1, round(count * self.fraction))]
        return Samples.at(index.to(raw.device), raw)

    def extra_repr(self) -> str:
        """Text inside the parentheses of ``repr``."""
        return f"seed={self.seed}, fraction={self.fraction:g}"
