"""Means over the occupied cells of an octree, finest where the values differ most."""

from __future__ import annotations

import heapq
import itertools

import numpy as np
import torch
from torch import Tensor

__all__ = ["octree_means"]

_DEPTH = 8


def _morton(position: Tensor) -> Tensor:
    """(N,) code of the finest cell: all pixels of a cell of any level have adjacent codes."""
    place = (position.double() * (1 << _DEPTH)).long().clamp_(0, (1 << _DEPTH) - 1)
    code = torch.zeros_like(place[0])
    for bit in range(_DEPTH):
        for axis in range(3):
            code |= ((place[axis] >> bit) & 1) << (3 * bit + axis)
    return code


def octree_means(position: Tensor, value: Tensor, limit: int) -> tuple[Tensor, Tensor, Tensor]:
    """Splits the unit cube, always the cell with the largest sum of squared deviations.

    Args:
        position: (3, N) in [0, 1], N >= 1. value: (3, N).
        limit: of cells, >= 1.

    Returns:
        Of the M <= limit occupied cells mean position (M, 3), mean value (M, 3) and number of
        pixels (M,), float64.
    """
    code, order = _morton(position).sort(stable=True)
    codes = code.numpy()
    position, value = position[:, order].double(), value[:, order].double()
    terms = torch.cat([torch.ones_like(value[:1]), position, value, value.square().sum(0)[None]])
    # Any cell's sums are a difference of two of these.
    sums = torch.cat([terms.new_zeros(8, 1), terms.cumsum(1)], 1).numpy()

    def deviation(first: int, end: int) -> float:
        count, *_position, red, green, blue, square = sums[:, end] - sums[:, first]
        return float(square - (red * red + green * green + blue * blue) / count)

    nothing = 1e-12 * float(sums[7, -1])
    cells = [(-deviation(0, len(codes)), 0, len(codes), _DEPTH)]
    leaves: list[tuple[int, int]] = []
    while cells and len(cells) + len(leaves) + 7 <= limit:
        error, first, end, level = heapq.heappop(cells)
        if level == 0 or -error <= nothing:
            leaves.append((first, end))
            continue
        shift = 3 * (level - 1)
        corner = int(codes[first]) >> (shift + 3) << 3
        inner = np.searchsorted(codes[first:end], [(corner + i) << shift for i in range(1, 8)])
        edges = [first, *(first + inner).tolist(), end]
        for low, high in itertools.pairwise(edges):
            if low < high:
                heapq.heappush(cells, (-deviation(low, high), low, high, level - 1))
    leaves += [(first, end) for _error, first, end, _level in cells]
    low, high = np.array(sorted(leaves)).T
    found = torch.from_numpy(sums[:, high] - sums[:, low])
    return (found[1:4] / found[0]).T, (found[4:7] / found[0]).T, found[0]
