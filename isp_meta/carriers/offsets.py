"""Offsets in a JPEG file that cross the place of insertion, as what they point to lies behind it.

    SOI │ EXIF, MakerNote ──┐ │ payload │ … │ EOI │ preview │ AFCP
                            └─────────────────────▲         └─ counts from the start of the file

Cameras keep a preview behind the end of the picture and point to it from the MakerNote, counting
from the EXIF's TIFF header or from the MakerNote; AFCP counts from the file's first byte. Makers'
formats are many and not public, so an offset is found by its value: that of a JPEG which stands
there.

Source: Exif 2.32; for the makers' tags and AFCP: Phil Harvey, ExifTool, "Tag Names".
"""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..errors import CarrierError
from .directories import read_directory
from .segments import APP1, SOS, Segment, read_segments

__all__ = ["moved", "unknown"]

_EXIF = b"Exif\x00\x00"
_EXIF_IFD, _MAKER_NOTE = 0x8769, 0x927C
# Where in a MakerNote makers begin to count: at its start, or at a header of its own.
_MAKER_BASES = (0, 8, 10, 12)

# Tags of makers that hold where a preview starts: Pentax and Casio; Minolta and old Olympus;
# Olympus (camera settings); Nikon, Samsung and Sony Ericsson; Olympus; Sigma.
_PREVIEW_STARTS = frozenset({0x0004, 0x0088, 0x0101, 0x0201, 0x1036, 0x001A})
_BYTE, _LONG, _UNDEFINED, _IFD = 1, 4, 7, 13
_ENTRY = 8  # tag, type and number of values, before the value

# A preview's first byte may be any: some cameras overwrite it. Sony's has a header of 32 bytes.
_PREVIEW = re.compile(rb".\xd8\xff[\xc0-\xfe]", re.DOTALL)
_SONY_HEADER = 32
_MOST_PREVIEWS = 16

_AFCP = re.compile(rb"AXS[!*]")
_AFCP_HEAD, _AFCP_ENTRY = struct.calcsize("4s2sHI"), struct.calcsize("4sII")
_MOST_AFCP = 64


@dataclass(frozen=True)
class _Field:
    """An offset of 32 bits.

    Attributes:
        at: place in the file.
        order: of its bytes, "<" or ">".
        is_known: what it belongs to is understood.
    """

    at: int
    order: str
    is_known: bool


def moved(jpeg: bytes, place: int, before: int, after: int) -> bytes:
    """A file whose offsets are right for one with more bytes at a place; those that are understood.

    Args:
        jpeg: the file without these bytes, its offsets as for one with ``before`` of them.
        place: where they go, between two segments.
        before, after: number of them.
    """
    changed = bytearray(jpeg)
    for field in _fields(jpeg, place, before):
        number = struct.Struct(field.order + "I")
        value = number.unpack_from(jpeg, field.at)[0] - before + after
        if field.is_known and 0 <= value < 1 << 32:
            number.pack_into(changed, field.at, value)
    return bytes(changed)


def unknown(jpeg: bytes, place: int) -> int:
    """How many offsets would point elsewhere once something is inserted at a place."""
    return sum(not field.is_known for field in _fields(jpeg, place, 0))


def _fields(jpeg: bytes, place: int, growth: int) -> Iterator[_Field]:
    segments = read_segments(jpeg)
    if targets := dict(_targets(jpeg, segments, place)):
        for segment in segments:
            if segment.marker == APP1 and segment.end <= place and segment.body.startswith(_EXIF):
                yield from _in_exif(jpeg, segment, targets, growth)
    yield from _in_afcp(jpeg, segments[-1].end, growth)


def _targets(jpeg: bytes, segments: Sequence[Segment], place: int) -> Iterator[tuple[int, bool]]:
    """What an offset may point to behind a place, and whether a preview certainly starts there."""
    end = segments[-1].end
    before_scan = itertools.takewhile(lambda segment: segment.marker != SOS, segments)
    regions = [(s.at, s.end) for s in before_scan if s.start >= place]
    if end < len(jpeg):
        regions.append((end, len(jpeg)))
        yield end, False
    for start, stop in regions:
        for found in itertools.islice(_PREVIEW.finditer(jpeg, start, stop), _MOST_PREVIEWS):
            if found.start() - _SONY_HEADER >= start:
                yield found.start() - _SONY_HEADER, False
            yield found.start(), True


def _in_exif(
    jpeg: bytes, segment: Segment, targets: dict[int, bool], growth: int
) -> Iterator[_Field]:
    header = segment.end - len(segment.body) + len(_EXIF)
    maker_note = header + _maker_note(jpeg[header : segment.end])
    bases = {0, header, *(maker_note + start for start in _MAKER_BASES)}
    fields: dict[int, _Field] = {}
    for target, base, order in itertools.product(targets, sorted(bases), "<>"):
        value = struct.pack(order + "I", (target + growth - base) % (1 << 32))
        at = jpeg.find(value, header, segment.end)
        while at >= 0:
            is_known = base != 0 and _is_preview(jpeg, header, at, order)
            if is_known or (targets[target] and at not in fields and _is_offset(jpeg, at, order)):
                fields[at] = _Field(at, order, is_known)
            at = jpeg.find(value, at + 1, segment.end)
    yield from fields.values()


def _maker_note(tiff: bytes) -> int:
    """Where in an EXIF the MakerNote starts; 0: there is none."""
    start: int | None = None
    for tag in (_EXIF_IFD, _MAKER_NOTE):
        try:
            directory = read_directory(tiff, start)
        except CarrierError:
            return 0
        found = [entry.value for entry in directory.entries if entry.tag == tag]
        if not found or directory.layout.is_big:
            return 0
        (start,) = directory.layout.offset.unpack(found[0])
    return start or 0


def _is_preview(jpeg: bytes, header: int, at: int, order: str) -> bool:
    """Whether the offset at a place is that of a preview in an IFD's entry, or in Canon's table."""
    if at - _ENTRY < header:
        return False
    tag, kind, count = struct.unpack_from(order + "HHI", jpeg, at - _ENTRY)
    if kind in (_LONG, _IFD):
        return bool(count == 1 and tag in _PREVIEW_STARTS)
    if kind in (_BYTE, _UNDEFINED):
        return bool(4 < count <= len(jpeg))
    # Canon: quality, length, width, height, and then the offset.
    if at - 16 < header:
        return False
    quality, length, width, height = struct.unpack_from(order + "IIII", jpeg, at - 16)
    return bool(quality < 256 and 0 < length <= len(jpeg) and max(width, height) < 1 << 16)


def _is_offset(jpeg: bytes, at: int, order: str) -> bool:
    """Whether a number that has an offset's value is one: a small number may be anything."""
    kind, count, value = struct.unpack_from(order + "HII", jpeg, at - _ENTRY + 2)
    return bool(value >= 1 << 16 or (kind in (_LONG, _IFD) and count == 1))


def _in_afcp(jpeg: bytes, end: int, growth: int) -> Iterator[_Field]:
    """Offsets of AFCP: a table behind the picture, and where it starts, behind its values."""
    for found in itertools.islice(_AFCP.finditer(jpeg, end), _MOST_AFCP):
        mark, last = found[0], found.start()
        order = ">" if mark == b"AXS!" else "<"
        number = struct.Struct(order + "I")
        if last + 8 > len(jpeg):
            return
        start = number.unpack_from(jpeg, last + 4)[0] - growth
        if not (end <= start < last and jpeg.startswith(mark, start)):
            continue
        yield _Field(last + 4, order, True)
        (count,) = struct.unpack_from(order + "H", jpeg, start + 6)
        first = start + _AFCP_HEAD
        for entry in range(first, min(first + count * _AFCP_ENTRY, last - 11), _AFCP_ENTRY):
            size, offset = struct.unpack_from(order + "II", jpeg, entry + 4)
            if end <= offset - growth <= last - size:
                yield _Field(entry + 8, order, True)
