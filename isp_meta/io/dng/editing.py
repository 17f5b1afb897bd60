"""What a DNG tells raw editors: taken from one file, and made to suit the picture of another."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from ...camera import MONOCHROME, Camera, EditorTag, EditorTags, pattern_of
from .calibration import color_matrix
from .opcode_list import Move, linear, moved
from .opcodes import move_of
from .tags import Tag, TiffTags

__all__ = ["editor_tags", "placed_tags", "written_tags"]

_UNDEFINED, _RATIONAL = 7, 5
_DEFAULT_CROP = (Tag.DEFAULT_CROP_ORIGIN, Tag.DEFAULT_CROP_SIZE)
_CROPS = (*_DEFAULT_CROP, Tag.DEFAULT_USER_CROP)
_COLOR = (
    Tag.ANALOG_BALANCE,
    *Tag.COLOR_MATRIX,
    *Tag.CAMERA_CALIBRATION,
    *Tag.CALIBRATION_ILLUMINANT,
    *Tag.FORWARD_MATRIX,
)
# Of a mosaic alone.
_MOSAIC = (Tag.OPCODE_LIST[0], Tag.BAYER_GREEN_SPLIT, Tag.ANTI_ALIAS_STRENGTH)


def editor_tags(tags: TiffTags, window: tuple[int, int, int, int]) -> EditorTags | None:
    """What a DNG tells editors.

    Args:
        tags: of the DNG.
        window: (top, left, height, width) of ``Frame.codes`` in the file's full area.

    Returns:
        The tags for a picture that is ``Frame.codes``; None without any.
    """
    found = dict(tags.editing)
    try:
        moves = [move_of(tags, window, whole=number == 0) for number in range(3)]
    except ValueError:
        return None
    _move_opcodes(found, moves)
    active = moves[1]
    crop = [found.pop(code, None) for code in _DEFAULT_CROP]
    if crop[0] is not None and crop[1] is not None:
        # Horizontal first.
        axes = zip(
            crop[0].numbers, crop[1].numbers, active.offset[::-1], active.part[::-1], strict=True
        )
        edges = [(max(o - d, 0), min(o - d + n, m)) for o, n, d, m in axes]
        if all(start < end for start, end in edges) and edges != [(0, m) for m in window[:1:-1]]:
            found[_DEFAULT_CROP[0]] = _rationals([start for start, _ in edges])
            found[_DEFAULT_CROP[1]] = _rationals([end - start for start, end in edges])
    return EditorTags((window[2], window[3]), found) if found else None


def _rationals(values: list[float]) -> EditorTag:
    fractions = [Fraction(value).limit_denominator(1 << 12) for value in values]
    return EditorTag.of(_RATIONAL, [(f.numerator, f.denominator) for f in fractions])


def _move_opcodes(found: dict[int, EditorTag], moves: list[Move]) -> None:
    for code, move in zip(Tag.OPCODE_LIST, moves, strict=True):
        if code in found:
            _replace(found, code, moved(found[code].data, move))


def _replace(found: dict[int, EditorTag], code: int, data: bytes) -> None:
    """Another opcode list in place of one; none if it is empty."""
    del found[code]
    if data:
        found[code] = EditorTag(_UNDEFINED, data)


def placed_tags(
    camera: Camera, turn: int, offset: tuple[int, int], size: tuple[int, int]
) -> EditorTags | None:
    """The tags of a camera, for a finished picture that shows a part of its raw, turned.

    Args:
        camera: of the raw.
        turn: EXIF Orientation by which the raw's pixels were turned.
        offset: (row, column) of the picture's first pixel in the turned raw.
        size: (height, width) of the picture.
    """
    if camera.editing is None:
        return None
    move = Move(camera.editing.size, offset, size, turn)
    if move.is_none:
        return camera.editing
    # What the maker would have cut off is another's choice now.
    found = {code: tag for code, tag in camera.editing.tags.items() if code not in _CROPS}
    _move_opcodes(found, [move] * 3)
    scale = found.get(Tag.DEFAULT_SCALE)
    if scale is not None and move.swapped:
        numbers = np.frombuffer(scale.data, scale.layout).reshape(2, -1)[::-1]
        found[Tag.DEFAULT_SCALE] = EditorTag.of(scale.type, numbers)
    return EditorTags(size, found)


def written_tags(
    camera: Camera, size: tuple[int, int], white: int, *, demosaiced: bool
) -> Mapping[int, EditorTag]:
    """The tags of a camera for a DNG.

    A color matrix that is not the camera's any more is left out with all that belongs to it, and of
    a picture of another size what counts places in it. The file's own white level is passed on
    where the sensor's codes are written, although light may clip below it: editors have to see what
    they saw in the original.

    Args:
        camera: of the raw.
        size: (height, width) of the picture that is written. white: level of it.
        demosaiced: it has three colors a pixel, made of a mosaic: gain maps become those of colors.
    """
    if camera.editing is None:
        return {}
    found = dict(camera.editing.tags)
    numbers = {code: tag.numbers for code, tag in found.items() if code in _COLOR}
    if color_matrix(TiffTags(numbers)) != (camera.color_matrix, camera.illuminant):
        found = {code: tag for code, tag in found.items() if code not in _COLOR}
    if camera.editing.size != size:
        of_place = (*_CROPS, *Tag.OPCODE_LIST)
        found = {code: tag for code, tag in found.items() if code not in of_place}
    if camera.cfa == MONOCHROME:
        found = {code: tag for code, tag in found.items() if code not in _COLOR}
    level = found.get(Tag.WHITE_LEVEL)
    own = white == camera.white_level and not demosaiced
    if level is not None and not (own and min(level.numbers) == max(level.numbers) >= white):
        del found[Tag.WHITE_LEVEL]
    if demosaiced:
        found = {code: tag for code, tag in found.items() if code not in _MOSAIC}
        if (maps := found.get(Tag.OPCODE_LIST[1])) is not None:
            pattern = pattern_of(camera.cfa).numpy()
            _replace(found, Tag.OPCODE_LIST[1], linear(maps.data, pattern, size))
    return found
