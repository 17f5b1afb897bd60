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
_TILE = 768
# Pixels at a time, where only some are wanted.
_RUN = 16384


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
            picture = around.of(srgb)[None].float()
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
        return torch.cat([self.bands.at(index, pool), self.told_at(index, pool)], 1)

    def told_at(self, index: Tensor, pool: Executor) -> Tensor:
        """(N, features) of the pixels of a flat index."""
        return torch.cat(list(pool.map(self._told_at, torch.split(index, _RUN))))

    @torch.no_grad()
    def _told_at(self, index: Tensor) -> Tensor:
        """(N, features) of the pixels of a flat index."""
        srgb = self.bands.srgb
        _, height, width = srgb.shape
        y, x = index // width, index % width
        steps = torch.arange(-1, 2, device=index.device)
        rows = (y + steps[:, None]).clamp_(0, height - 1)
        columns = (x + steps[:, None]).clamp_(0, width - 1)
        around = srgb[:, rows[:, None], columns[None]].float()
        with torch.autocast(srgb.device.type, torch.bfloat16):
            told = self.network.at_pixels(around, self._coarse_at(y, x))
        return told.to(srgb)

    def _coarse_at(self, y: Tensor, x: Tensor) -> Tensor:
        """(24, N) of the coarse part, bilinear between its centers."""
        coarse: Tensor | int = 0
        (above, down), (left, across) = (
            _between(at, size) for at, size in zip((y, x), self.coarse.shape[1:], strict=True)
        )
        for row, in_row in ((above, 1 - down), (above + 1, down)):
            for column, in_column in ((left, 1 - across), (left + 1, across)):
                last = (size - 1 for size in self.coarse.shape[1:])
                corner = self.coarse[:, row.clamp(max=next(last)), column.clamp(max=next(last))]
                coarse = coarse + corner.float() * (in_row * in_column)
        assert isinstance(coarse, Tensor)
        return coarse

    def _told(self, top: int, bottom: int) -> Tensor:
        srgb = self.bands.srgb
        _, height, width = srgb.shape
        first = max(0, top // 2 - 1)
        # Channels last, as convolutions have them: nothing is rearranged in between.
        coarse = self.coarse[None, :, first : -(-bottom // 2) + 1]
        coarse = larger(coarse.contiguous(memory_format=torch.channels_last))
        begin = top - 2 * first
        coarse = coarse[..., begin : begin + bottom - top, :width]
        above, below = max(0, top - 1), min(height, bottom + 1)
        missing = (1, 1, above - top + 1, bottom + 1 - below)
        picture = functional.pad(srgb[None, :, above:below], missing, mode="replicate")
        with torch.autocast(srgb.device.type, torch.bfloat16):
            picture = picture.float().contiguous(memory_format=torch.channels_last)
            return self.network.fine(picture, coarse)[0].to(srgb)


def _between(at: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The last of ``size`` coarse places before a fine one, and how far it is on to the next."""
    place = ((at + 0.5) / 2 - 0.5).clamp(0, size - 1)
    before = place.floor()
    return before.long(), place - before
