"""A sampler that knows the decoder, and chooses what it stores by what comes out."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..frame import Frame, Sampler, Samples
from ..workers import workers
from .fit import fit_model
from .values import control_values

__all__ = ["ClosedLoopSampler"]


class ClosedLoopSampler(Sampler):
    """Samples of another sampler, with the model that interpolates them best.

    Args:
        sampler: chooses the pixels.
        effort: 0: as the sampler has them. 1: with a model that is fitted to the whole picture.
        neighbors: samples in each block's system, 1 to 96.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(self, sampler: Sampler, effort: int = 1, neighbors: int = 24) -> None:
        super().__init__()
        if not 0 <= effort <= 9 or not 1 <= neighbors <= 96:
            raise ValueError("effort must be 0 to 9, neighbors 1 to 96")
        self.sampler, self.effort, self.neighbors = sampler, effort, neighbors

    @torch.no_grad()
    def forward(self, frame: Frame) -> Samples:
        """Samples of ``frame.raw``."""
        samples: Samples = self.sampler(frame)
        if not self.effort or not len(samples):
            return samples
        raw: Tensor = frame.require("raw", "ClosedLoopSampler")
        srgb: Tensor = frame.require("srgb", "ClosedLoopSampler")
        with workers() as pool:
            model = fit_model(srgb, raw, samples, self.neighbors, pool)
            samples = replace(samples, model=model)
            if model is None or self.effort < 2:
                return samples
            value = control_values(srgb, raw, samples, 2 * self.effort, pool)
        return replace(samples, value=value, control=True)

    def extra_repr(self) -> str:
        """Text inside the parentheses of ``repr``, beside the sampler."""
        return f"effort={self.effort}, neighbors={self.neighbors}"
