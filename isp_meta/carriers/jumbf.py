"""A payload as a JUMBF superbox, cut into the bodies of APP11 segments and put together again.

    superbox  jumb ─┬─ jumd  content type "embedded file", label isp.meta
                    ├─ bfdb  media type
                    └─ bidb  the payload

Each APP11 body: "JP", box instance number (uint16), sequence number from 1 (uint32), the superbox's
length and type once more, then a piece of what the superbox holds.

Source: ISO/IEC 19566-5:2023; for the segments also ISO/IEC 18477-3, annex B.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..errors import CarrierError, PayloadCorrupt

__all__ = ["Piece", "join", "parse", "split"]

LABEL = b"isp.meta"
_EMBEDDED_FILE = bytes.fromhex("40CB0C32BB8A489DA70B2AD6F47F4369")
_REQUESTABLE_WITH_LABEL = 3
_BOX = struct.Struct(">I4s")
_PIECE = struct.Struct(">2sHI I4s")


def _box(kind: bytes, content: bytes) -> bytes:
    return _BOX.pack(_BOX.size + len(content), kind) + content


# What every superbox of ours starts with, up to the length of the payload's own box.
_PREFIX = _box(
    b"jumd", _EMBEDDED_FILE + bytes((_REQUESTABLE_WITH_LABEL,)) + LABEL + b"\x00"
) + _box(b"bfdb", b"\x00application/octet-stream\x00")

_MOST_PAYLOAD = 0xFFFFFFFF - 2 * _BOX.size - len(_PREFIX)


@dataclass(frozen=True)
class Piece:
    """One APP11 body.

    Attributes:
        instance: box instance number.
        sequence: 1 for the first piece.
        length: of the whole superbox, bytes.
        content: of this piece.
    """

    instance: int
    sequence: int
    length: int
    content: bytes

    @property
    def box(self) -> tuple[int, int]:
        """What pieces of one box have in common."""
        return self.instance, self.length

    @property
    def is_ours(self) -> bool:
        """Whether a superbox with a payload starts here."""
        return self.sequence == 1 and self.content.startswith(_PREFIX)


def parse(body: bytes) -> Piece | None:
    """The piece of a superbox in an APP11 body; None for anything else."""
    if len(body) < _PIECE.size:
        return None
    mark, instance, sequence, length, kind = _PIECE.unpack_from(body)
    if mark != b"JP" or kind != b"jumb":
        return None
    return Piece(instance, sequence, length, body[_PIECE.size :])


def split(payload: bytes, instance: int, most_body: int) -> Iterator[bytes]:
    """APP11 bodies for a payload, all but the last one full.

    Tools that join segments of one kind and cut them anew then cut at the same places.

    Args:
        instance: box instance number.
        most_body: bytes that a body can hold.

    Raises:
        CarrierError: the payload is too long for a box (4 GB).
    """
    if len(payload) > _MOST_PAYLOAD:
        raise CarrierError(f"a payload of {len(payload)} bytes is too long for a JUMBF box")
    content = _PREFIX + _box(b"bidb", payload)
    step = most_body - _PIECE.size
    for sequence, start in enumerate(range(0, len(content), step), 1):
        head = _PIECE.pack(b"JP", instance, sequence, _BOX.size + len(content), b"jumb")
        yield head + content[start : start + step]


def join(pieces: Iterable[Piece]) -> bytes:
    """The payload of one box's pieces, in any order; equal repeats are allowed.

    Raises:
        PayloadCorrupt: a piece is missing, contradicts another, or is not what :func:`split` makes.
    """
    contents: dict[int, bytes] = {}
    length = 0
    for piece in pieces:
        length = piece.length
        if contents.setdefault(piece.sequence, piece.content) != piece.content:
            raise PayloadCorrupt(
                f"the raw metadata in the JPEG file has two different parts {piece.sequence}"
            )
    for sequence in range(1, len(contents) + 1):
        if sequence not in contents:
            raise PayloadCorrupt(f"the raw metadata in the JPEG file lacks part {sequence}")
    superbox = b"".join(contents[sequence] for sequence in sorted(contents))
    payload = superbox[len(_PREFIX) + _BOX.size :]
    if _BOX.size + len(superbox) != length:
        raise PayloadCorrupt(
            f"the raw metadata in the JPEG file is {_BOX.size + len(superbox)} bytes long and "
            f"should be {length}: parts are missing or cut"
        )
    if superbox[: len(superbox) - len(payload)] != _PREFIX + _BOX.pack(
        _BOX.size + len(payload), b"bidb"
    ):
        raise PayloadCorrupt("the raw metadata in the JPEG file is in a box of another kind")
    return payload
