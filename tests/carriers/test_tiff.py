from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import rawpy
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from isp_meta.carriers.directories import read_directory
from isp_meta.carriers.tiff import TAG, extract, insert, scan_digest, strip
from isp_meta.codec import decode
from isp_meta.data import sample_path
from isp_meta.errors import CarrierError, PayloadCorrupt, PayloadMissing
from isp_meta.io import read_raw

MOST_SIZES = [0, 1, 2, 3, 7, 8, 70_000]


def pages(tiff: bytes) -> list[np.ndarray]:
    with tifffile.TiffFile(io.BytesIO(tiff)) as tif:
        return [page.asarray() for page in tif.pages]


def tags(tiff: bytes) -> list[tuple[int, object]]:
    """Code and value of all tags of the first page but ours, in the order of the file."""
    with tifffile.TiffFile(io.BytesIO(tiff)) as tif:
        return [(tag.code, tag.value) for tag in tif.pages.first.tags if tag.code != TAG]


@pytest.mark.parametrize("size", MOST_SIZES)
def test_round_trip_in_every_kind_of_file(size, tiffs):
    payload = np.random.default_rng(size).bytes(size)
    for name, tiff in tiffs.items():
        carrying = insert(tiff, payload)
        assert extract(carrying) == payload, name
        assert strip(carrying) == tiff, name
        assert scan_digest(carrying) == scan_digest(tiff), name
        assert tags(carrying) == tags(tiff), name
        shown = pages(carrying)
        assert len(shown) == len(pages(tiff)), name
        assert all(map(np.array_equal, shown, pages(tiff))), name


def test_nothing_but_the_header_changes_and_all_else_is_appended(tiffs):
    for tiff in tiffs.values():
        pointer = read_directory(tiff).layout.pointer
        carrying = insert(tiff, b"payload")
        behind = pointer + read_directory(tiff).layout.offset.size
        assert carrying[:pointer] == tiff[:pointer]
        assert carrying[behind : len(tiff)] == tiff[behind:]
        codes = [entry.tag for entry in read_directory(carrying).entries]
        assert codes == sorted(codes)
        assert read_directory(carrying).start % 8 == 0


def test_a_second_payload_takes_the_place_of_the_first(tiffs, long_payload):
    for tiff in tiffs.values():
        assert insert(insert(tiff, long_payload), b"new") == insert(tiff, b"new")


def test_raw_files_stay_raw_files(tmp_path, long_payload):
    original = sample_path().read_bytes()
    path = tmp_path / "photo.dng"
    path.write_bytes(insert(original, long_payload))
    with rawpy.imread(str(path)) as carrying, rawpy.imread(str(sample_path())) as plain:
        assert np.array_equal(carrying.raw_image, plain.raw_image)
    frame, expected = read_raw(path), read_raw(sample_path())
    assert frame.camera == expected.camera
    assert frame.codes.equal(expected.codes)
    assert strip(path.read_bytes()) == original


def test_none_is_none(tiffs):
    for tiff in tiffs.values():
        with pytest.raises(PayloadMissing, match="TIFF file carries no raw metadata"):
            extract(tiff)
        assert strip(tiff) == tiff


def rewritten(carrying: bytes) -> bytes:
    """The file as an editor writes it anew: the same entries, other places, one tag more."""
    with tifffile.TiffFile(io.BytesIO(carrying)) as tif:
        page = tif.pages.first
        value = page.tags[TAG].value
        file = io.BytesIO()
        extra = [(TAG, 7, len(value), value, True), (315, 2, 0, "Somebody", True)]
        tifffile.imwrite(file, page.asarray(), photometric="rgb", metadata=None, extratags=extra)
    return file.getvalue()


def test_what_an_editor_wrote_anew_can_be_read_and_cleared(tiffs, long_payload):
    again = rewritten(insert(tiffs["little"], long_payload))
    assert extract(again) == long_payload
    stripped = strip(again)
    assert len(stripped) == len(again)
    assert b"isp.meta" not in stripped
    assert long_payload[:64] not in stripped
    assert long_payload[-64:] not in stripped
    with pytest.raises(PayloadMissing):
        extract(stripped)
    assert np.array_equal(pages(stripped)[0], pages(again)[0])
    assert tags(stripped) == tags(again)
    assert strip(stripped) == stripped
    assert extract(insert(again, b"new")) == b"new"


def test_trailing_bytes_keep_the_file_from_being_put_back(tiffs, long_payload):
    carrying = insert(tiffs["little"], long_payload) + b"something of somebody"
    stripped = strip(carrying)
    assert stripped.endswith(b"something of somebody")
    assert long_payload[:64] not in stripped
    assert np.array_equal(pages(stripped)[0], pages(tiffs["little"])[0])


def test_somebody_elses_tag_is_left_alone(tiffs):
    file = io.BytesIO()
    tifffile.imwrite(file, pages(tiffs["little"])[0], extratags=[(TAG, 2, 0, "mine", True)])
    tiff = file.getvalue()
    with pytest.raises(PayloadMissing):
        extract(tiff)
    assert strip(tiff) == tiff
    with pytest.raises(CarrierError, match="somebody else; use a sidecar"):
        insert(tiff, b"payload")


@pytest.mark.parametrize("kind", [2, 4, 29726])
def test_tag_of_another_type_is_nobodys_payload(tiffs, payload, kind):
    carrying = insert(tiffs["little"], payload)
    directory = read_directory(carrying)
    entry = next(entry for entry in directory.entries if entry.tag == TAG)
    at = carrying.index(struct.pack("<HHI", TAG, entry.kind, entry.count), directory.start)
    tiff = carrying[: at + 2] + struct.pack("<H", kind) + carrying[at + 4 :]
    with pytest.raises(PayloadMissing):
        extract(tiff)
    assert strip(tiff) == tiff
    with pytest.raises(CarrierError, match="somebody else; use a sidecar"):
        insert(tiff, payload)


def test_no_flipped_byte_gives_another_payload(tiffs, payload):
    for name in ("little", "bigtiff big"):
        carrying = insert(tiffs[name], payload)
        unchanged = 0
        for at in [*range(16), *range(len(tiffs[name]), len(carrying))]:
            for flip in (0x01, 0x20, 0xFF):
                damaged = bytearray(carrying)
                damaged[at] ^= flip
                try:
                    found = extract(bytes(damaged))
                    decode(found)
                except (CarrierError, PayloadCorrupt, PayloadMissing):
                    continue
                assert found == payload, at
                unchanged += 1
        assert unchanged < 1200  # other entries, paddings, where the file was before


def test_every_truncation_is_an_error(tiffs, payload):
    for name in ("little", "bigtiff big"):
        carrying = insert(tiffs[name], payload)
        for end in range(0, len(carrying), 7):
            with pytest.raises((CarrierError, PayloadCorrupt)):
                extract(carrying[:end])


def test_digest_sees_pixels_and_nothing_else(tiffs):
    plain = tiffs["strips"]
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        pages(plain)[0],
        photometric="rgb",
        metadata=None,
        rowsperstrip=7,
        compression="lzw",
        extratags=[(315, 2, 0, "Somebody", True)],
    )
    assert file.getvalue() != plain
    assert scan_digest(file.getvalue()) == scan_digest(plain)
    with tifffile.TiffFile(io.BytesIO(plain)) as tif:
        place = tif.pages.first.dataoffsets[-1]
    damaged = bytearray(plain)
    damaged[place] ^= 1
    assert scan_digest(bytes(damaged)) != scan_digest(plain)
    # Those that differ in byte order, depth, layout or compression, and not in what lies around.
    assert len({scan_digest(tiff) for tiff in tiffs.values()}) == 8


def test_pixels_that_cannot_be_are_refused(tiffs):
    # Every strip the whole file: a small file that asks for hours of hashing.
    count = 4000
    entries = [(256, 4, 1, 80), (257, 4, 1, 60), (273, 4, count, 200), (279, 4, count, 200)]
    start = 200 + 4 * count
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    head = struct.pack("<2sHI", b"II", 42, start).ljust(200, b"\0")
    hostile = head + struct.pack("<I", 200) * count + directory
    with pytest.raises(CarrierError, match="lie behind its end"):
        scan_digest(hostile)
    with pytest.raises(CarrierError, match="holds no picture"):
        scan_digest(struct.pack("<2sHIHI", b"II", 42, 8, 0, 0))
    assert extract(insert(hostile, b"payload")) == b"payload"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "not a TIFF"),
        (b"II*\0", "not a TIFF"),
        (b"II+\0\x08\0\0\0", "truncated within its header"),
        (b"II*\0\xff\xff\0\0", "directory lies behind its end"),
        (b"II*\0\x08\0\0\0\xff\xff" + bytes(99), "truncated within its directory"),
        (b"MM\0+\0\x08\0\0" + struct.pack(">QQ", 16, 1 << 60), "truncated within its directory"),
    ],
)
def test_what_is_wrong_is_named(data, text):
    with pytest.raises(CarrierError, match=text):
        read_directory(data)


def classic(entries: list[tuple[int, int, int, int]], behind: bytes) -> bytes:
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    return head + packed + bytes(4) + behind


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([256, 273, 279, 324, 325, TAG, TAG, TAG]),
            st.sampled_from([1, 3, 4, 7, 16, 99]),
            st.sampled_from([0, 1, 2, 25, 26, 40, 1000, 2**32 - 1]),
            st.integers(0, 150) | st.just(2**32 - 1),
        ),
        max_size=4,
    ),
    st.binary(max_size=40),
)
def test_hostile_entries_raise_nothing_but_our_errors(entries, body):
    own = b"isp.meta\0" + struct.pack(">QQ", 8, len(body))
    hostile = classic(entries, own + body + own)
    for function in (extract, strip, scan_digest, lambda tiff: insert(tiff, b"payload")):
        try:
            function(hostile)
        except (CarrierError, PayloadCorrupt, PayloadMissing):
            continue


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.sampled_from([b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0"]), st.binary())
def test_hostile_bytes_raise_nothing_but_our_errors(head, body):
    for function in (extract, strip, scan_digest, lambda tiff: insert(tiff, b"payload")):
        try:
            function(head + body)
        except (CarrierError, PayloadCorrupt, PayloadMissing):
            continue


def test_a_payload_within_a_payload_is_taken_out_one_layer_at_a_time(tiffs):
    inner = insert(tiffs["little"], b"inner")
    layout = read_directory(inner).layout
    value = b"isp.meta\0" + struct.pack(">QQ", read_directory(inner).start, len(inner)) + b"outer"
    directory = read_directory(inner)
    at = -(-len(inner) // 8) * 8
    place = -(-(at + len(value)) // 8) * 8
    entries = [e for e in directory.entries if e.tag != TAG]
    theirs = type(entries[0])(TAG, 7, len(value), layout.offset.pack(at))
    forged = inner[:4] + layout.offset.pack(place) + inner[8:].ljust(at - 8, b"\0") + value
    forged = forged.ljust(place, b"\0") + directory.pack([*entries, theirs])
    assert extract(forged) == b"outer"
    with pytest.raises(PayloadMissing):
        extract(strip(forged))


def test_sample_is_a_classic_tiff_that_the_carrier_knows():
    assert isinstance(sample_path(), Path)
    assert not read_directory(sample_path().read_bytes()).layout.is_big
