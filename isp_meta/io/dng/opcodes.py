"""Opcode lists of a DNG: corrections that its maker wants applied, as numbers."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...camera import GainMap
from ...frame import Frame
from ...optics import Warp
from ..input import read_bytes
from .opcode_list import GainGrid, Move, moved, split
from .tags import Tag, TiffTags, read_tags

__all__ = [
    "BadPixelsConstant",
    "BadPixelsList",
    "VignetteRadial",
    "gain_maps",
    "lens_warp",
    "move_of",
    "read_opcodes",
]

_LARGEST_GAIN = 65536.0  # The range of a sensor's codes: more would only overflow.


@dataclass(frozen=True)
class BadPixelsConstant:
    """Opcode FixBadPixelsConstant.

    Attributes:
        code: the stored code that marks a defective pixel.
    """

    code: int


@dataclass(frozen=True, eq=False)
class BadPixelsList:
    """Opcode FixBadPixelsList.

    Attributes:
        points: (N, 2) int64 rows and columns.
        rectangles: (M, 4) int64 top, left, bottom, right.
    """

    points: Tensor
    rectangles: Tensor

    def mask(self, height: int, width: int) -> Tensor:
        """(1, height, width) bool: which pixels are defective; what lies outside is ignored."""
        rectangles = torch.cat([self.rectangles, torch.cat([self.points, self.points + 1], 1)])
        limit = rectangles.new_tensor([height, width] * 2)
        top, left, bottom, right = torch.minimum(rectangles.clamp(min=0), limit).unbind(1)
        # Corners alone, then sums from the origin: no rectangle costs more than another.
        corners = torch.zeros(height + 1, width + 1, dtype=torch.int32)
        one = torch.ones_like(top, dtype=torch.int32)
        for rows, columns, sign in ((top, left, 1), (top, right, -1), (bottom, left, -1)):
            corners.index_put_((rows, columns), sign * one, accumulate=True)
        corners.index_put_((bottom, right), one, accumulate=True)
        covered = corners.cumsum(0).cumsum(1)[:height, :width] > 0
        return covered[None]


@dataclass(frozen=True)
class VignetteRadial:
    """Opcode FixVignetteRadial.

    Attributes:
        coefficients: (5,) k0 to k4 of the gain 1 + k0 r^2 + ... + k4 r^10.
        center: (vertical, horizontal), relative to the picture's size.
    """

    coefficients: tuple[float, ...]
    center: tuple[float, float]


Opcode = GainMap | BadPixelsConstant | BadPixelsList | VignetteRadial | Warp


def read_opcodes(path: str | os.PathLike[str], frame: Frame) -> tuple[Opcode, ...]:
    """The opcodes of a DNG that this project knows, from all of its lists in their order.

    Args:
        path: of the file.
        frame: what :func:`isp_meta.io.read_raw` made of it, with ``codes``.

    Returns:
        Opcodes in the coordinates of ``frame.codes``; others, and a damaged list, are left out. A
        GainMap is on the mosaic if it comes from OpcodeList2, which ``camera.gain_maps`` has too.

    Raises:
        RawFileError: the file is missing, a folder or empty.
    """
    tags = read_tags(read_bytes(path)) or TiffTags()
    height, width = frame.require("codes", by="read_opcodes").shape[-2:]
    window = (*frame.camera.crop, height, width)
    return tuple(op for number in range(3) for op in _opcodes(tags, number, window))


def gain_maps(tags: TiffTags, window: tuple[int, int, int, int]) -> tuple[GainMap, ...]:
    """The gain maps of OpcodeList2, which apply to the linear mosaic.

    Args:
        tags: of a DNG.
        window: (top, left, height, width) of the picture in the file's full area.

    Returns:
        Maps in the window's coordinates; none if the list makes no sense anywhere, since a part of
        them would color the picture.

    Source: DNG specification 1.7.1, chapter 7; the list's coordinates start at the ActiveArea.
    """
    return tuple(op for op in _opcodes(tags, 1, window) if isinstance(op, GainMap))


def lens_warp(tags: TiffTags, window: tuple[int, int, int, int]) -> Warp | None:
    """The WarpRectilinear of OpcodeList3, which applies to the demosaiced picture.

    Args:
        tags: of a DNG.
        window: (top, left, height, width) of the picture in the file's full area.

    Returns:
        For the window's picture; None without one, or with several, which no single warp is.
    """
    found = [op for op in _opcodes(tags, 2, window) if isinstance(op, Warp)]
    return found[0] if len(found) == 1 else None


def _opcodes(tags: TiffTags, number: int, window: tuple[int, int, int, int]) -> list[Opcode]:
    values = tags.numbers.get(Tag.OPCODE_LIST[number], ())
    try:
        data = bytes(int(value) for value in values)
        found = list(_parse(moved(data, move_of(tags, window, whole=number == 0))))
    except (ValueError, OverflowError, struct.error):
        return []
    return [op for op in found if not isinstance(op, GainMap) or _is_within(op, window)]


def _is_within(shading: GainMap, window: tuple[int, int, int, int]) -> bool:
    top, left, bottom, right = shading.rectangle
    return top < min(bottom, window[2]) and left < min(right, window[3])


def move_of(tags: TiffTags, window: tuple[int, int, int, int], whole: bool) -> Move:
    """From the picture that an opcode list is for to that of a window of the file's full area.

    Args:
        tags: of a DNG. window: (top, left, height, width).
        whole: for OpcodeList1, which is applied before anything is cut off; else the ActiveArea.

    Raises:
        ValueError: an empty ActiveArea.
    """
    top, left, height, width = _area(tags, window, whole)
    return Move((height, width), (window[0] - top, window[1] - left), (window[2], window[3]))


def _area(
    tags: TiffTags, window: tuple[int, int, int, int], whole: bool
) -> tuple[int, int, int, int]:
    """(top, left, height, width) in the file's full area of what a list speaks of.

    OpcodeList1 is applied before anything is cut off, the others to the ActiveArea.
    """
    size = [tags.numbers.get(code, (0.0,))[0] for code in (Tag.IMAGE_LENGTH, Tag.IMAGE_WIDTH)]
    seen = (window[0] + window[2], window[1] + window[3])
    default = (0.0, 0.0, *(size if all(size) else seen))
    top, left, bottom, right = default if whole else tags.numbers.get(Tag.ACTIVE_AREA, default)
    if not (0 <= top < bottom and 0 <= left < right):
        raise ValueError("an empty active area")
    return int(top), int(left), int(bottom - top), int(right - left)


def _parse(data: bytes) -> Iterator[Opcode]:
    """Opcodes in the file's own coordinates.

    Raises:
        ValueError, struct.error: the list ends too early, or a known opcode makes no sense.
    """
    for code, _version, parameters in split(data) if data else ():
        if (reader := _READERS.get(code)) is not None:
            yield reader(parameters)


def _gain_map(data: bytes) -> GainMap:
    grid = GainGrid.parse(data)
    # A single point has no spacing.
    down, across = (
        s if n > 1 else 1.0 for s, n in zip(grid.spacing, grid.gains.shape, strict=False)
    )
    if not (grid.gains.min() > 0 and grid.gains.max() <= _LARGEST_GAIN):
        raise ValueError("a gain that is not positive, or beyond reason")
    if not (down > 0 and across > 0):
        raise ValueError("a gain map without a place")
    gains = torch.from_numpy(grid.gains)
    return GainMap(gains, grid.rectangle, grid.pitch, grid.planes, (down, across), grid.origin)


def _bad_pixels_constant(data: bytes) -> BadPixelsConstant:
    return BadPixelsConstant(struct.unpack_from(">I", data)[0])


def _bad_pixels_list(data: bytes) -> BadPixelsList:
    points, rectangles = struct.unpack_from(">2I", data, 4)
    if 12 + 8 * points + 16 * rectangles != len(data):
        raise ValueError("a list of bad pixels of another size than it says")
    values = torch.from_numpy(np.frombuffer(data, ">u4", offset=12).astype(np.int64))
    return BadPixelsList(values[: 2 * points].view(-1, 2), values[2 * points :].view(-1, 4))


def _vignette_radial(data: bytes) -> VignetteRadial:
    *coefficients, horizontal, vertical = struct.unpack(">7d", data)
    if not all(math.isfinite(value) for value in (*coefficients, horizontal, vertical)):
        raise ValueError("a vignette that is not finite")
    return VignetteRadial(tuple(coefficients), (vertical, horizontal))


def _warp(data: bytes) -> Warp:
    (planes,) = struct.unpack_from(">I", data)
    if planes not in (1, 3):
        raise ValueError("a warp of neither one nor three planes")
    *values, horizontal, vertical = struct.unpack(f">{6 * planes + 2}d", data[4:])
    if not all(map(math.isfinite, (*values, horizontal, vertical))):
        raise ValueError("a warp that is not finite")
    sets = tuple(tuple(values[start : start + 6]) for start in range(0, 6 * planes, 6))
    return Warp(sets, (vertical, horizontal))


# By the number of the opcode.
_READERS: dict[int, Callable[[bytes], Opcode]] = {
    1: _warp,
    3: _vignette_radial,
    4: _bad_pixels_constant,
    5: _bad_pixels_list,
    9: _gain_map,
}
