"""The code at which a sensor really saturates, where that is below what its file says."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from ...camera import Camera

__all__ = ["saturation_level"]

_BINS = 4096  # from black to white
_NEAR = 0.995  # of white: what reaches it proves the file right
_LOWEST = 0.5  # of white: no sensor saturates so far below
_ABOVE = 1e-5  # share of pixels that may lie above: defective ones
_LEAST_SHARE, _LEAST_COUNT = 2e-4, 32
_STEEPNESS = 8.0  # the pile against as many bins of the 1.5 % below it
_BELOW = 64


def saturation_level(codes: NDArray[np.float32], camera: Camera, white: float) -> float:
    """Where the histograms of at least two colors pile up, at one code, with nothing above.

    Light of any color ends there, so that highlights would have the color of white balance's
    gains. The same code in two colors whose gains differ is chance in a picture that is not
    clipped: noise alone spreads a single brightness over more codes than a pile has. One color is
    not enough, an even surface would do it.

    Args:
        codes: (1, H, W) of a mosaic, (3, H, W) of a linear picture.
        camera: its color filter, black level and neutral color.
        white: the code that the file gives.

    Returns:
        That code, or ``white`` where nothing piles up or the highest codes are at ``white``; of a
        sensor without a color filter always ``white``.
    """
    if camera.cfa == "W":
        return white
    black = max(camera.black_level)
    colors = _by_color(codes, camera)
    gains = {c: 1 / n for c, n in zip("RGB", camera.as_shot_neutral, strict=True)}
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


def _by_color(codes: NDArray[np.float32], camera: Camera) -> dict[str, NDArray[np.float32]]:
    """The codes of each color, in no order."""
    if camera.cfa == "RGB":
        return dict(zip("RGB", codes, strict=True))
    places = zip(product(range(camera.period), repeat=2), camera.cfa, strict=True)
    parts: dict[str, list[NDArray[np.float32]]] = {color: [] for color in "RGB"}
    for (y, x), color in places:
        parts[color].append(codes[0, y :: camera.period, x :: camera.period].ravel())
    return {color: np.concatenate(found) for color, found in parts.items() if found}


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
