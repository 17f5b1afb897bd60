"""What a DNG's stored codes mean: its table, and the codes of no light and of saturation."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..refusals import damaged
from .areas import Area
from .layout import Layout
from .tags import Tag, TiffTags
from .value_maps import value_maps

__all__ = [
    "black_of_places",
    "linearized",
    "rescaled_to_one_white",
    "through_curves",
    "white_levels",
]

_SHARED = 0.5  # codes by which black may differ from its mean: half the step of the codes
_FULL = 65535.0
_SQUARES = {side * side: side for side in range(2, 9)}


def linearized(codes: NDArray[np.generic], tags: TiffTags) -> NDArray[np.generic]:
    """Codes through the LinearizationTable, where there is one; beyond its end its last entry.

    Source: DNG specification 1.7.1, chapter 5, "Linearization".
    """
    table = np.array(tags.numbers.get(Tag.LINEARIZATION_TABLE, ()), np.uint16)
    if not len(table) or codes.dtype.kind == "f":
        return codes
    found: NDArray[np.generic] = table[np.minimum(codes, len(table) - 1)]
    return found


def white_levels(tags: TiffTags, layout: Layout) -> tuple[float, ...]:
    """Code at saturation of each sample of a pixel.

    Without a usable WhiteLevel it is 1 for floating point, the table's largest entry behind a
    table, and else the largest code.

    Source: DNG specification 1.7.1, WhiteLevel.
    """
    told = tags.numbers.get(Tag.WHITE_LEVEL, ())
    table = tags.numbers.get(Tag.LINEARIZATION_TABLE, ())
    if told and all(0 < level < math.inf for level in told):
        return told if len(told) == layout.samples else (told[0],) * layout.samples
    if layout.floats:
        return (1.0,) * layout.samples
    return (max(table) if any(table) else 2.0**layout.bits - 1,) * layout.samples


def black_of_places(
    codes: NDArray[np.float32],
    tags: TiffTags,
    layout: Layout,
    active: Area,
    visible: Area,
    period: int,
) -> tuple[float, ...]:
    """Codes at zero light, one for each place of the color filter, or for each color.

        black(y, x) = BlackLevel[y mod rows, x mod columns] + DeltaV[y] + DeltaH[x]

    Where that differs among pixels of the same place by more than half a code, the codes are lifted
    by whole steps until black is the same for all, that of the highest.

    Args:
        codes: (samples, H, W) of the visible area; changed in place.
        active, visible: areas; the formula starts at the active one's corner.
        period: of the color filter; 1 without one.

    Raises:
        RawFileDamaged: levels whose number fits nothing.

    Source: DNG specification 1.7.1, BlackLevel and following, chapter 5, "Black Subtraction".
    """
    down, across = visible[0] - active[0], visible[1] - active[1]
    pattern = np.roll(_pattern(tags, layout), (-down, -across), (1, 2))
    vertical = _deltas(tags, Tag.BLACK_LEVEL_DELTA_V, active[2] - active[0], layout.name)[down:]
    horizontal = _deltas(tags, Tag.BLACK_LEVEL_DELTA_H, active[3] - active[1], layout.name)[across:]
    samples, rows, columns = pattern.shape
    uniform = not vertical.any() and not horizontal.any()
    if uniform and period % rows == 0 and period % columns == 0:
        whole = np.tile(pattern, (1, period // rows, period // columns))
        return tuple(whole.ravel().tolist())
    height, width = codes.shape[1:]
    blacks = np.empty((samples, period, period))
    for sample, y, x in np.ndindex(blacks.shape):
        lines = np.arange(y, height, period), np.arange(x, width, period)
        if not (len(lines[0]) and len(lines[1])):
            lines = np.array([y]), np.array([x])
        black = pattern[sample][np.ix_(lines[0] % rows, lines[1] % columns)].astype(np.float32)
        if not uniform:
            black += vertical[lines[0] % len(vertical), None]
            black += horizontal[lines[1] % len(horizontal)]
        mean = black.mean(dtype=np.float64)
        spread = float(np.abs(black - mean).max())
        if spread > (_SHARED if not layout.floats else 1e-6 * max(1.0, abs(mean))):
            lift = black.max() - black
            lift = lift if layout.floats else np.rint(lift)
            codes[sample, y::period, x::period] += lift
            mean = (black + lift).mean(dtype=np.float64)
        blacks[sample, y, x] = mean
    return tuple(blacks.ravel().tolist())


def _pattern(tags: TiffTags, layout: Layout) -> NDArray[np.float64]:
    """(samples, rows, columns) of BlackLevel; of nothing usable, zero."""
    levels = tags.numbers.get(Tag.BLACK_LEVEL, ())
    # 0/0 stands for nothing told.
    values = np.nan_to_num(np.array(levels, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    told = tags.numbers.get(Tag.BLACK_LEVEL_REPEAT_DIM, ())
    rows, columns = (int(n) for n in told) if len(told) == 2 else (1, 1)
    samples = layout.samples
    if not told and samples == 1 and len(values) in _SQUARES:
        # Writers forget the repeat: of so many levels there is one square.
        rows = columns = _SQUARES[len(values)]
    if not len(values):
        return np.zeros((samples, 1, 1))
    if len(values) == rows * columns * samples and len(values):
        return np.moveaxis(values.reshape(rows, columns, samples), -1, 0)
    if (values == values[0]).all():
        return np.full((samples, 1, 1), values[0])
    if len(values) == rows * columns:
        return np.tile(values.reshape(1, rows, columns), (samples, 1, 1))
    if len(values) == samples:
        return values.reshape(samples, 1, 1)
    what = f"BlackLevel has {len(values)} values, of {rows}x{columns}x{samples}"
    raise damaged(layout.name, what)


def _deltas(tags: TiffTags, code: int, length: int, name: object) -> NDArray[np.float32]:
    values = np.array(tags.numbers.get(code, (0.0,)), np.float32)
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    if not values.any():
        return np.zeros(length, np.float32)
    if len(values) < length:
        raise damaged(name, f"black level differences of {len(values)} of {length} lines")
    return values[:length]


def through_curves(
    codes: NDArray[np.float32],
    tags: TiffTags,
    black: tuple[float, ...],
    white: float,
    offset: tuple[int, int],
) -> tuple[tuple[float, ...], float]:
    """Applies the curves of OpcodeList2, in place; 16-bit codes from 0 to 65535 come of it.

    Args:
        codes: (samples, H, W).
        black, white: levels, black of each place of the color filter or of each color.
        offset: of the first pixel from the active area's corner.

    Returns:
        Black and white of the codes as they are then.
    """
    curves = value_maps(tags)
    if not curves:
        return black, white
    side = math.isqrt(len(black) // len(codes))
    levels = np.reshape(black, (len(codes), side, side))
    for sample, y, x in np.ndindex(levels.shape):
        place = codes[sample, y::side, x::side]
        place -= levels[sample, y, x]
        place /= white - levels[sample, y, x]
    np.clip(codes, 0, 1, out=codes)
    for curve in curves:
        curve.apply(codes, offset)
    codes *= _FULL
    return (0.0,) * len(black), _FULL


def rescaled_to_one_white(
    codes: NDArray[np.float32], black: tuple[float, ...], whites: tuple[float, ...]
) -> None:
    """Brings colors with white levels of their own to that of the first, in place.

    Args:
        codes: (colors, H, W).
        black, whites: of each color.
    """
    for plane, low, white in zip(codes, black, whites, strict=True):
        if white != whites[0]:
            plane -= low
            plane *= (whites[0] - low) / (white - low)
            plane += low
