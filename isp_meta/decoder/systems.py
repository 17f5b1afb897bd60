"""The radial-basis systems: one small one a block, shared by all the block's pixels.

The samples lie about evenly, so the nearest ones of a block serve all its pixels: one factorization
in place of one a pixel. Each predicts, in position, color and surroundings, what the samples know:

    prediction(p) = phi(p) C⁻¹ v,    phi(p)_k = c(x_p, x_k),    C_jk = c(x_j, x_k) + ridge [j = k]

with c as :func:`isp_meta.ops.local_rbf` has it, which does all of the work.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..ops import Buckets, RadialBasis, local_rbf, nearest_samples
from ..samples import LocalRBFModel, Samples

__all__ = ["STORED", "LocalRBFSetting", "NearestSamples", "block_side", "block_sums", "predict"]

STORED = "stored"
"""Name of the first guess that travels with the samples."""


@dataclass(frozen=True)
class LocalRBFSetting:
    """What is chosen for each picture.

    Attributes:
        target: ``log_gain`` interpolates log(raw / first guess), with no tail: far from any
            alike sample the first guess stands. ``value`` interpolates raw itself, with an affine
            tail.
        kernel: ``exponential`` exp(-r) or ``rational`` 1 / (1 + r²); both positive definite.
        position_scale: pixels that count as distance 1.
        color_scale: sRGB difference that counts as distance 1.
        ridge: variance of the noise, in units of the kernel's.
        guess: ``cubic``, ``color``, ``detail`` or ``learned``: which first guess a log-gain is
            against; or ``stored``, the one that capture found.
    """

    target: str
    kernel: str
    position_scale: float
    color_scale: float
    ridge: float = 0.01
    guess: str = "cubic"

    @classmethod
    def of(cls, model: LocalRBFModel) -> LocalRBFSetting:
        """The one that travels with the samples."""
        scales = model.position_scale, model.color_scale, model.ridge
        return cls("log_gain", model.kernel, *scales, guess=STORED)

    @property
    def basis(self) -> RadialBasis:
        """As the kernel takes it."""
        tail = float(self.target == "value")
        return RadialBasis(self.position_scale, self.color_scale, self.kernel, tail, self.ridge)


def spacing_of(samples: Samples) -> float:
    """From one sample to the next, about, pixels."""
    return math.sqrt(samples.height * samples.width / len(samples))


def block_side(samples: Samples) -> int:
    """Side of the blocks that share a system, pixels: about the samples' spacing, 4 to 16.

    One neighborhood then serves all of a block's pixels.
    """
    return min(16, max(4, round(spacing_of(samples))))


def block_sums(planes: Tensor, side: int) -> Tensor:
    """(..., h, w) sums over blocks of (..., H, W), whose last ones may be cut."""
    height, width = planes.shape[-2:]
    planes = functional.pad(planes, (0, -width % side, 0, -height % side))
    across = planes.view(*planes.shape[:-1], -1, side).sum(-1)
    return across.view(*planes.shape[:-2], -1, side, across.shape[-1]).sum(-2)


class NearestSamples:
    """Finds the samples nearest to a place.

    Args:
        index: (N,) flat, of a picture of so many pixels a row.
    """

    def __init__(self, index: Tensor, width: int) -> None:
        self._place = torch.stack([index // width, index % width], 1)
        self._buckets = Buckets.of(self._place)

    def __call__(self, position: Tensor, count: int) -> Tensor:
        """(n, count) numbers of the samples nearest to (n, 2) rows and columns, nearest first."""
        # Places are exact in doubles, whatever the picture's dtype.
        return nearest_samples(self._place, position.double(), count, self._buckets)


@torch.no_grad()
def predict(
    basis: RadialBasis, points: Tensor, values: Tensor, corner: Tensor, guide: Tensor
) -> Tensor:
    """What systems of some blocks make of values, at the blocks' pixels.

    Args:
        points: (B, K, 7) position, color and surroundings of each block's samples.
        values: (B, K, V), V <= 16, of them.
        corner: (B, 2) row and column of each block's first pixel.
        guide: (B, 5, side, side) color and surroundings of its pixels.

    Returns:
        (B, side², V), pixels row by row.
    """
    blocks, count, _ = points.shape
    points = points.clone()
    points[..., :2] -= corner[:, None]
    every = torch.arange(blocks * count, device=points.device).view(blocks, 1, 1, count)
    flat = points.flatten(0, 1), values.flatten(0, 1)
    found = local_rbf(guide, *flat, every, guide.shape[-1], basis)
    return found.flatten(2).mT
