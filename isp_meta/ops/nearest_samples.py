"""The samples nearest to some positions: by buckets, for samples lie about evenly."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from . import _native  # noqa: F401
from .grid import check_beside, refused_gradient, register_calls
from .operator import operator

__all__ = ["Buckets", "nearest_samples"]

_ops = torch.ops.isp_meta
_MOST = 128
# Samples in a bucket, about.
_SAMPLES = 3.0


class Buckets(NamedTuple):
    """Samples sorted into squares of the plane.

    Attributes:
        place: (N, 2) their rows and columns, square after square. number: (N,) which they are.
        start: (squares + 1,) where each square's begin. cols: squares in a row.
        side: of one, pixels: a whole number, so that borders are exact.
    """

    place: Tensor
    number: Tensor
    start: Tensor
    cols: int
    side: int

    @classmethod
    def of(cls, place: Tensor) -> Buckets:
        """Sorts (N, 2) int64 rows and columns, N >= 1, none negative."""
        rows, cols = (int(most) + 1 for most in place.amax(0))
        side = max(1, round((_SAMPLES * rows * cols / len(place)) ** 0.5))
        down, across = (-(-length // side) for length in (rows, cols))
        square = place[:, 0] // side * across + place[:, 1] // side
        ordered, number = square.sort(stable=True)
        count = down * across
        start = torch.searchsorted(ordered, torch.arange(count + 1, device=place.device))
        return cls(place[number].contiguous(), number, start, across, side)


@operator
def nearest_samples(
    place: Tensor, position: Tensor, count: int, buckets: Buckets | None = None
) -> Tensor:
    """Numbers of the samples nearest to some positions, nearest first.

    Args:
        place: (N, 2) int64, rows and columns of the samples, none negative.
        position: (M, 2) rows and columns, float32 or float64, on CUDA narrower ones as well.
        count: of samples for each position, 1 to 128, at most N.
        buckets: of these places, where they are asked for often.

    Returns:
        (M, count) int64; of samples equally near the one of the smaller number comes first.

    Raises:
        ValueError: shapes or devices do not fit, a place is negative. TypeError: dtype.
    """
    check_beside("place", place, (len(place), 2), position, {torch.int64})
    if position.dim() != 2 or position.shape[1] != 2:
        raise ValueError(f"position must be (M, 2), not {tuple(position.shape)}")
    if not position.is_floating_point():
        raise TypeError(f"position is {position.dtype}; it must be of floats")
    if not 1 <= count <= min(_MOST, len(place)):
        raise ValueError(f"count must be 1 to {min(_MOST, len(place))}, not {count}")
    if buckets is None:
        if bool((place < 0).any()):
            raise ValueError("a sample's place is negative")
        buckets = Buckets.of(place)
    sorted_place, number, start, cols, side = buckets
    result: Tensor = _ops.nearest_samples(sorted_place, number, start, position, cols, side, count)
    return result


def _fake(
    place: Tensor,
    number: Tensor,
    start: Tensor,
    position: Tensor,
    cols: int,
    side: int,
    count: int,
) -> Tensor:
    return number.new_empty(position.shape[0], count)


torch.library.register_fake("isp_meta::nearest_samples", _fake)
torch.library.register_autograd("isp_meta::nearest_samples", refused_gradient("nearest_samples"))
register_calls(_ops.nearest_samples, "isp_meta::nearest_samples")
