"""Bit depth by a network that reads a picture of few bits and samples of the true one.

Frame.srgb holds the middles of bins, (q + 1/2) / 2^b; raw, and what comes out, lies within them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..frame import Frame, Reconstructor
from ..networks.depth import bin_width
from ..networks.tiles import run_tiled
from ..samples import Samples
from .local_rbf import LocalRBFReconstructor
from .trainable import Online, TrainableReconstructor

__all__ = ["BitDepthReconstructor", "GuidedBitDepthReconstructor", "into_bins"]


def into_bins(values: Tensor, picture: Tensor) -> Tensor:
    """Values moved no farther than to the nearest end of the bin that they lie in.

    The truth is in the bin, so that no value gets worse by it.

    Args:
        values: (..., 3, H, W). picture: the same shape: middles of bins, see
            :func:`isp_meta.networks.depth.bin_width`.
    """
    half = bin_width(picture) / 2
    return torch.minimum(torch.maximum(values, picture - half), picture + half)


class BitDepthReconstructor(TrainableReconstructor):
    """A network from a picture of few bits, samples and mask to one of many.

    Args:
        network: (B, 7, H, W) -> (B, 3, H, W): a :class:`~isp_meta.networks.DepthNetwork`, or the
            paper's ``UNet(7, 3, head="sigmoid")``. Others as in :class:`TrainableReconstructor`.

    Source: Nam et al., CVPR 2022, section 4.4, with the projection onto the bins.
    """

    def inputs(self, srgb: Tensor, kept: Tensor, mask: Tensor) -> Tensor:
        """(B, 7, H, W): the middles of bins, samples, mask. A mask of zeros: no samples at all."""
        return torch.cat((srgb, kept, mask), 1)

    def online(
        self, srgb: Tensor, kept: Tensor, mask: Tensor, generator: torch.Generator | None = None
    ) -> Online:
        """Half of the samples are left out of the inputs, and are what is to be met.

        Those that it is given a network repeats, and learns nothing from.
        """
        hidden = torch.rand(mask.shape, generator=generator).to(mask) < 0.5
        seen = mask.masked_fill(hidden, 0)
        return Online(self.inputs(srgb, kept * seen, seen), kept, mask - seen)

    @torch.no_grad()
    def forward(self, frame: Frame) -> Tensor:
        """(3, H, W) in its bins, equal to the stored samples at their pixels.

        Args:
            frame: with ``srgb``, and ``samples``, which may be none.

        Raises:
            PipelineOrderError: srgb is empty. ValueError: samples of another size.
        """
        picture: Tensor = frame.require("srgb", type(self).__name__)
        if frame.samples is None or not len(frame.samples):
            raw = self._blind(picture)
        else:
            raw = super().forward(frame)
        return into_bins(raw, picture)

    def _blind(self, picture: Tensor) -> Tensor:
        """What the network makes of no samples at all."""
        _, height, width = picture.shape
        none = Samples.at(torch.zeros(0, dtype=torch.long), picture)
        reader = self.window_reader(picture, none)
        return run_tiled(self.network, reader, (height, width), dtype=self.dtype).to(picture)


class GuidedBitDepthReconstructor(Reconstructor):
    """Local radial-basis systems that interpolate what a network, without samples, leaves over.

    Args:
        network: what makes a picture of many bits of one of few, alone.
        systems: what corrects it by the samples; default ``LocalRBFReconstructor()``.
    """

    def __init__(
        self, network: BitDepthReconstructor, systems: Reconstructor | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.systems = systems or LocalRBFReconstructor()

    @torch.no_grad()
    def forward(self, frame: Frame) -> Tensor:
        """(3, H, W) in its bins, equal to the stored samples at their pixels.

        Args:
            frame: with ``srgb``, the middles of bins, and ``samples``; without them what the
                network gives.

        Raises:
            PipelineOrderError: srgb is empty. ValueError: samples of another size.
        """
        picture: Tensor = frame.require("srgb", type(self).__name__)
        guide: Tensor = self.network(frame.replace(samples=None))
        if frame.samples is None or not len(frame.samples):
            return guide
        return into_bins(self.systems(frame.replace(srgb=guide)), picture)
