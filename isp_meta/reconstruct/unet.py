"""The paper's reconstructor: a network that reads the picture, its samples and where they lie."""

from __future__ import annotations

import torch
from torch import Tensor

from .trainable import TrainableReconstructor

__all__ = ["UNetReconstructor"]


class UNetReconstructor(TrainableReconstructor):
    """A network from sRGB, samples and mask straight to raw.

    Args:
        network: (B, 7, H, W) -> (B, 3, H, W) in [0, 1], for any H and W; the paper's is
            ``UNet(7, 3, head="sigmoid")``. Others as in :class:`TrainableReconstructor`.

    Source: Nam et al., CVPR 2022, Eq. 6.
    """

    def inputs(self, srgb: Tensor, kept: Tensor, mask: Tensor) -> Tensor:
        """(B, 7, H, W): sRGB, samples, mask. A mask of zeros stands for no samples at all."""
        return torch.cat((srgb, kept, mask), 1)
