"""The index of a JPEG file with several pictures: an Ultra HDR photograph and its gain map, say.

It finds the further pictures by their distance from itself, so what stands before it moves nothing.
But it also says how long the first picture is, and that grows with a payload.

Source: CIPA DC-007-2009 (Multi-Picture Format), sections 5.1 and 5.2.3.
"""

from __future__ import annotations

import struct

__all__ = ["MARK", "with_longer_first"]

MARK = b"MPF\x00"

_MP_ENTRY = 0xB002  # tag: attribute, size, offset (uint32 each), two dependents (uint16) a picture
_ENTRY = struct.calcsize("HHII")


def with_longer_first(body: bytes, growth: int) -> bytes:
    """An index (body of its APP2 segment) whose first picture is longer by so many bytes.

    One that does not read as an index, or does not tell the size, is given back as it is.
    """
    at = _place_of_size(body)
    if at is None:
        return body
    number = struct.Struct(("<" if body[len(MARK) :][:2] == b"II" else ">") + "I")
    (size,) = number.unpack_from(body, at)
    if size == 0 or not 0 < size + growth < 1 << 32:
        return body
    return body[:at] + number.pack(size + growth) + body[at + number.size :]


def _place_of_size(body: bytes) -> int | None:
    """Where in the body the first picture's size stands."""
    header = len(MARK)
    order = {b"II": "<", b"MM": ">"}.get(body[header : header + 2])
    if not body.startswith(MARK) or order is None:
        return None
    try:
        (directory,) = struct.unpack_from(order + "I", body, header + 4)
        (count,) = struct.unpack_from(order + "H", body, header + directory)
        for position in range(count):
            entry = header + directory + 2 + position * _ENTRY
            tag, _kind, _length, offset = struct.unpack_from(order + "HHII", body, entry)
            if tag == _MP_ENTRY:
                _attribute, _size, distance = struct.unpack_from(
                    order + "III", body, header + offset
                )
                return header + offset + 4 if distance == 0 else None
    except struct.error:  # cut off
        pass
    return None
