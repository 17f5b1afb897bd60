"""The code at which a sensor really saturates, where that is below what its file says."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["saturation_level"]

_BINS = 4096  # from black to white
_NEAR = 0.995  # of white: what reaches it proves the file right
_LOWEST = 0.5  # of white: no sensor saturates so far below
_ABOVE = 1e-5  # share of pixels that may lie above: defective ones
_LEAST_SHARE, _LEAST_COUNT = 2e-4, 32
_STEEPNESS = 8.0  # the pile against as many bins of the 1.5 % below it
_BELOW = 64


def saturation_level(
    colors: Mapping[str, NDArray[np.float32]],
    black: float,
    white: float,
    gains: Mapping[str, float],
) -> float:
    """Where the histograms of at least two colors pile up, at one code, with nothing above.

    Light of any color ends there, so that highlights would have the color of white balance's
    gains. The same code in two colors whose gains differ is chance in a picture that is not
    clipped: noise alone spreads a single brightness over more codes than a pile has. One color is
    not enough, an even surface would do it.

    Args:
        colors: codes of each color of a mosaic or a linear picture.
        black: the highest black level.
        white: the code that the file gives.
        gains: of white balance.

    Returns:
        That code, or ``white`` where nothing piles up or the highest codes are at ``white``.
    """
    count = sum(values.size for values in colors.values())
    span = (white - black) / _BINS
    limit = black + _NEAR * (white - black)
    if sum(int(np.count_nonzero(v >= limit)) for v in colors.values()) > _ABOVE * count:
        return white
    piles = {
        color: pile
        for color, values in colors.items()
        if (pile := _pile(values, black, span)) is not None
    }
    top = max(piles.values(), default=white)
    # Codes of one saturation: not exactly the same where the file's black was subtracted before.
    at_top = {color: code for color, code in piles.items() if top - code <= 2 * span}
    if len({round(gains[color], 2) for color in at_top}) < 2:
        return white
    return min(at_top.values())


def _pile(values: NDArray[np.float32], black: float, span: float) -> float | None:
    """The code at which values pile up with next to nothing above; None without one."""
    bright = values[values >= black + _LOWEST * _BINS * span]
    least = max(_LEAST_COUNT, _LEAST_SHARE * values.size)
    if bright.size < least:
        return None
    bins = np.bincount(((bright - black) / span).astype(np.int64), minlength=_BINS)
    peak = int(bins.argmax())
    pile = int(bins[max(0, peak - 1) : peak + 2].sum())
    below = bins[max(0, peak - _BELOW) : max(0, peak - 1)]
    usual = 3 * float(below.mean()) if below.size else 0.0
    above = int(bins[peak + 2 :].sum())
    if pile < least or pile < _STEEPNESS * usual or above > 0.01 * pile:
        return None
    inside = bright[np.abs((bright - black) / span - peak) <= 2]
    codes, counts = np.unique(inside, return_counts=True)
    return float(codes[counts.argmax()])
