"""Payloads in TIFF and DNG files: a private tag of the first directory.

Nothing moves that an offset could point to. The payload and a copy of the first directory with one
entry more are appended, and the header points to the copy:

    header │ … first directory … │ pixels …        │ payload │ directory and our entry
       └────────────────────────────────────────────────────────▲

The directory that was the first stays where it was, so that taking the payload out again gives the
file back to the byte.

The tag's value: a mark, offset of the directory that was the first, length that the file had
(uint64 each, big-endian), the payload.

Source: TIFF 6.0, section 2; tags from 65000 on are for private use (section 8).
"""

from __future__ import annotations

import hashlib
import struct

from ..errors import CarrierError, PayloadCorrupt, PayloadMissing
from .directories import Directory, Entry, read_directory

__all__ = ["PLACES", "extract", "insert", "scan_digest", "strip"]

PLACES = ("tag",)

TAG = 65337
_BYTES, _UNDEFINED = 1, 7  # types; editors may take one for the other
_HEAD = struct.Struct(">9sQQ")
_MARK = b"isp.meta\x00"
_ALIGNMENT = 8  # of directories and 64-bit values in BigTIFF; classic TIFF asks for 2

# What decides the decoded pixels: size, depth, compression, photometric interpretation, fill order,
# samples, rows of a strip, planes, T.4 and T.6 options, predictor, color map, tiles, extra samples,
# sample format, JPEG tables, and what YCbCr means.
_OF_PIXELS = frozenset(
    {256, 257, 258, 259, 262, 266, 277, 278, 284, 292, 293, 317, 320, 322, 323, 338, 339, 347}
    | {529, 530, 531, 532}
)
_MOST_VALUES = 1 << 24  # bytes of one of them; a color map has 393,216
_OFFSETS_AND_SIZES = ((273, 279), (324, 325))  # of strips, of tiles


def insert(tiff: bytes, payload: bytes) -> bytes:
    """A TIFF file that carries a payload, in place of any that it carried before.

    Args:
        tiff: the file's bytes, a DNG's too.
        payload: what fits; a classic TIFF ends at 4 GiB.

    Raises:
        CarrierError: no TIFF file, a damaged one, one that has our tag from somebody else, or one
            that would be too long.
    """
    tiff = strip(tiff)
    directory = read_directory(tiff)
    if any(entry.tag == TAG for entry in directory.entries):
        raise CarrierError(f"the TIFF file has a tag {TAG} of somebody else; use a sidecar")
    return _append(tiff, directory, payload)


def extract(tiff: bytes) -> bytes:
    """The payload that a TIFF file carries.

    Raises:
        CarrierError: no TIFF file, or a damaged one.
        PayloadMissing: it carries none.
        PayloadCorrupt: it lies behind the file's end, or there are several.
    """
    directory = read_directory(tiff)
    try:
        ours = [directory.stored(tiff, entry) for entry in directory.entries if _may_carry(entry)]
    except CarrierError as error:
        raise PayloadCorrupt(str(error)) from error
    ours = [value for value in ours if _is_ours(value)]
    if not ours:
        raise PayloadMissing("the TIFF file carries no raw metadata")
    if len(ours) > 1:
        raise PayloadCorrupt("the TIFF file carries raw metadata twice")
    return bytes(ours[0][_HEAD.size :])


def strip(tiff: bytes) -> bytes:
    """The TIFF file without a payload: ``strip(insert(tiff, …)) == tiff`` where it had none.

    Where another program wrote the file anew since, the bytes before it are not known: then the
    entry goes and zeros take the payload's place.

    Raises:
        CarrierError: no TIFF file, or a damaged one.
    """
    directory = read_directory(tiff)
    ours = [entry for entry in directory.entries if _carries(tiff, directory, entry)]
    if not ours:
        return tiff
    before = _before(tiff, directory, ours[0])
    return _clear(tiff, directory, ours) if before is None else before


def scan_digest(tiff: bytes) -> bytes:
    """(32,) SHA-256 of what decides the decoded pixels of the first picture.

    Some tags (docs/format.md lists them) and the data of all strips or tiles; where they lie in the
    file does not count.

    Raises:
        CarrierError: no TIFF file, a damaged one, or no picture in its first directory.
    """
    directory = read_directory(tiff)
    digest = hashlib.sha256()
    entries = {entry.tag: entry for entry in reversed(directory.entries)}
    for tag in sorted(_OF_PIXELS & entries.keys()):
        stored = directory.stored(tiff, entries[tag])
        if len(stored) > _MOST_VALUES:
            raise CarrierError(f"the TIFF file is damaged: {len(stored)} bytes in tag {tag}")
        digest.update(struct.pack(">HHQ", tag, entries[tag].kind, entries[tag].count))
        digest.update(stored)
    for start, size in _segments(tiff, directory):
        digest.update(size.to_bytes(8, "big"))
        digest.update(memoryview(tiff)[start : start + size])
    return digest.digest()


def _segments(tiff: bytes, directory: Directory) -> list[tuple[int, int]]:
    """Offset and size of each strip or tile."""
    for of_offsets, of_sizes in _OFFSETS_AND_SIZES:
        starts, sizes = directory.numbers(tiff, of_offsets), directory.numbers(tiff, of_sizes)
        if not len(starts):
            continue
        if len(starts) != len(sizes):
            raise CarrierError("the TIFF file is damaged: its pixels have offsets without sizes")
        segments = list(zip(starts.tolist(), sizes.tolist(), strict=True))
        # The sum as well, or a small file could ask for its pixels a million times over.
        if any(start + size > len(tiff) for start, size in segments) or sum(
            size for _, size in segments
        ) > len(tiff):
            raise CarrierError("the TIFF file is truncated: its pixels lie behind its end")
        return segments
    raise CarrierError("the TIFF file's first directory holds no picture")


def _append(tiff: bytes, directory: Directory, payload: bytes) -> bytes:
    layout = directory.layout
    value = _HEAD.pack(_MARK, directory.start, len(tiff)) + payload
    value_at = _aligned(len(tiff))
    directory_at = _aligned(value_at + len(value))
    try:
        entry = Entry(TAG, _UNDEFINED, len(value), layout.offset.pack(value_at))
        pointer = layout.offset.pack(directory_at)
        at = next((i for i, e in enumerate(directory.entries) if e.tag > TAG), None)
        at = len(directory.entries) if at is None else at
        packed = directory.pack([*directory.entries[:at], entry, *directory.entries[at:]])
    except struct.error:
        raise CarrierError("the TIFF file would be too long or its directory too full") from None
    return b"".join(
        (
            _with_pointer(tiff, directory, pointer),
            bytes(value_at - len(tiff)),
            value,
            bytes(directory_at - value_at - len(value)),
            packed,
        )
    )


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGNMENT) * _ALIGNMENT


def _with_pointer(tiff: bytes, directory: Directory, pointer: bytes) -> bytes:
    at = directory.layout.pointer
    return tiff[:at] + pointer + tiff[at + len(pointer) :]


def _is_ours(value: memoryview) -> bool:
    return len(value) >= _HEAD.size and value[: len(_MARK)] == _MARK


def _may_carry(entry: Entry) -> bool:
    return entry.tag == TAG and entry.kind in (_BYTES, _UNDEFINED)


def _carries(tiff: bytes, directory: Directory, entry: Entry) -> bool:
    if not _may_carry(entry):
        return False
    try:
        return _is_ours(directory.stored(tiff, entry))
    except CarrierError:
        return True  # cut off: what is left of it is of no use to anybody


def _before(tiff: bytes, directory: Directory, entry: Entry) -> bytes | None:
    """The file that the payload was put into; None where it has been written anew since."""
    try:
        value = directory.stored(tiff, entry)
        _, start, length = _HEAD.unpack_from(value)
        if not directory.layout.pointer < length < len(tiff):
            return None
        pointer = directory.layout.offset.pack(start)
        before = _with_pointer(tiff[:length], directory, pointer)
        its_own = read_directory(before)
        if any(_carries(before, its_own, other) for other in its_own.entries):
            return None
        again = _append(before, its_own, bytes(value[_HEAD.size :]))
    except (CarrierError, struct.error):
        return None
    return before if again == tiff else None


def _clear(tiff: bytes, directory: Directory, ours: list[Entry]) -> bytes:
    if len(ours) > 1:
        raise CarrierError("the TIFF file is damaged: it has raw metadata twice")
    cleared = bytearray(tiff)
    for entry in ours:
        try:
            start, end = directory.range(tiff, entry)
        except CarrierError:
            continue
        if start < directory.layout.pointer + directory.layout.offset.size or (
            start < directory.end and end > directory.start
        ):
            raise CarrierError("the TIFF file is damaged: raw metadata overlaps its directory")
        cleared[start:end] = bytes(end - start)
    packed = directory.pack([entry for entry in directory.entries if entry not in ours])
    cleared[directory.start : directory.end] = packed.ljust(directory.end - directory.start, b"\0")
    return bytes(cleared)
