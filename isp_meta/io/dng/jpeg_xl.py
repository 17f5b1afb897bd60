"""The size of a JPEG XL picture, known before any memory is taken for it."""

from __future__ import annotations

import struct

__all__ = ["read_jpeg_xl_size"]

_CODESTREAM = b"\xff\x0a"
_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_WIDTHS = (9, 13, 18, 30)


def read_jpeg_xl_size(data: bytes) -> tuple[int, int]:
    """(height, width) of a codestream, bare or in its container.

    Raises:
        ValueError: it is none.

    Source: ISO/IEC 18181-1, "SizeHeader"; 18181-2, boxes.
    """
    start = data[:64] if data[:2] == _CODESTREAM else _first_bytes(data)
    if start[:2] != _CODESTREAM:
        raise ValueError("does not begin as a JPEG XL")
    bits = int.from_bytes(start[2:18], "little")
    place = 0

    def take(count: int) -> int:
        nonlocal place
        value = bits >> place & ((1 << count) - 1)
        place += count
        return value

    small = take(1)

    def side() -> int:
        return 8 * (take(5) + 1) if small else take(_WIDTHS[take(2)]) + 1

    height = side()
    ratio = take(3)
    if ratio == 0:
        return height, side()
    numerator, denominator = _RATIOS[ratio - 1]
    return height, height * numerator // denominator


def _first_bytes(data: bytes) -> bytes:
    """Of the codestream in a container, whole (jxlc) or in parts (jxlp)."""
    place = len(_CONTAINER) if data.startswith(_CONTAINER) else len(data)
    while place + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        body = place + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data.ljust(body + 8, b"\0"), body)
            body += 8
        if kind == b"jxlc":
            return data[body : body + 64]
        if kind == b"jxlp":
            return data[body + 4 : body + 68]
        if size < 8:
            break
        place += size
    return b""
