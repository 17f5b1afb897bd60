"""What a trained network tells of a picture, computed a strip of rows at a time.

srgb ─ FeatureNetwork.coarse ─▶ half size, kept ─ FeatureNetwork.fine ─▶ features of a strip
"""

from __future__ import annotations

import copy
from concurrent.futures import Executor
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..networks import FeatureNetwork
from ..networks.features import larger
from ..networks.tiles import Window, tile_windows
from .detail import DetailBands

__all__ = ["LearnedBands"]

# Side of a tile without its halo: small enough for its layers to stay near a core.
_TILE = 512
_RUN = 64


@dataclass(frozen=True, eq=False)
class LearnedBands:
    """The bands of local contrast of a picture, and a network's features beside them.

    Attributes:
        bands: of the picture.
        network: on the picture's device.
        coarse: (24, h, w) bfloat16, what the network tells at half size.
    """

    bands: DetailBands
    network: FeatureNetwork
    coarse: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, bands: DetailBands, network: FeatureNetwork, pool: Executor) -> LearnedBands:
        """Runs the network's coarse part, in bfloat16, each tile by one worker."""
        srgb = bands.srgb
        if next(network.parameters()).device != srgb.device:
            network = copy.deepcopy(network).to(srgb.device)  # the given one may be everybody's
        size = (srgb.shape[1], srgb.shape[2])
        half = [-(-side // network.multiple) * network.multiple // 2 for side in size]
        told = srgb.new_empty(network.to_full.out_channels, *half, dtype=torch.bfloat16)

        def work(part: Window) -> None:
            around = part.grown(network.halo, size, network.multiple)
            picture = around.of(srgb)[None].to(torch.float32, memory_format=torch.channels_last)
            with torch.no_grad(), torch.autocast(srgb.device.type, torch.bfloat16):
                found = network.coarse(picture)[0]
            inside = Window(*(-(-at // 2) for at in part.within(around)))
            if part.bottom == size[0]:
                inside = inside._replace(bottom=found.shape[1])
            if part.right == size[1]:
                inside = inside._replace(right=found.shape[2])
            top, left = part.top // 2, part.left // 2
            height, width = inside.size
            told[:, top : top + height, left : left + width] = inside.of(found)

        tiles = tile_windows(Window(0, size[0], 0, size[1]), _TILE, network.multiple)
        for _ in pool.map(work, tiles):
            pass
        return cls(bands, network, told)

    @torch.no_grad()
    def rows(self, top: int, bottom: int) -> Tensor:
        """(bands + features, bottom - top, W) of the rows [top, bottom)."""
        return torch.cat([self.bands.rows(top, bottom), self._told(top, bottom)])

    def at(self, index: Tensor, pool: Executor) -> Tensor:
        """(N, bands + features) of the pixels of a flat index that increases."""
        _, height, width = self.bands.srgb.shape

        def work(top: int) -> Tensor | None:
            bottom = min(height, top + _RUN)
            first, last = torch.searchsorted(index, index.new_tensor([top, bottom]) * width)
            if first == last:
                return None
            return self.rows(top, bottom).flatten(1)[:, index[first:last] - top * width]

        found = pool.map(work, range(0, height, _RUN))
        return torch.cat([part for part in found if part is not None], 1).T.contiguous()

    def _told(self, top: int, bottom: int) -> Tensor:
        srgb = self.bands.srgb
        _, height, width = srgb.shape
        first = max(0, top // 2 - 1)
        coarse = larger(self.coarse[None, :, first : -(-bottom // 2) + 1].float())
        begin = top - 2 * first
        coarse = coarse[..., begin : begin + bottom - top, :width]
        above, below = max(0, top - 1), min(height, bottom + 1)
        missing = (1, 1, above - top + 1, bottom + 1 - below)
        picture = functional.pad(srgb[None, :, above:below], missing, mode="replicate")
        with torch.autocast(srgb.device.type, torch.bfloat16):
            return self.network.fine(picture.float(), coarse)[0].to(srgb)
