"""Section eDIT: tags of the raw file for editors."""

from __future__ import annotations

import struct
import zlib


def read_editing(data: bytes) -> dict[int, tuple[int, bytes]]:
    """Code to TIFF type and values, big-endian."""
    stream = zlib.decompressobj()
    content = stream.decompress(data, 1 << 20)
    assert stream.eof
    assert not stream.unused_data
    found, place, last = {}, 0, -1
    while place < len(content):
        code, kind, length = struct.unpack_from(">HBI", content, place)
        split = content[place + 7 : place + 7 + length]
        assert len(split) == length
        assert code > last
        place, last = place + 7 + length, code
        values, start = bytearray(length), 0
        for plane in range(4):
            count = len(range(plane, length, 4))
            values[plane::4] = split[start : start + count]
            start += count
        found[code] = (kind, bytes(values))
    return found
