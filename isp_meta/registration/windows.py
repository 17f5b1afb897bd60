"""How far windows all over a picture are shifted against its raw, to a fraction of a pixel."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from .match import Match, directions, match_part, peak
from .placement import Placement, size_of

__all__ = ["LocalShifts", "local_shifts"]

# Side of a window, pixels, and how many stand along a side of the picture.
_SIDE, _COUNT = 256, 8

# Windows of renderings of two photographs correlated by 0.22 or more.
_LEAST_LIKENESS, _MARGIN = 0.2, 1.3

# A window is like itself, but for rounding; one without detail is so at any shift.
_ITSELF = 0.9


@dataclass(frozen=True)
class LocalShifts:
    """What windows all over a picture say of its place.

    Attributes:
        top, left: the shift to the pixel at which all of them together correlate most, against the
            placement that they were tried at.
        residual: distance from that of each window that tells one, pixels, sorted.
        lost: number of windows with something to recognize that the raw does not show.
    """

    top: int
    left: int
    residual: tuple[float, ...]
    lost: int

    def quantile(self, share: float) -> float:
        """The residual that so large a share of the windows does not exceed; NaN without any."""
        if not self.residual:
            return math.nan
        return self.residual[min(len(self.residual) - 1, int(share * len(self.residual)))]


def local_shifts(tone: Tensor, true: Tensor, placement: Placement, pool: Executor) -> LocalShifts:
    """Compares a picture with its raw, window by window.

    Args:
        tone: (h, w) brightness of the picture, about evenly spaced for the eye.
        true: (H, W) of the turned raw.
        placement: right to half the side of a window; its turn has been done.
        pool: works on several windows at a time.
    """
    rows, columns = Placement(1, placement.top, placement.left).shared(size_of(true), size_of(tone))

    def work(place: tuple[slice, slice]) -> tuple[Match, Tensor, bool]:
        down, across = place
        there = (
            slice(down.start + placement.top, down.stop + placement.top),
            slice(across.start + placement.left, across.stop + placement.left),
        )
        shown, raw = (directions(_smooth(p)) for p in (tone[place], true[there]))
        found, correlation = match_part(shown, raw)
        tells = found.distinct(_LEAST_LIKENESS, _MARGIN)
        lost = not tells and all(
            match_part(p, p)[0].distinct(_ITSELF, _MARGIN) for p in (shown, raw)
        )
        return found, correlation, lost

    found = list(pool.map(work, product(_spans(rows), _spans(columns))))
    total = torch.stack([correlation for _, correlation, _ in found]).sum(0)
    best = peak(total, torch.Size(side // 2 for side in total.shape))
    top, left = round(best.top), round(best.left)
    residual = sorted(
        math.hypot(match.top - top, match.left - left)
        for match, _, _ in found
        if match.distinct(_LEAST_LIKENESS, _MARGIN)
    )
    return LocalShifts(top, left, tuple(residual), sum(lost for _, _, lost in found))


def _smooth(tone: Tensor) -> Tensor:
    """Means of 3 x 3 of means of 3 x 3 pixels, whose gradients outweigh their noise."""
    if min(tone.shape) < 3:
        return tone
    once = functional.avg_pool2d(tone[None], 3, 1, 1, count_include_pad=False)
    return functional.avg_pool2d(once, 3, 1, 1, count_include_pad=False)[0]


def _spans(whole: slice) -> Iterator[slice]:
    """Windows spread evenly over a range of rows or columns; they overlap where it is short."""
    length = whole.stop - whole.start
    side = min(_SIDE, length)
    count = max(1, min(_COUNT, 2 * length // side - 1))
    for number in range(count):
        start = whole.start + (length - side) * number // max(1, count - 1)
        yield slice(start, start + side)
