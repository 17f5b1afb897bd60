"""Local contrast of a picture, scale by scale: what sharpening and local tone mapping act on.

log sRGB² ─▶ à-trous pyramid ─▶ five bands a color ─┬─▶ as they are
                              └─▶ what remains ─────┴─▶ their mean times brightness

A camera that sharpens multiplies the finest bands by a gain, one that maps tones locally the
coarsest. The logarithm of what it did is about linear in these bands, so that a few weights,
fitted to the samples, take most of it back.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..ops import guess_features
from ..ops.reference import log_light, pyramid

__all__ = ["coarse_contrast", "contrast", "square_means"]

# Distances between the taps of the coarse bands, in coarse pixels, and how many pixels one is.
_COARSE, _SHRINK = (2, 4), 4


def coarse_contrast(srgb: Tensor) -> Tensor:
    """(9, h, w) the two coarsest bands and what remains below them, one a square of 4 pixels.

    Args:
        srgb: (3, H, W) in [0, 1], any size.
    """
    bands, rest = pyramid(log_light(square_means(srgb, _SHRINK)), _COARSE)
    return torch.cat([*bands, rest])


def square_means(planes: Tensor, side: int) -> Tensor:
    """(C, h, w) means over squares of (C, H, W), which goes on beyond its edges as it is there."""
    beyond = (0, -planes.shape[2] % side, 0, -planes.shape[1] % side)
    if any(beyond):  # or the whole would be copied for nothing
        planes = functional.pad(planes[None], beyond, mode="replicate")[0]
    return functional.avg_pool2d(planes, side)


def contrast(srgb: Tensor) -> Tensor:
    """(29, H, W) features of local contrast, see :func:`isp_meta.ops.guess_features`."""
    index = torch.arange(srgb[0].numel(), device=srgb.device)
    features = guess_features(srgb, index, coarse_contrast(srgb))
    return features.T.reshape(-1, *srgb.shape[1:])
