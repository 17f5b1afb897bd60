"""Dark specks taken away: in the dark no pixel is far below all that lies around it.

The systems predict logarithms, in which next to black a little is a lot.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..processors.workers import workers

__all__ = ["lift_specks"]

# Half the side of the square whose mean a pixel is held against; the least it may be of that mean;
# and the mean from which on that is less and less so, until at twice as much nothing is held.
_REACH, _LEAST, _DARK = 2, 0.4, 0.02


def _means(around: Tensor) -> Tensor:
    """(3, h, W) over squares of (3, h + 4, W), which goes on beyond its sides: one way, then the
    other."""
    _, height, width = around.shape
    height -= 2 * _REACH
    down = around[:, :height].clone()
    for y in range(1, 2 * _REACH + 1):
        down += around[:, y : y + height]
    wide = functional.pad(down[None], (_REACH, _REACH, 0, 0), mode="replicate")[0]
    across = wide[..., :width].clone()
    for x in range(1, 2 * _REACH + 1):
        across += wide[..., x : x + width]
    return across.div_((2 * _REACH + 1) ** 2)


@torch.no_grad()
def lift_specks(raw: Tensor, strips: list[tuple[int, int]]) -> None:
    """raw = max(raw, 0.4 min(m, 0.04 - m)), m the mean of the 5x5 around of that color.

    Args:
        raw: (3, H, W) in [0, 1]; written over. It goes on beyond its edges as it is at them.
        strips: first row and end of each, together all rows.
    """
    height = raw.shape[1]
    rows = torch.arange(-_REACH, _REACH)

    def edge(at: int) -> Tensor:
        """The rows just above and below a place, as they were."""
        return raw[:, (at + rows).clamp(0, height - 1)]

    edges = {at: edge(at) for strip in strips for at in strip}

    def work(strip: tuple[int, int]) -> None:
        part = raw[:, slice(*strip)]
        if float(part.min()) >= _LEAST * _DARK:
            return
        above, below = (edges[at] for at in strip)
        around = torch.cat([above[:, :_REACH], part, below[:, _REACH:]], 1)
        mean = _means(around)
        least = torch.minimum(mean, 2 * _DARK - mean).mul_(_LEAST)
        torch.maximum(part, least, out=part)

    with workers() as pool:
        for _ in pool.map(work, strips):
            pass
