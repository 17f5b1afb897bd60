"""The structure of a PNG file: its chunks, found without decoding anything.

Source: W3C PNG specification, third edition, chapter 5.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import CarrierError

__all__ = ["SIGNATURE", "Chunk", "chunk_bytes", "read_chunks"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_HEAD = struct.Struct(">I4s")
_CRC = struct.Struct(">I")
_IHDR_SIZE = 13
_MOST_CHUNKS = 1 << 20  # 8 GiB as libpng cuts them


@dataclass(frozen=True)
class Chunk:
    """One chunk.

    Attributes:
        kind: its type, four letters.
        start, end: place in the file, length and CRC included.
        content: what lies between type and CRC, not copied.
        crc: as stored.
    """

    kind: bytes
    start: int
    end: int
    content: memoryview
    crc: int

    @property
    def is_intact(self) -> bool:
        """Whether type and content have the stored CRC."""
        return zlib.crc32(self.content, zlib.crc32(self.kind)) == self.crc


def chunk_bytes(kind: bytes, content: bytes) -> bytes:
    """A chunk as stored.

    Args:
        kind: four letters.
        content: less than 2 GiB.
    """
    crc = zlib.crc32(content, zlib.crc32(kind))
    return _HEAD.pack(len(content), kind) + content + _CRC.pack(crc)


def read_chunks(png: bytes) -> Sequence[Chunk]:
    """All chunks from IHDR to IEND; what follows IEND is nobody's and stays as it is.

    Raises:
        CarrierError: no PNG, truncated, or a chunk missing that must be there.
    """
    if png[: len(SIGNATURE)] != SIGNATURE:
        raise CarrierError("not a PNG file: its signature is missing")
    chunks: list[Chunk] = []
    place = len(SIGNATURE)
    while not chunks or chunks[-1].kind != b"IEND":
        if len(chunks) == _MOST_CHUNKS:
            raise CarrierError(f"the PNG file has more than {_MOST_CHUNKS} chunks")
        chunks.append(_read_chunk(png, place))
        place = chunks[-1].end
    if chunks[0].kind != b"IHDR" or len(chunks[0].content) != _IHDR_SIZE:
        raise CarrierError("the PNG file is damaged: it does not begin with its header")
    if all(chunk.kind != b"IDAT" for chunk in chunks):
        raise CarrierError("this PNG file holds no picture: it has no IDAT chunk")
    return chunks


def _read_chunk(png: bytes, start: int) -> Chunk:
    content = start + _HEAD.size
    if content > len(png):
        raise CarrierError("the PNG file is truncated: it ends without an IEND chunk")
    length, kind = _HEAD.unpack_from(png, start)
    if not (kind.isalpha() and kind.isascii()):
        raise CarrierError(f"the PNG file is damaged: no chunk at byte {start}")
    end = content + length + _CRC.size
    if end > len(png):
        raise CarrierError(f"the PNG file is truncated within the chunk at byte {start}")
    (crc,) = _CRC.unpack_from(png, content + length)
    return Chunk(kind, start, end, memoryview(png)[content : content + length], crc)
