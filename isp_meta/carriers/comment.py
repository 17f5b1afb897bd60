"""A payload in COM segments, the place that the paper names.

Each body: a mark, sequence number from 0, how many there are, length of this piece (uint16 each),
the piece, a full stop. Some tools cut zero bytes from a comment's end and add one of their own: the
full stop stops the first, the length shows the second.

Source of the place: Nam et al., CVPR 2022, section 1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ..errors import CarrierError
from .pieces import Piece

__all__ = ["parse", "split"]

_MARK = b"isp.meta\x00"
_HEAD = struct.Struct(">9sHHH")
_END = b"."


def parse(body: bytes) -> Piece | None:
    """The piece in a COM body; None for anybody else's comment."""
    if not body.startswith(_MARK):
        return None
    if len(body) < _HEAD.size:
        return Piece(0, 0, None)
    _, sequence, count, length = _HEAD.unpack_from(body)
    content = body[_HEAD.size : _HEAD.size + length]
    rest = body[_HEAD.size + length :]
    return Piece(sequence, count, content if rest in (_END, _END + b"\x00") else None)


def split(payload: bytes, most_body: int) -> Iterator[bytes]:
    """COM bodies for a payload.

    Args:
        most_body: bytes that a body can hold; one is left free for tools that add one.

    Raises:
        CarrierError: the payload needs more than 65,535 of them (4 GB).
    """
    step = most_body - _HEAD.size - len(_END) - 1
    count = max(1, -(-len(payload) // step))
    if count > 0xFFFF:
        raise CarrierError(f"a payload of {len(payload)} bytes is too long for JPEG comments")
    for sequence in range(count):
        content = payload[sequence * step : (sequence + 1) * step]
        yield _HEAD.pack(_MARK, sequence, count, len(content)) + content + _END
