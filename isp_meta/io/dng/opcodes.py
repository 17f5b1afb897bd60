"""Opcode lists of a DNG: corrections that its maker wants applied, as numbers."""

from __future__ import annotations

import dataclasses
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
from ..input import read_bytes
from .tags import Tag, TiffTags, read_tags

__all__ = ["BadPixelsConstant", "BadPixelsList", "VignetteRadial", "gain_maps", "read_opcodes"]

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


Opcode = GainMap | BadPixelsConstant | BadPixelsList | VignetteRadial


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


def _opcodes(tags: TiffTags, number: int, window: tuple[int, int, int, int]) -> list[Opcode]:
    values = tags.numbers.get(Tag.OPCODE_LIST[number], ())
    try:
        found = list(_parse(bytes(int(value) for value in values)))
        area = _area(tags, window, whole=number == 0)
        moved = [_moved(opcode, area, window) for opcode in found]
    except (ValueError, OverflowError, struct.error):
        return []
    return [opcode for opcode in moved if opcode is not None]


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
    if not data:
        return
    (count,) = struct.unpack_from(">I", data)
    start = 4
    for _ in range(count):
        code, _version, _flags, size = struct.unpack_from(">4I", data, start)
        start += 16
        if start + size > len(data):
            raise ValueError("an opcode goes beyond its list")
        reader = _READERS.get(code)
        if reader is not None:
            yield reader(data[start : start + size])
        start += size


def _gain_map(data: bytes) -> GainMap:
    area = struct.unpack_from(">8I", data)
    points = struct.unpack_from(">2I", data, 32)
    spacing, origin = struct.unpack_from(">2d", data, 40), struct.unpack_from(">2d", data, 56)
    (planes,) = struct.unpack_from(">I", data, 72)
    shape = (*points, planes)
    if 0 in shape or 0 in area[5:] or 76 + 4 * math.prod(shape) != len(data):
        raise ValueError("a gain map of another size than it says")
    # A single point has no spacing.
    spacing = tuple(s if n > 1 else 1.0 for s, n in zip(spacing, points, strict=True))
    gains = np.frombuffer(data, ">f4", offset=76).astype(np.float32).reshape(shape)
    if not (gains.min() > 0 and gains.max() <= _LARGEST_GAIN):
        raise ValueError("a gain that is not positive, or beyond reason")
    top, left, bottom, right = area[:4]
    return GainMap(
        torch.from_numpy(gains), (top, left, bottom, right), area[6:], area[4:6], spacing, origin
    )


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


# By the number of the opcode.
_READERS: dict[int, Callable[[bytes], Opcode]] = {
    3: _vignette_radial,
    4: _bad_pixels_constant,
    5: _bad_pixels_list,
    9: _gain_map,
}


def _moved(
    opcode: Opcode, area: tuple[int, int, int, int], window: tuple[int, int, int, int]
) -> Opcode | None:
    """From coordinates of ``area`` to those of ``window``; None if nothing of it lies there."""
    offset = window[0] - area[0], window[1] - area[1]
    if isinstance(opcode, GainMap):
        return _moved_map(opcode, area[2:], offset, window[2:])
    if isinstance(opcode, BadPixelsList):
        shift = torch.tensor(offset * 2)
        return BadPixelsList(opcode.points - shift[:2], opcode.rectangles - shift)
    if isinstance(opcode, VignetteRadial):
        sizes = list(zip(area[2:], offset, window[2:], strict=True))
        moved = [(c * n - d) / m for c, (n, d, m) in zip(opcode.center, sizes, strict=True)]
        center = moved[0], moved[1]
        # r is 1 at the farthest corner: of another picture, at another distance.
        ratio = _farthest(center, window[2:]) / _farthest(opcode.center, area[2:])
        powers = enumerate(opcode.coefficients, start=1)
        return VignetteRadial(tuple(k * ratio ** (2 * i) for i, k in powers), center)
    return opcode


def _farthest(center: tuple[float, float], size: tuple[int, int]) -> float:
    return math.hypot(*(max(c, 1 - c) * n for c, n in zip(center, size, strict=True)))


def _moved_map(
    shading: GainMap, area: tuple[int, int], offset: tuple[int, int], size: tuple[int, int]
) -> GainMap | None:
    first, end, spacing, origin = [], [], [], []
    for axis in (0, 1):
        start = shading.rectangle[axis] - offset[axis]
        # The first pixel within the picture that the pitch meets.
        start += max(-(start // shading.pitch[axis]), 0) * shading.pitch[axis]
        stop = min(shading.rectangle[axis + 2], area[axis]) - offset[axis]
        first.append(start)
        end.append(min(stop, size[axis]))
        scale = area[axis] / size[axis]
        spacing.append(shading.spacing[axis] * scale)
        origin.append(shading.origin[axis] * scale - offset[axis] / size[axis])
    if not (all(s > 0 for s in spacing) and all(map(math.isfinite, spacing + origin))):
        raise ValueError("a gain map without a place")
    if any(start >= stop for start, stop in zip(first, end, strict=True)):
        return None
    return dataclasses.replace(
        shading,
        rectangle=(first[0], first[1], end[0], end[1]),
        spacing=(spacing[0], spacing[1]),
        origin=(origin[0], origin[1]),
    )
