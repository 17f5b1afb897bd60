"""The structure of a JPEG file: its marker segments, found without decoding anything.

Source: ITU-T T.81, annex B.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import CarrierError

__all__ = ["MOST_BODY", "Segment", "read_segments", "segment_bytes"]

MOST_BODY = 65533
"""Bytes that one segment can hold: its length field counts itself."""

SOI, EOI, SOS, COM = 0xD8, 0xD9, 0xDA, 0xFE
APP0, APP1, APP2, APP11, APP14 = 0xE0, 0xE1, 0xE2, 0xEB, 0xEE

# A payload of 4 GB in comments, and as much again of everything else.
_MOST_SEGMENTS = 1 << 17

# Start of frame, of every process; C4, C8 and CC are tables and a reserved code.
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

# Markers without a length: TEM and restart markers (never met outside of a scan), SOI, EOI.
_BARE = frozenset({0x01, *range(0xD0, 0xDA)})

# A marker. Before it may stand fill bytes (FF), and whatever else no marker can be found in: stray
# bytes, over which decoders go as libjpeg's next_marker does.
_MARKER = re.compile(rb"\xff[^\x00\xff]", re.DOTALL)

# What ends a scan's coded data: a marker that is neither a stuffed FF 00 nor a restart.
_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)


@dataclass(frozen=True)
class Segment:
    """One marker segment, and behind SOS the coded data of its scan.

    Attributes:
        marker: its code, the byte after FF.
        start, end: place in the file, stray bytes before the marker included.
        body: what stands between length field and ``end``.
    """

    marker: int
    start: int
    end: int
    body: bytes

    @property
    def at(self) -> int:
        """Where the marker stands, behind the stray bytes, of a segment that has a length."""
        return self.end - len(self.body) - 4


def segment_bytes(marker: int, body: bytes) -> bytes:
    """A marker segment as stored.

    Args:
        body: at most :data:`MOST_BODY` bytes.
    """
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body


def read_segments(jpeg: bytes) -> Sequence[Segment]:
    """All segments from SOI to EOI; what follows EOI is nobody's and stays as it is.

    Raises:
        CarrierError: no JPEG, truncated, or a marker where none may be.
    """
    if jpeg[:2] != b"\xff\xd8":
        raise CarrierError("not a JPEG file: it does not start with FF D8")
    segments = [Segment(SOI, 0, 2, b"")]
    while segments[-1].marker != EOI:
        if len(segments) == _MOST_SEGMENTS:
            raise CarrierError(f"the JPEG file has more than {_MOST_SEGMENTS} segments")
        segments.append(_read_segment(jpeg, segments[-1].end))
    markers = {segment.marker for segment in segments}
    if not markers & FRAMES or SOS not in markers:
        raise CarrierError("this JPEG file holds no picture: a frame or scan header is missing")
    return segments


def _read_segment(jpeg: bytes, start: int) -> Segment:
    found = _MARKER.search(jpeg, start)
    if found is None:
        raise CarrierError("the JPEG file is truncated: it ends without an EOI marker")
    marker, body = jpeg[found.start() + 1], found.end()
    if marker == SOI:
        raise CarrierError(f"the JPEG file is damaged: it starts anew at byte {start}")
    if marker in _BARE:
        return Segment(marker, start, body, b"")
    length = int.from_bytes(jpeg[body : body + 2], "big")
    end = body + length
    if end > len(jpeg) or body + 2 > len(jpeg):
        raise CarrierError(f"the JPEG file is truncated within the segment at byte {start}")
    if length < 2:
        raise CarrierError(f"the JPEG file is damaged: a length of {length} at byte {body}")
    if marker == SOS:
        end = _scan_end(jpeg, end)
    return Segment(marker, start, end, jpeg[body + 2 : end])


def _scan_end(jpeg: bytes, start: int) -> int:
    found = _SCAN_END.search(jpeg, start)
    if found is None:
        raise CarrierError("the JPEG file is truncated: it ends within a scan")
    # Fill bytes belong to the marker. In the pattern they would cost the square of their number.
    end = found.start()
    while end > start and jpeg[end - 1] == 0xFF:
        end -= 1
    return end
