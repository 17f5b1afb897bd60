"""Payloads in PNG files: private chunks that an editor which changes pixels must not copy.

Every byte of the file that is not the payload's stays as it was; nothing is decoded. Animations
(APNG) are PNG files with further chunks, which stay where they are.

The letters of ``isPM``: ancillary, private, reserved bit clear, not safe to copy. Each chunk holds
a sequence number from 0, how many there are (uint32 each), and a piece of the payload.

Source: W3C PNG specification, third edition, sections 5.4 and 14.2.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator

from ..errors import PayloadMissing
from .chunks import SIGNATURE, Chunk, chunk_bytes, read_chunks
from .pieces import Piece, join

__all__ = ["PLACES", "extract", "insert", "scan_digest", "strip"]

PLACES = ("chunk",)

KIND = b"isPM"
_HEAD = struct.Struct(">II")

# libpng refuses a file with a chunk, known to it or not, of more than 8,000,000 bytes.
_MOST_CONTENT = 4_000_000

# What decides the decoded codes; gamma and color spaces tell what they mean.
_OF_PIXELS = (b"IHDR", b"PLTE", b"tRNS")


def insert(png: bytes, payload: bytes) -> bytes:
    """A PNG file that carries a payload, in place of any that it carried before.

    It goes before IEND, behind the picture, so that the picture is shown as early as without.

    Args:
        png: the file's bytes.
        payload: any number of bytes.

    Raises:
        CarrierError: no PNG file, or a damaged one.
    """
    png = strip(png)
    at = read_chunks(png)[-1].start
    return b"".join((png[:at], *_split(payload), png[at:]))


def extract(png: bytes) -> bytes:
    """The payload that a PNG file carries.

    Raises:
        CarrierError: no PNG file, or a damaged one.
        PayloadMissing: it carries none.
        PayloadCorrupt: parts of it are missing, damaged, or contradict each other.
    """
    pieces = [_piece(chunk) for chunk in read_chunks(png) if chunk.kind == KIND]
    if not pieces:
        raise PayloadMissing("the PNG file carries no raw metadata")
    return join(pieces, "chunks of the PNG file")


def strip(png: bytes) -> bytes:
    """The PNG file without a payload: ``strip(insert(png, …)) == png`` where it had none.

    Raises:
        CarrierError: no PNG file, or a damaged one.
    """
    chunks = read_chunks(png)
    kept = [png[chunk.start : chunk.end] for chunk in chunks if chunk.kind != KIND]
    return b"".join((SIGNATURE, *kept, png[chunks[-1].end :]))


def scan_digest(png: bytes) -> bytes:
    """(32,) SHA-256 of what decides the decoded pixels: IHDR, PLTE, tRNS and the data of all IDAT.

    How the data is cut into IDAT chunks does not count, nor do other chunks and an animation's
    further frames.

    Raises:
        CarrierError: no PNG file, or a damaged one.
    """
    chunks = read_chunks(png)
    digest = hashlib.sha256()
    for chunk in chunks:
        if chunk.kind in _OF_PIXELS:
            digest.update(chunk.kind + len(chunk.content).to_bytes(8, "big"))
            digest.update(chunk.content)
    data = [chunk.content for chunk in chunks if chunk.kind == b"IDAT"]
    digest.update(b"IDAT" + sum(map(len, data)).to_bytes(8, "big"))
    for content in data:
        digest.update(content)
    return digest.digest()


def _split(payload: bytes) -> Iterator[bytes]:
    step = _MOST_CONTENT - _HEAD.size
    count = max(1, -(-len(payload) // step))
    for sequence in range(count):
        content = payload[sequence * step : (sequence + 1) * step]
        yield chunk_bytes(KIND, _HEAD.pack(sequence, count) + content)


def _piece(chunk: Chunk) -> Piece:
    if not chunk.is_intact or len(chunk.content) < _HEAD.size:
        return Piece(0, 0, None)
    sequence, count = _HEAD.unpack_from(chunk.content)
    return Piece(sequence, count, bytes(chunk.content[_HEAD.size :]))
