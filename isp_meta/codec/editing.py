"""Section eDIT: what a raw file tells raw editors, deflated.

Gain maps and tables are floats that change slowly: with all first bytes of four together, then all
second ones and so forth, they take a third less.
"""

from __future__ import annotations

import dataclasses
import struct
import zlib

import numpy as np

from ..camera import EDITOR_TAGS, EditorTag, EditorTags
from ..errors import PayloadCorrupt
from .reader import Reader

__all__ = ["MOST_EDITING", "editing_size", "editing_within", "pack_editing", "unpack_editing"]

MOST_EDITING = 1 << 20
"""Most bytes that come out of the section."""

# Name, length and checksum of a section.
_FRAME = 12
_FIELD = "HBI"
_PLANES = 4
# What is given up first where there is no room for all, last in this list; a row goes as one.
_ORDER = ("OpcodeList", "ProfileToneCurve", "ProfileHueSatMap", "ProfileLookTable")


def pack_editing(editing: EditorTags) -> bytes:
    """The section's bytes.

    Raises:
        ValueError: more than :data:`MOST_EDITING` bytes of tags.
    """
    content = _content(editing)
    if len(content) > MOST_EDITING:
        raise ValueError(f"{len(content)} bytes of editors' tags are too many")
    return zlib.compress(content, 9)


def _content(editing: EditorTags) -> bytes:
    return b"".join(
        struct.pack(">" + _FIELD, code, tag.type, len(tag.data)) + _split(tag.data)
        for code, tag in editing.tags.items()
    )


def editing_size(editing: EditorTags | None) -> int:
    """Bytes of the whole section; 0 where there is none."""
    return 0 if editing is None else _FRAME + len(pack_editing(editing))


def unpack_editing(data: bytes, size: tuple[int, int]) -> EditorTags:
    """The tags of a section's bytes; those that this version does not know are left out.

    Args:
        size: (height, width) of the picture that they are for.

    Raises:
        PayloadCorrupt: damaged, more than :data:`MOST_EDITING` bytes, or a value that no such tag
            has.
    """
    reader = Reader(_inflated(data), "section eDIT of the raw metadata")
    tags: dict[int, EditorTag] = {}
    last = -1
    while reader.place < len(reader.data):
        code, type, length = reader.unpack(_FIELD)
        if code <= last:
            raise PayloadCorrupt(f"{reader.name} has tag {code} out of its order")
        tag, last = EditorTag(type, _joined(reader.take(length))), code
        if code in EDITOR_TAGS:
            tags[code] = tag
    try:
        return EditorTags(size, tags)
    except ValueError as error:
        raise PayloadCorrupt(f"{reader.name} is wrong: {error}") from None


def editing_within(editing: EditorTags, budget: int) -> EditorTags | None:
    """As many of the tags as a number of bytes has room for.

    What does not fit goes in this order: the look table, the hue and saturation maps, the tone
    curve, the opcode lists with their gain maps, and then all.

    Args:
        budget: of the section's content.
    """
    for highest in sorted({_rank(code) for code in editing.tags}, reverse=True):
        kept = {code: tag for code, tag in editing.tags.items() if _rank(code) <= highest}
        fewer = dataclasses.replace(editing, tags=kept)
        if len(_content(fewer)) <= MOST_EDITING and len(pack_editing(fewer)) <= budget:
            return fewer
    return None


def _rank(code: int) -> int:
    """When a tag is given up where there is no room for all: those of the highest rank first."""
    name = EDITOR_TAGS[code].name
    found = (place for place, start in enumerate(_ORDER, 1) if name.startswith(start))
    return next(found, 0)


def _split(data: bytes) -> bytes:
    return b"".join(data[plane::_PLANES] for plane in range(_PLANES))


def _joined(data: bytes) -> bytes:
    place = np.argsort(np.arange(len(data)) % _PLANES, kind="stable")
    joined = np.empty(len(data), np.uint8)
    joined[place] = np.frombuffer(data, np.uint8)
    return joined.tobytes()


def _inflated(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(data, MOST_EDITING)
    except zlib.error:
        raise PayloadCorrupt("section eDIT of the raw metadata is no zlib stream") from None
    if not stream.eof or stream.unused_data:
        raise PayloadCorrupt("section eDIT of the raw metadata is too long, or ends too early")
    return content
