"""Which part of a DNG's stored picture is shown, and where its colors and levels begin."""

from __future__ import annotations

import math

from ..refusals import damaged
from .layout import Layout
from .tags import Tag, TiffTags

__all__ = ["Area", "active_area", "default_scale", "visible_area"]

Area = tuple[int, int, int, int]  # top, left, bottom, right in the stored picture


def active_area(tags: TiffTags, layout: Layout) -> Area:
    """Where light falls: the color filter and the black levels start at its corner.

    Raises:
        RawFileDamaged: it is empty or reaches beyond the picture.

    Source: DNG specification 1.7.1, ActiveArea.
    """
    area = tags.numbers.get(Tag.ACTIVE_AREA, ())
    if len(area) != 4 or not any(area):
        return 0, 0, layout.height, layout.width
    top, left, bottom, right = (int(side) for side in area)
    if not (0 <= top < bottom <= layout.height and 0 <= left < right <= layout.width):
        what = f"its active area ({top}, {left}, {bottom}, {right}) is none of its "
        raise damaged(layout.name, f"{what}{layout.width}x{layout.height} pixels")
    return top, left, bottom, right


def visible_area(tags: TiffTags, layout: Layout, period: int) -> Area:
    """The part that is read: the active area, that of a Bayer mosaic from an even row and column.

    So does LibRaw, and with it all that builds on it: the same pixel has the same place. Nothing
    is taken off for DefaultCrop, which leaves room for demosaicing.

    Raises:
        RawFileDamaged: nothing is left.
    """
    top, left, bottom, right = active_area(tags, layout)
    if period == 2:
        top, left = top + top % 2, left + left % 2
    if not (top < bottom and left < right):
        raise damaged(layout.name, "its active area has no whole pixel of a mosaic")
    return top, left, bottom, right


def default_scale(tags: TiffTags) -> tuple[float, float]:
    """(horizontal, vertical) factors that make pixels square; (1, 1) without usable ones.

    Source: DNG specification 1.7.1, DefaultScale.
    """
    scale = tags.numbers.get(Tag.DEFAULT_SCALE, ())
    if len(scale) == 2 and all(0 < factor < math.inf for factor in scale):
        return scale[0], scale[1]
    return 1.0, 1.0
