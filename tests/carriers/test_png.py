from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from isp_meta.carriers.chunks import SIGNATURE, chunk_bytes, read_chunks
from isp_meta.carriers.png import KIND, extract, insert, scan_digest, strip
from isp_meta.codec import decode
from isp_meta.errors import CarrierError, PayloadCorrupt, PayloadMissing


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def ours(png: bytes) -> list[bytes]:
    return [png[c.start : c.end] for c in read_chunks(png) if c.kind == KIND]


def with_chunks(png: bytes, stored: list[bytes]) -> bytes:
    """The file with other chunks of ours."""
    bare = strip(png)
    end = read_chunks(bare)[-1].start
    return bare[:end] + b"".join(stored) + bare[end:]


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_999_992, 3_999_993, 9_000_000])
def test_round_trip_in_every_kind_of_file(size, pngs):
    payload = np.random.default_rng(size).bytes(size)
    for name, png in pngs.items():
        carrying = insert(png, payload)
        assert extract(carrying) == payload, name
        assert strip(carrying) == png, name
        assert scan_digest(carrying) == scan_digest(png), name
        assert np.array_equal(pixels(carrying), pixels(png)), name
        assert all(chunk.is_intact for chunk in read_chunks(carrying)), name


def test_chunks_say_that_editors_must_not_copy_them():
    ancillary, private, reserved, safe_to_copy = (bool(letter & 0x20) for letter in KIND)
    assert (ancillary, private, reserved, safe_to_copy) == (True, True, False, False)


def test_no_chunk_is_longer_than_libpng_takes(pngs):
    carrying = insert(pngs["rgb"], bytes(20_000_000))
    assert max(len(chunk) for chunk in ours(carrying)) < 8_000_000
    assert len(ours(carrying)) == 6


def test_a_second_payload_takes_the_place_of_the_first(pngs, long_payload):
    for png in pngs.values():
        assert insert(insert(png, long_payload), b"new") == insert(png, b"new")


def test_an_animation_stays_one(pngs):
    carrying = insert(pngs["animation"], b"payload")
    kinds = [chunk.kind for chunk in read_chunks(carrying)]
    assert kinds[-2:] == [KIND, b"IEND"]
    with Image.open(io.BytesIO(carrying)) as shown, Image.open(io.BytesIO(pngs["animation"])) as p:
        assert shown.n_frames == p.n_frames == 3
        for frame in range(3):
            shown.seek(frame)
            p.seek(frame)
            assert np.array_equal(shown, p)


def test_order_and_equal_repeats_do_not_matter(pngs):
    payload = np.random.default_rng(1).bytes(9_000_000)
    stored = ours(insert(pngs["rgb"], payload))
    assert len(stored) == 3
    for others in (stored[::-1], stored + stored, [stored[1], *stored]):
        changed = with_chunks(pngs["rgb"], others)
        assert extract(changed) == payload
        assert strip(changed) == pngs["rgb"]
    for missing in range(3):
        with pytest.raises(PayloadCorrupt, match="lack parts"):
            extract(with_chunks(pngs["rgb"], stored[:missing] + stored[missing + 1 :]))
    other = chunk_bytes(KIND, struct.pack(">II", 0, 3) + b"other")
    with pytest.raises(PayloadCorrupt, match="two different parts 0"):
        extract(with_chunks(pngs["rgb"], [*stored, other]))


def test_none_is_none(pngs):
    for png in pngs.values():
        with pytest.raises(PayloadMissing, match="PNG file carries no raw metadata"):
            extract(png)
        assert strip(png) == png


def test_no_flipped_byte_gives_another_payload(pngs, payload):
    carrying = insert(pngs["rgb"], payload)
    (chunk,) = [c for c in read_chunks(carrying) if c.kind == KIND]
    for at in range(chunk.start, chunk.end):
        for flip in (0x01, 0x20, 0xFF):
            damaged = bytearray(carrying)
            damaged[at] ^= flip
            with pytest.raises((CarrierError, PayloadCorrupt, PayloadMissing)):
                decode(extract(bytes(damaged)))


def test_every_truncation_is_an_error(pngs, payload):
    carrying = insert(pngs["gray"], payload)
    for end in range(len(carrying)):
        with pytest.raises(CarrierError):
            extract(carrying[:end])


def test_digest_sees_pixels_and_nothing_else(pngs):
    plain = pngs["rgb"]
    digest = scan_digest(plain)
    cut = [c for c in read_chunks(plain) if c.kind == b"IDAT"]
    assert len(cut) == 1
    data = bytes(cut[0].content)
    halves = chunk_bytes(b"IDAT", data[:100]) + chunk_bytes(b"IDAT", data[100:])
    assert scan_digest(plain[: cut[0].start] + halves + plain[cut[0].end :]) == digest
    text = chunk_bytes(b"tEXt", b"Title\0text")
    assert scan_digest(plain[:33] + text + plain[33:] + b"behind") == digest
    damaged = plain.replace(data, data[:-1] + b"?")
    assert scan_digest(damaged) != digest
    palette = next(c for c in read_chunks(pngs["palette"]) if c.kind == b"PLTE")
    other = bytearray(pngs["palette"])
    other[palette.start + 9] ^= 1
    assert scan_digest(bytes(other)) != scan_digest(pngs["palette"])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "not a PNG"),
        (b"\xff\xd8\xff", "not a PNG"),
        (SIGNATURE, "truncated: it ends without"),
        (SIGNATURE + chunk_bytes(b"IEND", b""), "does not begin with its header"),
        (SIGNATURE + chunk_bytes(b"IHDR", bytes(13)) + chunk_bytes(b"IEND", b""), "no picture"),
        (SIGNATURE + chunk_bytes(b"IHDR", bytes(13)) + b"\0\0\0\0\0\0\0\0", "no chunk at byte 33"),
        (SIGNATURE + b"\xff\xff\xff\xffIHDR" + bytes(99), "truncated within the chunk at byte 8"),
    ],
)
def test_what_is_wrong_is_named(data, text):
    with pytest.raises(CarrierError, match=text):
        read_chunks(data)


def test_files_of_very_many_chunks_are_refused(monkeypatch):
    monkeypatch.setattr("isp_meta.carriers.chunks._MOST_CHUNKS", 100)
    with pytest.raises(CarrierError, match="more than 100 chunks"):
        read_chunks(SIGNATURE + chunk_bytes(b"tEXt", b"") * 200)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_hostile_bytes_raise_nothing_but_our_errors(data):
    kinds = st.sampled_from([b"IHDR", b"IDAT", b"IEND", KIND, b"PLTE"])
    chunks = st.builds(chunk_bytes, kinds, st.binary(max_size=30))
    hostile = data.draw(st.lists(chunks | st.binary(max_size=30), max_size=6))
    start = data.draw(st.sampled_from([b"", SIGNATURE + chunk_bytes(b"IHDR", bytes(13))]))
    hostile = start + b"".join(hostile)
    for function in (extract, strip, scan_digest, lambda png: insert(png, b"payload")):
        try:
            function(hostile)
        except (CarrierError, PayloadCorrupt, PayloadMissing):
            continue
