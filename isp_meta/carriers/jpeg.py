"""Payloads in JPEG files: APP11 segments by default, comments where asked for.

Every byte of the file that is not the payload's stays as it was; nothing is decoded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

from ..errors import CarrierError, PayloadCorrupt, PayloadMissing
from . import comment, jumbf, mpf, offsets
from .pieces import Piece, join
from .segments import (
    APP0,
    APP1,
    APP2,
    APP11,
    APP14,
    COM,
    EOI,
    MOST_BODY,
    SOI,
    SOS,
    Segment,
    read_segments,
    segment_bytes,
)

__all__ = ["PLACES", "Place", "extract", "insert", "scan_digest", "strip", "unknown_offsets"]

Place = Literal["app11", "com"]
PLACES: tuple[Place, ...] = ("app11", "com")

_APPLICATION = frozenset(range(0xE0, 0xF0))
_LEADING = {
    APP0: (b"JFIF\x00", b"JFXX\x00"),
    APP1: (b"Exif\x00", b"http://ns.adobe.com/x"),
}


def insert(jpeg: bytes, payload: bytes, *, place: Place = "app11") -> bytes:
    """A JPEG file that carries a payload, in place of any that it carried before.

    It goes behind JFIF, EXIF and XMP, which readers expect first, and before a multi-picture index
    (MPF), which finds its further pictures by their distance from itself; never between segments
    of somebody else's JUMBF box (C2PA). Offsets to what lies behind it are brought up to date.

    Args:
        jpeg: the file's bytes.
        payload: at most 4 GB.
        place: "app11" (JUMBF, survives nearly every editor) or "com" (comments, survives few).

    Raises:
        CarrierError: no JPEG file, or a damaged one; a payload too long; an offset that
            :func:`strip` could not put back.
        ValueError: another place.
    """
    if place not in PLACES:
        raise ValueError(f"place must be app11 or com, not {place!r}")
    jpeg = strip(jpeg)
    segments = read_segments(jpeg)
    if place == "com":
        marker, bodies = COM, comment.split(payload, MOST_BODY)
    else:
        marker, bodies = APP11, jumbf.split(payload, _free_instance(segments), MOST_BODY)
    at = _insertion_point(segments)
    new = b"".join(segment_bytes(marker, body) for body in bodies)
    plain = offsets.moved(jpeg, at, 0, len(new))
    after = [_stored(plain, segment, len(new)) for segment in segments if segment.start >= at]
    carrying = b"".join((plain[:at], new, *after, plain[segments[-1].end :]))
    if strip(carrying) != jpeg:
        raise CarrierError(
            "the JPEG file has an offset that strip could not put back; use a sidecar"
        )
    return carrying


def unknown_offsets(jpeg: bytes) -> int:
    """How many offsets :func:`insert` leaves pointing elsewhere, since nobody knows their meaning.

    Raises:
        CarrierError: no JPEG file, or a damaged one.
    """
    jpeg = strip(jpeg)
    return offsets.unknown(jpeg, _insertion_point(read_segments(jpeg)))


def extract(jpeg: bytes) -> bytes:
    """The payload that a JPEG file carries.

    Raises:
        CarrierError: no JPEG file, or a damaged one.
        PayloadMissing: it carries none.
        PayloadCorrupt: parts of it are missing or contradict each other.
    """
    segments = read_segments(jpeg)
    payloads = {jumbf.join(pieces) for pieces in _boxes(segments).values()}
    comments = [piece for segment in segments if (piece := _comment(segment))]
    if comments:
        payloads.add(join(comments, "comments of the JPEG file"))
    if not payloads:
        raise PayloadMissing("the JPEG file carries no raw metadata")
    if len(payloads) > 1:
        raise PayloadCorrupt("the JPEG file carries several raw metadata that differ")
    return payloads.pop()


def strip(jpeg: bytes) -> bytes:
    """The JPEG file without a payload: ``strip(insert(jpeg, …)) == jpeg`` where it had none.

    Raises:
        CarrierError: no JPEG file, or a damaged one.
    """
    segments = read_segments(jpeg)
    boxes = _boxes(segments)
    ours = [
        segment
        for segment in segments
        if _comment(segment) or ((piece := _piece(segment)) and piece.box in boxes)
    ]
    if not ours:
        return jpeg
    # Stray bytes before a segment of ours are somebody else's; fill bytes would mark what follows.
    left = {segment.start: jpeg[segment.start : segment.at].rstrip(b"\xff") for segment in ours}
    size = sum(segment.end - segment.start - len(left[segment.start]) for segment in ours)
    stored = [
        left[segment.start] if segment.start in left else _stored(jpeg, segment, -size)
        for segment in segments
    ]
    plain = b"".join((*stored, jpeg[segments[-1].end :]))
    return offsets.moved(plain, ours[0].start + len(left[ours[0].start]), size, 0)


def scan_digest(jpeg: bytes) -> bytes:
    """(32,) SHA-256 of what decides the decoded pixels: tables, headers, scans, color transform.

    Metadata, comments, stray bytes and what follows EOI do not count.

    Raises:
        CarrierError: no JPEG file, or a damaged one.
    """
    digest = hashlib.sha256()
    for segment in read_segments(jpeg):
        application = segment.marker in _APPLICATION and not (
            segment.marker == APP14 and segment.body.startswith(b"Adobe")
        )
        if not application and segment.marker not in (SOI, EOI, COM):
            digest.update(bytes((segment.marker,)) + len(segment.body).to_bytes(8, "big"))
            digest.update(segment.body)
    return digest.digest()


def _stored(jpeg: bytes, segment: Segment, growth: int) -> bytes:
    """A segment's bytes in a file whose first picture grows by so many bytes."""
    stored = jpeg[segment.start : segment.end]
    if growth and _is_index(segment):
        head = stored[: len(stored) - len(segment.body)]
        return head + mpf.with_longer_first(segment.body, growth)
    return stored


def _is_index(segment: Segment) -> bool:
    return segment.marker == APP2 and segment.body.startswith(mpf.MARK)


def _piece(segment: Segment) -> jumbf.Piece | None:
    return jumbf.parse(segment.body) if segment.marker == APP11 else None


def _comment(segment: Segment) -> Piece | None:
    return comment.parse(segment.body) if segment.marker == COM else None


def _boxes(segments: Sequence[Segment]) -> dict[tuple[int, int], list[jumbf.Piece]]:
    """Pieces of each superbox with a payload, in the order of the file."""
    pieces = [piece for segment in segments if (piece := _piece(segment))]
    boxes: dict[tuple[int, int], list[jumbf.Piece]] = {
        piece.box: [] for piece in pieces if piece.is_ours
    }
    for piece in pieces:
        if piece.box in boxes:
            boxes[piece.box].append(piece)
    return boxes


def _instance(segment: Segment) -> int | None:
    """Box instance number of any JUMBF box's segment."""
    if segment.marker != APP11 or not segment.body.startswith(b"JP"):
        return None
    return int.from_bytes(segment.body[2:4], "big")


def _free_instance(segments: Sequence[Segment]) -> int:
    """A box instance number that no other JUMBF box in the file has."""
    free = set(range(1, 0x10000)) - {_instance(segment) for segment in segments}
    if not free:
        raise CarrierError("the JPEG file has no box instance number left")
    return min(free)


def _insertion_point(segments: Sequence[Segment]) -> int:
    point = segments[0].end
    for segment in segments:
        if segment.marker == SOS or _is_index(segment):
            break
        if segment.body.startswith(_LEADING.get(segment.marker, ())):
            point = segment.end
    # A box whose segments lie around EXIF is at odds with the standard, but stays together.
    runs: dict[int, tuple[int, int]] = {}
    for segment in segments:
        if (instance := _instance(segment)) is not None:
            runs[instance] = (runs.get(instance, (segment.start, 0))[0], segment.end)
    for start, end in sorted(runs.values(), key=lambda run: run[1], reverse=True):
        if start < point < end:
            point = start
    return point
