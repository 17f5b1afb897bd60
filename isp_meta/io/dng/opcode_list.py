"""Opcode lists of a DNG as bytes, for another picture: a part of the first, turned, or linear.

What an opcode does to a place in the picture stays the same; what cannot be carried over is left
out. All coordinates are those of the DNG specification 1.7.1, chapter 7.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["GainGrid", "Move", "linear", "moved", "split"]

# EXIF orientations by which a picture's axes are swapped first, and its rows or columns flipped.
_SWAPPED, _FLIPPED_ROWS, _FLIPPED_COLUMNS = (5, 6, 7, 8), (3, 4, 7, 8), (2, 3, 6, 7)

# Of a mosaic's gain maps: no camera has more maps, or maps of more points along a side.
_MOST_MAPS, _MOST_POINTS = 64, 1024
_WARP_RECTILINEAR, _VIGNETTE, _CONSTANT, _BAD_PIXELS, _GAIN_MAP = 1, 3, 4, 5, 9
Pair = tuple[int, int]


@dataclass(frozen=True)
class Move:
    """From a picture to a part of it, which may be turned.

    Attributes:
        size: (height, width) of the picture that opcodes are for.
        turn: EXIF Orientation by which its pixels are turned first.
        offset: (row, column) of the part's first pixel in the turned picture.
        part: (height, width) of the part.
    """

    size: Pair
    offset: Pair
    part: Pair
    turn: int = 1

    @property
    def is_none(self) -> bool:
        """Whether nothing moves."""
        return (self.turn, self.offset, self.part) == (1, (0, 0), self.size)

    @property
    def swapped(self) -> bool:
        """Whether rows become columns."""
        return self.turn in _SWAPPED

    @property
    def flips(self) -> tuple[bool, bool]:
        """Whether rows and columns run the other way, once swapped."""
        return self.turn in _FLIPPED_ROWS, self.turn in _FLIPPED_COLUMNS

    @property
    def turned(self) -> Pair:
        """(height, width) of the turned picture."""
        return (self.size[1], self.size[0]) if self.swapped else self.size

    def pixels(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows and columns (..., 2) in the part of pixels of the picture."""
        turned = places[..., ::-1] if self.swapped else places
        last = np.array(self.turned) - 1
        moved: NDArray[np.int64] = np.where(self.flips, last - turned, turned) - np.array(
            self.offset
        )
        return moved

    def place(self, relative: Sequence[float]) -> tuple[float, float]:
        """A place (vertical, horizontal), relative to the part's size in place of the picture's."""
        first, second = reversed(relative) if self.swapped else relative
        turned = [1 - v if f else v for v, f in zip((first, second), self.flips, strict=True)]
        axes = zip(turned, self.turned, self.offset, self.part, strict=True)
        down, across = ((v * n - first) / m for v, n, first, m in axes)
        return down, across


@dataclass(frozen=True, eq=False)
class GainGrid:
    """The parameters of opcode GainMap.

    Attributes:
        rectangle: (top, left, bottom, right). planes: (first, count). pitch: (rows, columns).
        spacing, origin: of the grid's points, relative to the picture's size.
        gains: (rows, columns, planes) float32.
    """

    rectangle: tuple[int, int, int, int]
    planes: Pair
    pitch: Pair
    spacing: tuple[float, float]
    origin: tuple[float, float]
    gains: NDArray[np.float32]

    @classmethod
    def parse(cls, data: bytes) -> GainGrid:
        """Raises ValueError or struct.error where the bytes are no such parameters."""
        top, left, bottom, right, plane, planes, down, across, rows, columns = struct.unpack_from(
            ">10I", data
        )
        spacing, origin = struct.unpack_from(">2d", data, 40), struct.unpack_from(">2d", data, 56)
        shape = rows, columns, struct.unpack_from(">I", data, 72)[0]
        if 0 in (*shape, planes, down, across) or len(data) != 76 + 4 * math.prod(shape):
            raise ValueError("a gain map of another size than it says")
        if not all(map(math.isfinite, spacing + origin)):
            raise ValueError("a gain map without a place")
        gains = np.frombuffer(data, ">f4", offset=76).astype(np.float32).reshape(shape)
        rectangle, pitch = (top, left, bottom, right), (down, across)
        return cls(rectangle, (plane, planes), pitch, spacing, origin, gains)

    def pack(self) -> bytes:
        """As in a file."""
        head = struct.pack(">8I", *self.rectangle, *self.planes, *self.pitch)
        grid = struct.pack(">2I4d", *self.gains.shape[:2], *self.spacing, *self.origin)
        planes = struct.pack(">I", self.gains.shape[2])
        return head + grid + planes + self.gains.astype(">f4").tobytes()

    def moved(self, move: Move) -> GainGrid | None:
        """For the part; None where nothing of it lies there."""
        gains, order = self.gains, (1, 0) if move.swapped else (0, 1)
        if move.swapped:
            gains = gains.swapaxes(0, 1)
        axes = []
        for axis, source in enumerate(order):
            start, end = self.rectangle[source], min(self.rectangle[source + 2], move.size[source])
            pitch, full = self.pitch[source], move.turned[axis]
            spacing, origin = self.spacing[source], self.origin[source]
            if move.flips[axis]:
                last = end - 1 - (end - 1 - start) % pitch
                origin = 1 - origin - spacing * (gains.shape[axis] - 1)
                start, end, gains = full - 1 - last, full - start, np.flip(gains, axis)
            first, part = move.offset[axis], move.part[axis]
            start -= first
            start += max(-(start // pitch), 0) * pitch  # the first pixel that the pitch meets
            end = min(end - first, part)
            if start >= end:
                return None
            scale = full / part
            axes.append((start, end, pitch, spacing * scale, origin * scale - first / part))
        tops, ends, pitches, spacings, origins = zip(*axes, strict=True)
        return GainGrid((*tops, *ends), self.planes, pitches, spacings, origins, gains)

    def at(self, down: NDArray[np.float64], across: NDArray[np.float64]) -> NDArray[np.float64]:
        """(down, across) gains of the first plane at places relative to the picture's size."""
        weights = []
        for axis, places in enumerate((down, across)):
            points = self.gains.shape[axis]
            v = (places - self.origin[axis]) / (self.spacing[axis] or 1.0)
            v = v.clip(0, points - 1)
            weights.append((1 - abs(v[:, None] - np.arange(points))).clip(0))
        found: NDArray[np.float64] = weights[0] @ self.gains[..., 0] @ weights[1].T
        return found


def split(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, version with flags, and parameters of each opcode of a list.

    Raises:
        struct.error, ValueError: the list ends too early.
    """
    (count,), start = struct.unpack_from(">I", data), 4
    for _ in range(count):
        code, size = struct.unpack_from(">I8xI", data, start)
        if start + 16 + size > len(data):
            raise ValueError("an opcode goes beyond its list")
        yield code, data[start + 4 : start + 12], data[start + 16 : start + 16 + size]
        start += 16 + size


def _list(opcodes: Sequence[tuple[int, bytes, bytes]]) -> bytes:
    """The list's bytes; none for no opcodes."""
    packed = [
        struct.pack(">I", code) + version + struct.pack(">I", len(parameters)) + parameters
        for code, version, parameters in opcodes
    ]
    return struct.pack(">I", len(packed)) + b"".join(packed) if packed else b""


def moved(data: bytes, move: Move) -> bytes:
    """An opcode list for another picture.

    Args:
        data: the list.
        move: from the picture that it is for to the other.

    Returns:
        The list; no bytes where nothing of it can be carried over, or it makes no sense.
    """
    kept = []
    try:
        for code, version, parameters in split(data):
            if not move.is_none:
                changed = _MOVERS[code](parameters, move) if code in _MOVERS else None
                if changed is None:
                    continue
                parameters = changed
            kept.append((code, version, parameters))
    except (ValueError, OverflowError, struct.error):
        return b""
    return _list(kept)


def _moved_gain_map(data: bytes, move: Move) -> bytes | None:
    found = GainGrid.parse(data).moved(move)
    return None if found is None else found.pack()


def _moved_constant(data: bytes, move: Move) -> bytes:
    constant, phase = struct.unpack(">2I", data)
    return struct.pack(">2I", constant, _moved_phase(phase, move))


def _moved_bad_pixels(data: bytes, move: Move) -> bytes | None:
    phase, points, rectangles = struct.unpack_from(">3I", data)
    values = np.frombuffer(data, ">u4", offset=12).astype(np.int64)
    if len(values) != 2 * points + 4 * rectangles:
        raise ValueError("a list of bad pixels of another size than it says")
    spots = move.pixels(values[: 2 * points].reshape(-1, 2))
    spots = spots[((spots >= 0) & (spots < move.part)).all(1)]
    # The pixels at two corners, the second one included in the rectangle.
    beyond = np.array([[0, 0], [1, 1]])
    corners = move.pixels(values[2 * points :].reshape(-1, 2, 2) - beyond)
    areas = (np.sort(corners, axis=1) + beyond).clip(0, move.part)
    areas = areas[(areas[:, 0] < areas[:, 1]).all(1)]
    if not len(spots) + len(areas):
        return None
    flat = np.concatenate([spots.ravel(), areas.ravel()]).astype(">u4").tobytes()
    return struct.pack(">3I", _moved_phase(phase, move), len(spots), len(areas)) + flat


def _moved_phase(phase: int, move: Move) -> int:
    """BayerPhase, which place of RGGB a picture begins with, of the part."""
    # Where the part's first pixel lies in the picture; which way makes no odds.
    inside = move.pixels(np.zeros((1, 2), np.int64))[0]
    down, across = inside[::-1] if move.swapped else inside
    row, column = (phase // 2 + int(down)) % 2, (phase + int(across)) % 2
    return 2 * column + row if move.swapped else 2 * row + column


def _farthest(center: Sequence[float], size: Pair) -> float:
    return math.hypot(*(max(c, 1 - c) * n for c, n in zip(center, size, strict=True)))


def _moved_vignette(data: bytes, move: Move) -> bytes:
    *k, horizontal, vertical = struct.unpack(">7d", data)
    center = vertical, horizontal
    new = move.place(center)
    # r is 1 at the farthest corner: of another picture, at another distance.
    ratio = _farthest(new, move.part) / _farthest(center, move.size)
    k = [value * ratio ** (2 * power) for power, value in enumerate(k, 1)]
    return struct.pack(">7d", *k, new[1], new[0])


def _moved_warp(data: bytes, move: Move) -> bytes:
    (planes,) = struct.unpack_from(">I", data)
    if len(data) != 4 + 48 * planes + 16:
        raise ValueError("a warp of another size than it says")
    sets = np.frombuffer(data, ">f8", offset=4).astype(float)
    center, new = (sets[-1], sets[-2]), move.place((sets[-1], sets[-2]))
    ratio = _farthest(new, move.part) / _farthest(center, move.size)
    warp = sets[:-2].reshape(planes, 6) * ratio ** np.array([0, 2, 4, 6, 1, 1])
    # The tangential part: of the vertical axis first, then of the horizontal one.
    if move.swapped:
        warp[:, 4:] = warp[:, :3:-1].copy()
    warp[:, 4:] *= [-1 if flip else 1 for flip in move.flips]
    return struct.pack(">I", planes) + np.append(warp, [new[1], new[0]]).astype(">f8").tobytes()


_MOVERS: dict[int, Callable[[bytes, Move], bytes | None]] = {
    _WARP_RECTILINEAR: _moved_warp,
    _VIGNETTE: _moved_vignette,
    _CONSTANT: _moved_constant,
    _BAD_PIXELS: _moved_bad_pixels,
    _GAIN_MAP: _moved_gain_map,
}


def linear(data: bytes, pattern: NDArray[np.int64], size: Pair) -> bytes:
    """An opcode list of a mosaic (OpcodeList2) for the picture with three colors a pixel.

    Each color gets one gain map in place of those at its places in the mosaic: the mean over the
    places of all gains there, on the grid of the first. Of others a vignette remains.

    Args:
        data: the list. size: (height, width) of the picture.
        pattern: (period, period) of the mosaic: 0 red, 1 green, 2 blue.

    Returns:
        The list; no bytes where nothing remains, or some map is not of the whole picture.
    """
    kept, maps, version = [], [], b""
    try:
        for code, head, parameters in split(data):
            if code == _VIGNETTE:
                kept.append((code, head, parameters))
            elif code == _GAIN_MAP:
                maps.append(GainGrid.parse(parameters))
                version = head
    except (ValueError, OverflowError, struct.error):
        return b""
    covered = all(_covers(each, len(pattern), size) for each in maps)
    if not covered or len(maps) > _MOST_MAPS:
        return b""
    for plane in range(3):
        found = _of_color(maps, np.argwhere(pattern == plane), plane, size)
        if found is not None:
            kept.append((_GAIN_MAP, version, found.pack()))
    return _list(kept)


def _covers(found: GainGrid, period: int, size: Pair) -> bool:
    """Whether a map is for the same places of the mosaic everywhere."""
    top, left, bottom, right = found.rectangle
    starts = all(start < pitch for start, pitch in zip((top, left), found.pitch, strict=True))
    ends = bottom + found.pitch[0] > size[0] and right + found.pitch[1] > size[1]
    whole = starts and ends and max(found.gains.shape[:2]) <= _MOST_POINTS
    return whole and not any(period % p for p in found.pitch) and found.planes[0] == 0


def _of_color(
    maps: Sequence[GainGrid], places: NDArray[np.int64], plane: int, size: Pair
) -> GainGrid | None:
    """One map for a color of the linear picture; None where none was for it."""
    here = [[m for m in maps if not any((place - m.rectangle[:2]) % m.pitch)] for place in places]
    first = next((m for row in here for m in row), None)
    if first is None:
        return None
    down, across = (
        first.origin[axis] + first.spacing[axis] * np.arange(first.gains.shape[axis], dtype=float)
        for axis in (0, 1)
    )
    products = [np.prod([m.at(down, across) for m in row], axis=0) for row in here]
    mean = np.mean([np.broadcast_to(p, first.gains.shape[:2]) for p in products], axis=0)
    gains = mean.astype(np.float32)[..., None]
    return GainGrid((0, 0, *size), (plane, 1), (1, 1), first.spacing, first.origin, gains)
