"""Whether a maker's raw file is whole, by what its own structure says of sizes.

LibRaw reads a file that ends early as far as it goes and fills the rest with something. Here the
places that a file names must lie in it: strips and tiles of TIFF-based formats, boxes of CR3, parts
of RAF, MRW, CRW and Phase One.

Sources: TIFF 6.0; ISO/IEC 14496-12; ExifTool's documentation of the makers' tags.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from ..carriers.directories import INTEGERS, Directory, read_directory
from ..errors import CarrierError
from .refusals import cut_off, damaged, unsupported

__all__ = ["as_tiff", "check_whole", "tiff_directories"]

_SUBFILE, _COMPRESSION, _SUB_DIRECTORIES = 254, 259, 330
# Offsets and byte counts of a picture's parts: TIFF's strips and tiles, Panasonic's raw data.
_SEGMENTS = (("strip", 273, 279), ("tile", 324, 325))
_PANASONIC = ("strip", 0x118, 0x117)
_PHASE_ONE = (b"IIII", b"MMMM")
_UNCOMPRESSED = 1
_MOST_DIRECTORIES = 64
_MOST_PARTS = 4096
_ZERO_TAIL = 1 << 16  # no compressed data end in so many zeros


def check_whole(data: bytes, kind: str, name: object) -> None:
    """Compares a raw file with its own structure.

    Args:
        data: the whole file.
        kind: as :func:`isp_meta.io.signatures.what_is` tells it.
        name: of the file, for errors.

    Raises:
        RawFileDamaged: a part that the file names lies beyond its end, or holds nothing.
        RawFileUnsupported: a Fujifilm sensor whose photosites lie on a diagonal grid.
    """
    check = _CHECKS.get(kind)
    if check is None:
        return
    try:
        check(as_tiff(data, kind), name)
    except (struct.error, CarrierError, IndexError) as error:
        raise cut_off(name, len(data), None, f"its {kind} structure") from error


def as_tiff(data: bytes, kind: str) -> bytes:
    """Olympus and Panasonic have numbers of their own in place of TIFF's; the rest is the same."""
    if kind not in ("ORF", "RW2"):
        return data
    return (b"MM\0*" if data[:2] == b"MM" else b"II*\0") + data[4:]


def tiff_directories(data: bytes) -> Iterator[Directory]:
    """Directories of a TIFF-based file: those in a row, and each one's sub-directories.

    Args:
        data: the whole file.

    Raises:
        CarrierError: no TIFF, or a directory that is named lies beyond the file's end.
    """
    waiting: list[int | None] = [None]
    seen: set[int] = set()
    while waiting and len(seen) <= _MOST_DIRECTORIES:
        directory = read_directory(data, waiting.pop(0))
        seen.add(directory.start)
        yield directory
        below = [int(offset) for offset in _numbers(directory, data, _SUB_DIRECTORIES)]
        (following,) = directory.layout.offset.unpack(directory.following)
        # Some cameras leave anything behind their last directory.
        if following + directory.layout.count.size <= len(data):
            below.append(following)
        waiting += [offset for offset in below if offset and offset not in seen]
        seen.update(below)


def _tiff(data: bytes, name: object) -> None:
    if data[8:12] in _PHASE_ONE:
        _phase_one(data, name)
    for directory in tiff_directories(data):
        if _first(directory, data, _SUBFILE) & 1:  # a preview
            continue
        # Panasonic's own tag stands beside a TIFF one that says nothing.
        panasonic = bool(_numbers(directory, data, _PANASONIC[1]))
        for kind, offset_tag, count_tag in (_PANASONIC,) if panasonic else _SEGMENTS:
            offsets, counts = (_numbers(directory, data, tag) for tag in (offset_tag, count_tag))
            places = list(zip(offsets, counts, strict=False))
            compressed = _first(directory, data, _COMPRESSION, _UNCOMPRESSED) != _UNCOMPRESSED
            _check_segments(data, name, kind, places, compressed)


def _check_segments(
    data: bytes, name: object, kind: str, places: list[tuple[int, int]], compressed: bool
) -> None:
    end = max((offset + max(count, 1) for offset, count in places), default=0)
    for number, (offset, count) in enumerate(places, 1):
        what = f"{kind} {number} of {len(places)}"
        if offset + max(count, 1) > len(data):
            raise cut_off(name, len(data), end, what)
        if not compressed:
            continue
        if count and _is_zero(data, offset, offset + count):
            raise damaged(name, f"{what} ({count} bytes) holds nothing but zeros")
        if count > _ZERO_TAIL and _is_zero(data, offset + count - _ZERO_TAIL, offset + count):
            raise damaged(name, f"{what} ({count} bytes) ends in {_ZERO_TAIL} zeros or more")


def _is_zero(data: bytes, start: int, end: int) -> bool:
    return not any(data[start : start + 64]) and not data[start:end].strip(b"\0")


def _numbers(directory: Directory, tiff: bytes, tag: int) -> list[int]:
    """Whole numbers of a tag; none where it holds others."""
    if not any(e.tag == tag and e.kind in INTEGERS for e in directory.entries):
        return []
    return [int(number) for number in directory.numbers(tiff, tag)]


def _first(directory: Directory, data: bytes, tag: int, default: int = 0) -> int:
    return next(iter(_numbers(directory, data, tag)), default)


def _cr3(data: bytes, name: object) -> None:
    """Boxes stand one behind the other, and their sizes end with the file."""
    position = 0
    while position < len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, position + 8)
            head = 16
        if size == 0:  # up to the end of the file
            return
        if size < head or not kind.isascii():
            raise damaged(name, f"there is no box at byte {position} of {len(data)}")
        if position + size > len(data):
            raise cut_off(name, len(data), position + size, f"box {kind.decode('ascii')}")
        position += size


def _raf(data: bytes, name: object) -> None:
    parts = {"the preview": 84, "the directory": 92, "the raw data": 100}
    places = {what: struct.unpack_from(">II", data, at) for what, at in parts.items()}
    end = max(sum(place) for place in places.values())
    for what, (offset, length) in places.items():
        if offset + length > len(data):
            raise cut_off(name, len(data), end, what)
    start, length = places["the directory"]
    (entries,) = struct.unpack_from(">I", data, start) if length else (0,)
    position = start + 4
    for _ in range(min(entries, _MOST_PARTS)):
        tag, size = struct.unpack_from(">HH", data, position)
        # Bit 3 of the layout's second byte: rows and columns as usual.
        if tag == 0x130 and size >= 2 and not data[position + 5] & 8:
            raise unsupported(name, "a Super CCD, whose photosites lie on a diagonal grid")
        position += 4 + size


def _mrw(data: bytes, name: object) -> None:
    """The block PRD says how large the picture is that follows the header."""
    (header,) = struct.unpack_from(">I", data, 4)
    position, end = 8, 8 + header
    for _ in range(_MOST_PARTS):
        if position + 8 > end:
            break
        kind, size = struct.unpack_from(">4sI", data, position)
        if kind == b"\0PRD":
            height, width = struct.unpack_from(">HH", data, position + 16)
            bits = data[position + 24]
            end += height * width * bits // 8
            break
        position += 8 + size
    if end > len(data):
        raise cut_off(name, len(data), end, "the raw data")


def _crw(data: bytes, name: object) -> None:
    """The heap's last four bytes say where its directory is; cut off, they say anything."""
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", data, 2)
    (directory,) = struct.unpack_from(order + "I", data, len(data) - 4)
    heap = len(data) - start
    if directory + 2 > heap:
        raise damaged(name, f"the directory at the end of its {len(data)} bytes is not there")
    (entries,) = struct.unpack_from(order + "H", data, start + directory)
    if directory + 2 + 10 * entries + 4 > heap:
        raise damaged(name, f"the directory at the end of its {len(data)} bytes is not there")
    for number in range(entries):
        at = start + directory + 2 + 10 * number
        kind, size, offset = struct.unpack_from(order + "HII", data, at)
        # Bits 14 and 15 say where the value is: 0 in the heap.
        if kind >> 14 == 0 and offset + size > heap:
            raise cut_off(name, len(data), start + offset + size, f"part {number + 1}")


def _phase_one(data: bytes, name: object) -> None:
    """A directory of its own, behind the header of a TIFF or without one."""
    start = 8 if data[8:12] in _PHASE_ONE else 0
    order = "<" if data[:1] == b"I" else ">"
    (directory,) = struct.unpack_from(order + "I", data, start + 8)
    (entries,) = struct.unpack_from(order + "I", data, start + directory)
    for number in range(min(entries, _MOST_PARTS)):
        at = start + directory + 8 + 16 * number
        _tag, _kind, length, value = struct.unpack_from(order + "IIII", data, at)
        end = start + value + length
        if length > 4 and end > len(data):
            raise cut_off(name, len(data), end, f"part {number + 1} of {entries}")


_CHECKS: dict[str, Callable[[bytes, object], None]] = {
    **dict.fromkeys(("TIFF", "ORF", "RW2"), _tiff),
    "CR3": _cr3,
    "RAF": _raf,
    "MRW": _mrw,
    "CRW": _crw,
    "Phase One": _phase_one,
}
