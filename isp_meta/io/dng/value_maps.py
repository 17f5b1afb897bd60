"""Curves of OpcodeList2, by which lossy DNGs store linear light in few bits."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .areas import Area
from .tags import Tag, TiffTags

__all__ = ["ValueMap", "value_maps"]

_TABLE, _POLYNOMIAL = 7, 8
_FULL = 65535.0
_MOST_COEFFICIENTS = 9


@dataclass(frozen=True, eq=False)
class ValueMap:
    """Opcode MapTable or MapPolynomial.

    Attributes:
        rectangle: (top, left, bottom, right) of the active area's pixels that it applies to.
        planes: (first, count) of samples.
        pitch: (rows, columns): every how many pixels, from the rectangle's corner.
        table: values over [0, 1], of as many 65535ths of it; or empty.
        coefficients: of a polynomial, from that of the zeroth power; or empty.
    """

    rectangle: Area
    planes: tuple[int, int]
    pitch: tuple[int, int]
    table: NDArray[np.float32]
    coefficients: Sequence[float]

    def apply(self, picture: NDArray[np.float32], offset: tuple[int, int]) -> None:
        """Maps values in [0, 1] in place.

        Args:
            picture: (samples, H, W).
            offset: of its first pixel from the active area's corner.
        """
        first = [
            # The first line in the picture that the pitch meets.
            start - at + max(0, -((start - at) // pitch)) * pitch
            for start, at, pitch in zip(self.rectangle[:2], offset, self.pitch, strict=True)
        ]
        ends = [max(0, stop - at) for stop, at in zip(self.rectangle[2:], offset, strict=True)]
        rows, columns = (
            slice(start, stop, pitch)
            for start, stop, pitch in zip(first, ends, self.pitch, strict=True)
        )
        for plane in picture[self.planes[0] : sum(self.planes)]:
            plane[rows, columns] = self._mapped(plane[rows, columns])

    def _mapped(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        if len(self.table):
            places = np.rint(values * _FULL).astype(np.int64)
            looked_up: NDArray[np.float32] = self.table[np.minimum(places, len(self.table) - 1)]
            return looked_up
        found = np.zeros_like(values)
        for coefficient in reversed(self.coefficients):
            found *= values
            found += coefficient
        return found.clip(0, 1)


def value_maps(tags: TiffTags) -> list[ValueMap]:
    """The curves of OpcodeList2, which apply to values from black, 0, to white, 1.

    Raises:
        ValueError, struct.error: a curve that makes no sense; without it the picture would be of
            another brightness everywhere.

    Source: DNG specification 1.7.1, chapter 7, opcodes MapTable and MapPolynomial.
    """
    data = bytes(int(value) for value in tags.numbers.get(Tag.OPCODE_LIST[1], ()))
    return [
        _value_map(code, body) for code, body in _opcodes(data) if code in (_TABLE, _POLYNOMIAL)
    ]


def _opcodes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and parameters of each opcode, up to where a list breaks off."""
    count = int.from_bytes(data[:4], "big")
    start = 4
    for _ in range(count):
        if start + 16 > len(data):
            return
        code, _version, _flags, size = struct.unpack_from(">4I", data, start)
        yield code, data[start + 16 : start + 16 + size]
        start += 16 + size


def _value_map(code: int, body: bytes) -> ValueMap:
    top, left, bottom, right, plane, planes, down, across, size = struct.unpack_from(">9I", body)
    table, coefficients = np.zeros(0, np.float32), np.zeros(0)
    if code == _TABLE:
        table = np.frombuffer(body, ">u2", size, 36).astype(np.float32) / np.float32(_FULL)
    elif size < _MOST_COEFFICIENTS:
        coefficients = np.frombuffer(body, ">f8", size + 1, 36)
    if len(table) + len(coefficients) == 0 or not np.isfinite(coefficients).all():
        raise ValueError("a curve of OpcodeList2 is empty or not finite")
    if 0 in (down, across):
        raise ValueError("a curve of OpcodeList2 applies to no pixels")
    rectangle, powers = (top, left, bottom, right), tuple(coefficients.tolist())
    return ValueMap(rectangle, (plane, planes), (down, across), table, powers)
