from __future__ import annotations

import pytest

from isp_meta.codec.header import Header
from isp_meta.codec.sections import join, split
from isp_meta.codec.steps import Steps
from isp_meta.errors import PayloadCorrupt

HEADER = Header(width=10, height=20, cell=0, count=3, steps=Steps(), orientation=1)
KNOWN = frozenset({b"ABCD"})


def test_round_trip():
    header, sections = split(join(HEADER, {b"ABCD": b"content"}), KNOWN)
    assert header == HEADER
    assert sections == {b"ABCD": b"content"}


def test_unknown_ancillary_section_is_skipped():
    _, sections = split(join(HEADER, {b"noTE": b"later", b"ABCD": b""}), KNOWN)
    assert sections == {b"ABCD": b""}


def test_unknown_critical_section_refuses():
    with pytest.raises(PayloadCorrupt, match="needs section NeWW"):
        split(join(HEADER, {b"NeWW": b"", b"ABCD": b""}), KNOWN)


def test_sections_beyond_counting_refuse():
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = [f"a{x}{y}z".encode() for x in letters for y in letters]
    _, sections = split(join(HEADER, dict.fromkeys([b"ABCD", *names[:255]], b"")), KNOWN)
    assert sections == {b"ABCD": b""}
    with pytest.raises(PayloadCorrupt, match="more than 256 sections"):
        split(join(HEADER, dict.fromkeys([b"ABCD", *names[:256]], b"")), KNOWN)


def test_missing_section_refuses():
    with pytest.raises(PayloadCorrupt, match="lacks section ABCD"):
        split(join(HEADER, {}), KNOWN)


def test_repeated_section_refuses():
    once = join(HEADER, {b"ABCD": b"x"})
    section = once[Header.SIZE : -32]
    with pytest.raises(PayloadCorrupt, match="there twice"):
        split(_seal(section + section), KNOWN)


def test_checksum_of_a_section_is_verified():
    section = bytearray(join(HEADER, {b"ABCD": b"x"})[Header.SIZE : -32])
    section[8] ^= 1
    with pytest.raises(PayloadCorrupt, match="section ABCD of the raw metadata is damaged"):
        split(_seal(bytes(section)), KNOWN)


def test_names_are_letters():
    section = join(HEADER, {b"AB\xff\n": b"x"})[Header.SIZE : -32]
    with pytest.raises(PayloadCorrupt, match="a section named"):
        split(_seal(section), KNOWN)


def test_length_beyond_the_end_refuses():
    with pytest.raises(PayloadCorrupt, match="ends too early"):
        split(_seal(b"ABCD\xff\xff\xff\xff" + bytes(20)), KNOWN)


def test_longer_header_of_a_later_minor_version_is_read():
    import hashlib

    data = join(HEADER, {b"ABCD": b"content"})
    later = bytearray(data[: Header.SIZE] + b"more" + data[Header.SIZE : -32])
    later[9] = 7
    later[10:12] = (Header.SIZE + 4).to_bytes(2, "big")
    later[12:20] = (len(later) + 32).to_bytes(8, "big")
    later += hashlib.sha256(later).digest()
    assert split(bytes(later), KNOWN) == (HEADER, {b"ABCD": b"content"})


def _seal(body: bytes) -> bytes:
    import hashlib

    data = HEADER.pack(Header.SIZE + len(body) + 32) + body
    return data + hashlib.sha256(data).digest()
