"""The code at which a sensor really saturates, where that is below what its file says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...camera import LINEAR, MONOCHROME, Camera

__all__ = ["saturation_level"]

_BINS = 4096  # from black to white
_NEAR = 0.995  # of white: what reaches it proves the file right
_LOWEST = 0.5  # of white: no sensor saturates so far below
_ABOVE = 1e-5  # share of pixels that may lie above: defective ones
_LEAST_SHARE, _LEAST_COUNT = 2e-4, 32
_STEEPNESS = 8.0  # the pile against as many bins of the 1.5 % below it
_BELOW = 64
_SAME_GAIN = 0.02  # of green's
_VARYING = 0.02  # of white

Codes = NDArray[np.float32]


def saturation_level(codes: Codes, camera: Camera, white: float) -> float:
    """Where histograms pile up at one code, with nothing above, and that can be nothing else.

    A pile holds 0.02 % of a color's pixels, eight times as dense as what is below it, within
    0.07 % of the range: noise alone spreads a single brightness wider. It counts where

    - colors whose gains of white balance differ have it at the same code, or
    - one color has it at the highest code of the picture while another varies there: an even
      surface would be even in all colors.

    Args:
        codes: (1, H, W) of a mosaic, (3, H, W) of a linear picture.
        camera: its color filter, black level and neutral.
        white: the code at saturation that the file gives.

    Returns:
        That code, or ``white`` where nothing piles up, or where codes reach ``white``: with it
        clipped light becomes white, in place of the color of white balance's gains.
    """
    black = max(camera.black_level)
    span = (white - black) / _BINS
    reaching = int(np.count_nonzero(codes >= black + _NEAR * (white - black)))
    if camera.cfa == MONOCHROME or reaching > _ABOVE * codes.size:
        return white
    colors = {color: _places(codes, camera, color) for color in "RGB"}
    piles = {
        color: code
        for color, places in colors.items()
        if (code := _pile(places, black, span)) is not None
    }
    if not piles:
        return white
    # Not exactly the same code where each color's own black was subtracted before.
    at_top = {color for color, code in piles.items() if max(piles.values()) - code <= 2 * span}
    level = min(piles[color] for color in at_top)
    neutrals = [n for c, n in zip("RGB", camera.as_shot_neutral, strict=True) if c in at_top]
    if max(neutrals) - min(neutrals) >= _SAME_GAIN:
        return level
    above = int(np.count_nonzero(codes > level + 2 * span))
    still = len(at_top) == 1 and above <= _ABOVE * codes.size
    if still and _others_vary(colors, min(at_top), level - 2 * span, _VARYING * (white - black)):
        return level
    return white


def _others_vary(colors: dict[str, list[Codes]], one: str, level: float, least: float) -> bool:
    """Whether another color varies by that much where all of one color's codes are at a level."""
    height = min(place.shape[0] for places in colors.values() for place in places)
    width = min(place.shape[1] for places in colors.values() for place in places)
    cells = {c: [place[:height, :width] for place in places] for c, places in colors.items()}
    here = np.logical_and.reduce([place >= level for place in cells[one]])
    if not here.any():
        return False
    others = [place[here] for color, places in cells.items() if color != one for place in places]
    spreads = [np.subtract(*np.percentile(values, (95, 5))) for values in others]
    return bool(max(spreads) >= least)


def _places(codes: Codes, camera: Camera, color: str) -> list[Codes]:
    """All codes of a color: one array a place of the color filter."""
    if camera.cfa == LINEAR:
        return [codes[LINEAR.index(color)]]
    side = camera.period
    places = [divmod(place, side) for place, letter in enumerate(camera.cfa) if letter == color]
    return [codes[0, y::side, x::side] for y, x in places]


def _pile(places: list[Codes], black: float, span: float) -> float | None:
    """The code at which values pile up with next to nothing above; None without one."""
    bright = np.concatenate([values[values >= black + _LOWEST * _BINS * span] for values in places])
    least = max(_LEAST_COUNT, _LEAST_SHARE * sum(values.size for values in places))
    if bright.size < least:
        return None
    bins = np.bincount(((bright - black) / span).astype(np.int64), minlength=_BINS)
    # The highest bin with as many pixels at it and above it as a pile must have, or one beside it.
    top = int(np.flatnonzero(bins[::-1].cumsum()[::-1] >= least)[-1])
    peak = max(0, top - 1) + int(bins[max(0, top - 1) : top + 2].argmax())
    pile = int(bins[max(0, peak - 1) : peak + 2].sum())
    below = bins[max(0, peak - _BELOW) : max(0, peak - 1)]
    usual = 3 * float(below.mean()) if below.size else 0.0
    above = int(bins[peak + 2 :].sum())
    if pile < least or pile < _STEEPNESS * usual or above > 0.01 * pile:
        return None
    inside = bright[np.abs((bright - black) / span - peak) <= 2]
    codes, counts = np.unique(inside, return_counts=True)
    return float(codes[counts.argmax()])
