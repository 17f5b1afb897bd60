"""The color filter before a DNG's sensor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...camera import BAYER_PATTERNS, LINEAR, MONOCHROME
from ..refusals import damaged, unsupported
from .layout import Layout
from .tags import CFA, LINEAR_RAW, Tag, TiffTags

__all__ = ["cfa_at", "planes_in_order", "read_color_filter"]

_LONGEST_PERIOD, _LONGEST_TOLD = 8, 64
_NAMES = ("red", "green", "blue", "cyan", "magenta", "yellow", "white")
_BY_SETS = {
    frozenset({1, 3, 4, 5}): "a mosaic of cyan, yellow, green and magenta (CYGM)",
    frozenset({3, 4, 5}): "a mosaic of cyan, magenta and yellow (CMY)",
    frozenset({0, 1, 2, 6}): "a mosaic of red, green, blue and white (RGBW)",
}
_AS_LINEAR = "convert it to linear DNG, as Adobe DNG Converter does with the option Linear"


def read_color_filter(tags: TiffTags, layout: Layout) -> NDArray[np.str_] | str:
    """The letters of the smallest square that repeats, from the active area's corner.

    Returns:
        (n, n) of R, G, B; or "RGB", all three at every pixel, or "W", none.

    Raises:
        RawFileUnsupported: other colors, a staggered layout, or a period that is too long.
        RawFileDamaged: a mosaic without a pattern.

    Source: DNG specification 1.7.1, CFAPattern, CFAPlaneColor, CFALayout; TIFF/EP, section 5.
    """
    name, photometric = layout.name, tags.numbers.get(Tag.PHOTOMETRIC, (0.0,))[0]
    if photometric == LINEAR_RAW:
        if layout.samples not in (1, 3):
            raise unsupported(name, f"a linear picture of {layout.samples} colors", _AS_LINEAR)
        return LINEAR if layout.samples == 3 else MONOCHROME
    if photometric != CFA:
        what = f"its pictures are rendered (PhotometricInterpretation {int(photometric)})"
        raise unsupported(name, what, "use the raw file it was made from")
    staggered = int(tags.numbers.get(Tag.CFA_LAYOUT, (1.0,))[0])
    if staggered > 1:
        raise unsupported(name, f"a mosaic that is staggered (CFALayout {staggered})", _AS_LINEAR)
    if layout.samples != 1:
        raise unsupported(name, f"a mosaic of {layout.samples} samples a place", _AS_LINEAR)
    codes = [int(code) for code in tags.numbers.get(Tag.CFA_PATTERN, ())]
    rows, columns = (int(n) for n in tags.numbers.get(Tag.CFA_REPEAT_PATTERN_DIM, (2.0, 2.0)))
    sides_make_sense = 0 < rows <= _LONGEST_TOLD and 0 < columns <= _LONGEST_TOLD
    if not sides_make_sense or len(codes) != rows * columns:
        raise damaged(name, f"its mosaic of {rows}x{columns} places has {len(codes)} colors")
    if len(set(codes)) == 1:
        return MONOCHROME
    _check_colors(set(codes), tags, name)
    letters = np.array(["RGB"[code] for code in codes]).reshape(rows, columns)
    square = _smallest_square(letters)
    if square is None:
        raise unsupported(name, f"a mosaic that repeats every {rows}x{columns} places", _AS_LINEAR)
    return square


def _check_colors(found: set[int], tags: TiffTags, name: object) -> None:
    planes = {int(code) for code in tags.numbers.get(Tag.CFA_PLANE_COLOR, (0.0, 1.0, 2.0))}
    if found == planes == {0, 1, 2}:
        return
    colors = sorted(found | planes if planes > {0, 1, 2} else found)
    named = " and ".join(_NAMES[c] if 0 <= c < len(_NAMES) else f"color {c}" for c in colors)
    raise unsupported(name, _BY_SETS.get(frozenset(colors), f"a mosaic of {named}"), _AS_LINEAR)


def _smallest_square(letters: NDArray[np.str_]) -> NDArray[np.str_] | None:
    """Of a side that is some sensor's; a strange one of 2x2 counts as 4x4."""
    rows, columns = letters.shape
    for side in range(2, _LONGEST_PERIOD + 1):
        whole = (np.lcm(side, rows), np.lcm(side, columns))
        tiled = np.tile(letters, (whole[0] // rows, whole[1] // columns))
        square = tiled[:side, :side]
        if not (np.tile(square, (whole[0] // side, whole[1] // side)) == tiled).all():
            continue
        if side > 2 or "".join(square.ravel()) in BAYER_PATTERNS:
            return square
    return None


def cfa_at(square: NDArray[np.str_] | str, rows: int, columns: int) -> str:
    """The filter as :attr:`isp_meta.Camera.cfa` has it, from a pixel of the active area."""
    if isinstance(square, str):
        return square
    return "".join(np.roll(square, (-rows, -columns), (0, 1)).ravel())


def planes_in_order(tags: TiffTags) -> TiffTags:
    """Tags whose color matrices and neutral are in the order red, green, blue.

    Source: DNG specification 1.7.1, CFAPlaneColor, which gives the order of a mosaic's planes.
    """
    order = tuple(int(code) for code in tags.numbers.get(Tag.CFA_PLANE_COLOR, ()))
    if order == (0, 1, 2) or sorted(order) != [0, 1, 2]:
        return tags
    place = [order.index(color) for color in range(3)]
    numbers = dict(tags.numbers)

    def change(code: int, shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
        values = np.array(numbers.get(code, ()))
        if values.size == np.prod(shape):
            values = values.reshape(shape)
            for axis in axes:
                values = values.take(place, axis)
            numbers[code] = tuple(values.ravel().tolist())

    for code in (Tag.AS_SHOT_NEUTRAL, Tag.ANALOG_BALANCE):
        change(code, (3,), (0,))
    for code in Tag.COLOR_MATRIX:
        change(code, (3, 3), (0,))
    for code in Tag.CAMERA_CALIBRATION:
        change(code, (3, 3), (0, 1))
    for code in Tag.FORWARD_MATRIX:
        change(code, (3, 3), (1,))
    change(Tag.NOISE_PROFILE, (3, 2), (0,))
    return TiffTags(numbers, tags.texts, tags.exif, tags.gps, tags.size, tags.byte_order)
