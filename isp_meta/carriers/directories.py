"""The structure of a TIFF file: its first directory and what its entries point to.

Classic TIFF and BigTIFF, of either byte order. Only the first directory is read, since a payload is
for the picture that readers show.

Source: TIFF 6.0, section 2; BigTIFF, libtiff's "The BigTIFF File Format" (2007).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import CarrierError

__all__ = ["INTEGERS", "Directory", "Entry", "Layout", "read_directory"]

# Bytes of a value of each type, from BYTE (1) to IFD8 (18).
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}
INTEGERS = frozenset((3, 4, 13, 16, 18))  # SHORT, LONG, IFD, LONG8, IFD8
_MOST_ENTRIES = 1 << 16
_MOST_NUMBERS = 1 << 22  # strips or tiles of a picture


@dataclass(frozen=True)
class Layout:
    """How numbers are stored.

    Attributes:
        order: "<" or ">".
        is_big: BigTIFF, whose offsets have 64 bits.
    """

    order: str
    is_big: bool

    @property
    def pointer(self) -> int:
        """Where in the file the first directory's offset stands."""
        return 8 if self.is_big else 4

    @property
    def offset(self) -> struct.Struct:
        """An offset; also the size of an entry's own value."""
        return struct.Struct(self.order + ("Q" if self.is_big else "I"))

    @property
    def count(self) -> struct.Struct:
        """The number of entries that a directory begins with."""
        return struct.Struct(self.order + ("Q" if self.is_big else "H"))

    @property
    def entry(self) -> struct.Struct:
        """Tag, type, count, value or its offset."""
        return struct.Struct(self.order + ("HHQ8s" if self.is_big else "HHI4s"))


@dataclass(frozen=True)
class Entry:
    """One entry of a directory.

    Attributes:
        tag, kind, count: what it is, its values' type and their number.
        value: field of 4 or 8 bytes: the values where they fit, else their offset.
    """

    tag: int
    kind: int
    count: int
    value: bytes


@dataclass(frozen=True)
class Directory:
    """The first directory of a file.

    Attributes:
        layout: of the file.
        start, end: place in the file; the offset of the next directory is included.
        entries: in the order of the file.
        following: offset of the next directory, as stored.
    """

    layout: Layout
    start: int
    end: int
    entries: Sequence[Entry]
    following: bytes

    def pack(self, entries: Sequence[Entry]) -> bytes:
        """The directory as stored, with other entries."""
        layout = self.layout
        packed = [layout.entry.pack(e.tag, e.kind, e.count, e.value) for e in entries]
        return b"".join((layout.count.pack(len(entries)), *packed, self.following))

    def range(self, tiff: bytes, entry: Entry) -> tuple[int, int]:
        """Start and end of an entry's values, where they do not fit the entry itself.

        Raises:
            CarrierError: an unknown type, or values beyond the end of the file.
        """
        size = _SIZES.get(entry.kind, 0) * entry.count
        if entry.kind not in _SIZES:
            raise CarrierError(f"tag {entry.tag} of the TIFF file has an unknown type")
        (start,) = self.layout.offset.unpack(entry.value)
        if start + size > len(tiff):
            raise CarrierError(f"the TIFF file is truncated: tag {entry.tag} lies behind its end")
        return start, start + size

    def stored(self, tiff: bytes, entry: Entry) -> memoryview:
        """An entry's values as stored, not copied.

        Raises:
            CarrierError: an unknown type, or values beyond the end of the file.
        """
        size = _SIZES.get(entry.kind, 0) * entry.count
        if 0 < size <= self.layout.offset.size:
            return memoryview(entry.value)[:size]
        start, end = self.range(tiff, entry)
        return memoryview(tiff)[start:end]

    def numbers(self, tiff: bytes, tag: int) -> NDArray[np.uint64]:
        """(N,) the unsigned integers of a tag; none where it is not there.

        Raises:
            CarrierError: values of another type, or beyond the end of the file.
        """
        entry = next((entry for entry in self.entries if entry.tag == tag), None)
        if entry is None:
            return np.empty(0, np.uint64)
        size = _SIZES.get(entry.kind, 0)
        if entry.kind not in INTEGERS:
            raise CarrierError(f"tag {tag} of the TIFF file holds no integers")
        if entry.count > _MOST_NUMBERS:
            raise CarrierError(f"tag {tag} of the TIFF file holds {entry.count} numbers")
        stored = np.frombuffer(self.stored(tiff, entry), f"{self.layout.order}u{size}")
        return stored.astype(np.uint64)


def read_directory(tiff: bytes, start: int | None = None) -> Directory:
    """The first directory, or another one.

    Args:
        start: of the other one.

    Raises:
        CarrierError: no TIFF, or truncated.
    """
    layout = _layout(tiff)
    if len(tiff) < layout.pointer + layout.offset.size:
        raise CarrierError("the TIFF file is truncated within its header")
    if start is None:
        (start,) = layout.offset.unpack_from(tiff, layout.pointer)
    first = start + layout.count.size
    if first > len(tiff):
        raise CarrierError("the TIFF file is truncated: its directory lies behind its end")
    (count,) = layout.count.unpack_from(tiff, start)
    last = first + count * layout.entry.size
    end = last + layout.offset.size
    if count > _MOST_ENTRIES or end > len(tiff):
        raise CarrierError("the TIFF file is truncated within its directory")
    entries = [Entry(*fields) for fields in layout.entry.iter_unpack(memoryview(tiff)[first:last])]
    return Directory(layout, start, end, entries, tiff[last:end])


def _layout(tiff: bytes) -> Layout:
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is not None and len(tiff) >= 8:
        kind, size, zero = struct.unpack_from(order + "HHH", tiff, 2)
        if kind == 42:
            return Layout(order, False)
        if (kind, size, zero) == (43, 8, 0):
            return Layout(order, True)
    raise CarrierError("not a TIFF file: it does not start with II or MM and 42 or 43")
