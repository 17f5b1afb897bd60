"""What a trained network tells of a picture at half size, which is most of its work."""

from __future__ import annotations

from concurrent.futures import Executor

import torch
from torch import Tensor

from ..networks import FeatureNetwork
from ..networks.tiles import Window, tile_windows
from ..processors.precision import fastest_dtype

__all__ = ["told_at_half"]

# Side of a tile without its halo: small enough for its layers to stay near a core.
_TILE = 768


@torch.no_grad()
def told_at_half(srgb: Tensor, network: FeatureNetwork, pool: Executor) -> Tensor:
    """(24, h, w) bfloat16, the network's :meth:`~isp_meta.networks.FeatureNetwork.coarse`.

    Args:
        srgb: (3, H, W) in [0, 1], any size.
        network: on the picture's device.
        pool: of workers, of which each runs a tile, in bfloat16 where that is fast. What float32
            makes instead differs by less than the samples tell: either end may have either.
    """
    kind, dtype = srgb.device.type, fastest_dtype(srgb.device)
    size = (srgb.shape[1], srgb.shape[2])
    half = [-(-side // network.multiple) * network.multiple // 2 for side in size]
    told = srgb.new_empty(network.to_full.out_channels, *half, dtype=torch.bfloat16)

    def work(part: Window) -> None:
        around = part.grown(network.halo, size, network.multiple)
        picture = around.of(srgb)[None].float()
        with torch.no_grad(), torch.autocast(kind, dtype, enabled=dtype != torch.float32):
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
    return told
