from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from isp_meta.frame import Frame
from isp_meta.samplers import UniformSampler


def _smooth(height: int, width: int, seed: int) -> torch.Tensor:
    """(3, H, W) blobs over [0.05, 0.95]."""
    noise = torch.rand(3, height + 18, width + 18, generator=torch.Generator().manual_seed(seed))
    blobs = functional.avg_pool2d(noise[None], 19, stride=1)[0]
    low, high = blobs.amin((1, 2), keepdim=True), blobs.amax((1, 2), keepdim=True)
    return 0.05 + 0.9 * (blobs - low) / (high - low)


@pytest.fixture(scope="session")
def scene() -> Callable[..., Frame]:
    def make(height: int = 128, width: int = 160, cell: int = 8, seed: int = 0) -> Frame:
        """A picture whose tones were mapped locally and clipped; uniform samples of its raw."""
        shown = _smooth(height, width, seed)
        light = 0.25 + 0.75 * _smooth(height, width, seed + 1).mean(0)
        raw = shown.square() * light + 0.02 * _smooth(height, width, seed + 2)
        srgb = ((1.15 * shown).clamp(max=1) * 255).round() / 255
        frame = Frame(raw=raw, srgb=srgb)
        return frame.replace(samples=UniformSampler(cell)(frame))

    return make


@pytest.fixture(scope="session")
def missed() -> Callable[[torch.Tensor, torch.Tensor], float]:
    def mean_square(estimate: torch.Tensor, truth: torch.Tensor) -> float:
        return float((estimate - truth).square().mean())

    return mean_square
