"""The frame around a payload's parts: named sections with a checksum each, and one over all.

    header │ name length bytes crc │ name length bytes crc │ … │ SHA-256

As in PNG, the case of a name's first letter says what a reader does that does not know it: it
refuses upper case (critical) and skips lower case (ancillary).
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Mapping

from ..errors import PayloadCorrupt
from .header import Header
from .reader import Reader

__all__ = ["join", "split"]

_DIGEST_SIZE = hashlib.sha256().digest_size
_MOST_SECTIONS = 256


def join(header: Header, sections: Mapping[bytes, bytes]) -> bytes:
    """A payload of these sections, in their order.

    Args:
        sections: content by name (four ASCII letters).
    """
    body = b"".join(
        struct.pack(">4sI", name, len(content))
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in sections.items()
    )
    data = header.pack(Header.SIZE + len(body) + _DIGEST_SIZE) + body
    return data + hashlib.sha256(data).digest()


def split(
    data: bytes, known: frozenset[bytes], optional: frozenset[bytes] = frozenset()
) -> tuple[Header, dict[bytes, bytes]]:
    """Header and sections of a payload, all checksums verified.

    Args:
        known: names that must all be there.
        optional: ancillary names that may be there; other ancillary ones are left out.

    Raises:
        PayloadCorrupt: no payload, damaged, or a critical section that this reader does not know.
    """
    size = Header.check_version(data)
    content_end = len(data) - _DIGEST_SIZE
    if hashlib.sha256(data[:content_end]).digest() != data[content_end:]:
        raise PayloadCorrupt("the raw metadata is damaged: its SHA-256 does not match")
    header = Header.parse(data)
    sections = {
        name: content
        for name, content in _read(Reader(data[size:content_end], "the raw metadata")).items()
        if name in known | optional or _critical(name)
    }
    for name in sections.keys() - known - optional:
        raise PayloadCorrupt(
            f"the raw metadata needs section {name.decode()}, which this version does not know"
        )
    for name in sorted(known - sections.keys()):
        raise PayloadCorrupt(f"the raw metadata lacks section {name.decode()}")
    return header, sections


def _critical(name: bytes) -> bool:
    return name[:1].isupper()


def _read(reader: Reader) -> dict[bytes, bytes]:
    sections: dict[bytes, bytes] = {}
    while reader.place < len(reader.data):
        if len(sections) == _MOST_SECTIONS:
            raise PayloadCorrupt(f"the raw metadata has more than {_MOST_SECTIONS} sections")
        name, length = reader.unpack("4sI")
        if not name.isalpha():
            raise PayloadCorrupt(f"the raw metadata has a section named {name!r}")
        content = reader.take(length)
        if reader.unpack("I")[0] != zlib.crc32(name + content):
            raise PayloadCorrupt(f"section {name.decode()} of the raw metadata is damaged")
        if name in sections:
            raise PayloadCorrupt(f"section {name.decode()} of the raw metadata is there twice")
        sections[name] = content
    return sections
