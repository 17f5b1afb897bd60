from __future__ import annotations

import io
import struct
import subprocess
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from programs import EXIFTOOL

from isp_meta.carriers.jpeg import extract, insert, scan_digest, strip
from isp_meta.carriers.mpf import with_longer_first
from isp_meta.carriers.segments import MOST_BODY, read_segments, segment_bytes
from isp_meta.codec import decode
from isp_meta.errors import CarrierError, PayloadCorrupt, PayloadMissing

PLACES = ("app11", "com")


def pixels(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)))


def pieces(jpeg: bytes, marker: int) -> list[bytes]:
    """Stored segments of one kind."""
    return [jpeg[s.start : s.end] for s in read_segments(jpeg) if s.marker == marker]


def with_pieces(jpeg: bytes, marker: int, stored: list[bytes]) -> bytes:
    """The file with other segments of that kind, all in the place of the first one."""
    segments = read_segments(jpeg)
    first = next(s.start for s in segments if s.marker == marker)
    rest = b"".join(
        jpeg[s.start : s.end] for s in segments if s.marker != marker and s.start > first
    )
    return jpeg[:first] + b"".join(stored) + rest + jpeg[segments[-1].end :]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("size", [0, 1, 65_000, 65_517, 65_518, 300_000])
def test_round_trip_in_every_kind_of_file(place, size, jpegs):
    payload = np.random.default_rng(size).bytes(size)
    for name, jpeg in jpegs.items():
        carrying = insert(jpeg, payload, place=place)
        assert extract(carrying) == payload, name
        assert strip(carrying) == jpeg, name
        assert scan_digest(carrying) == scan_digest(jpeg), name
        assert np.array_equal(pixels(carrying), pixels(jpeg)), name


def test_tens_of_megabytes_fit(jpegs):
    payload = np.random.default_rng(0).bytes(30_000_000)
    carrying = insert(jpegs["baseline"], payload)
    assert extract(carrying) == payload
    assert strip(carrying) == jpegs["baseline"]


@pytest.mark.parametrize("first", PLACES)
@pytest.mark.parametrize("second", PLACES)
def test_a_second_payload_takes_the_place_of_the_first(first, second, jpegs, long_payload):
    for jpeg in jpegs.values():
        once = insert(jpeg, long_payload, place=first)
        assert insert(once, b"new", place=second) == insert(jpeg, b"new", place=second)


def test_all_segments_but_the_last_are_full(jpegs, long_payload):
    lengths = [len(p) - 4 for p in pieces(insert(jpegs["baseline"], long_payload), 0xEB)]
    assert set(lengths[:-1]) == {MOST_BODY}
    assert len(lengths) == 5


def test_segments_lie_behind_exif_and_before_everything_else(jpegs, payload):
    for name, before in {
        "exif and icc": [0xD8, 0xE0, 0xE1],
        "two pictures": [0xD8],
        "ultra hdr": [0xD8, 0xE1],
    }.items():
        markers = [s.marker for s in read_segments(insert(jpegs[name], payload))]
        assert markers[: len(before) + 1] == [*before, 0xEB], name


def test_further_pictures_are_still_found(jpegs, payload):
    carrying = insert(jpegs["two pictures"], payload)
    image = Image.open(io.BytesIO(carrying))
    assert image.n_frames == 2
    image.seek(1)
    assert image.size == (50, 40)
    image.load()


def index(jpeg: bytes) -> tuple[int, list[tuple[int, int]]]:
    """Where the index of pictures starts to count, and each picture's size and offset."""
    (segment,) = [s for s in read_segments(jpeg) if s.marker == 0xE2 and s.body[:4] == b"MPF\0"]
    entries = segment.body[4 + 8 + 2 + 3 * 12 + 4 :]
    return segment.start + 8, [
        struct.unpack_from(">II", entries, 16 * number + 4) for number in range(2)
    ]


@pytest.mark.parametrize("kind", ["two pictures", "ultra hdr"])
@pytest.mark.parametrize("place", PLACES)
def test_index_of_pictures_stays_right(kind, place, jpegs, long_payload):
    jpeg = jpegs[kind]
    carrying = insert(jpeg, long_payload, place=place)
    start, ((first, nowhere), (second, offset)) = index(carrying)
    assert nowhere == 0
    assert first == read_segments(carrying)[-1].end
    assert carrying[start + offset :][:second] == carrying[first:]
    assert carrying[first:] == jpeg[read_segments(jpeg)[-1].end :]
    again = insert(carrying, b"shorter", place=place)
    assert again == insert(jpeg, b"shorter", place=place)
    assert index(strip(again)) == index(jpeg)


@pytest.mark.parametrize("place", PLACES)
def test_gain_map_is_found_by_exiftool(place, jpegs, long_payload, tmp_path):
    exiftool = EXIFTOOL.path()
    path = tmp_path / "photo.jpg"
    told = []
    for jpeg in (jpegs["ultra hdr"], insert(jpegs["ultra hdr"], long_payload, place=place)):
        path.write_bytes(jpeg)
        found = subprocess.run([exiftool, "-b", "-MPImage2", path], capture_output=True, check=True)
        assert pixels(found.stdout).shape == (30, 40)
        checked = subprocess.run(
            [exiftool, "-validate", "-warning", "-a", "-s3", path], capture_output=True
        )
        told.append((found.stdout, checked.stdout))
    assert told[0] == told[1]


def test_index_that_does_not_read_stays_as_it_is():
    whole = b"MPF\0MM\0*\0\0\0\x08\0\1" + struct.pack(">HHII", 0xB002, 7, 32, 26)
    whole += bytes(4) + struct.pack(">IIIHH", 0, 1000, 0, 0, 0)
    assert with_longer_first(whole, 24) == whole.replace(
        struct.pack(">I", 1000), struct.pack(">I", 1024)
    )
    assert with_longer_first(with_longer_first(whole, 24), -24) == whole
    little = b"MPF\0II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", 0xB002, 7, 32, 26)
    little += bytes(4) + struct.pack("<IIIHH", 0, 1000, 0, 0, 0)
    assert struct.pack("<I", 1024) in with_longer_first(little, 24)
    for cut in range(len(whole)):
        assert len(with_longer_first(whole[:cut], 24)) == cut
    for growth in (-1000, -2000, 2**32):
        assert with_longer_first(whole, growth) == whole
    elsewhere = whole[:-8] + struct.pack(">IHH", 77, 0, 0)
    assert with_longer_first(elsewhere, 24) == elsewhere


def runs(jpeg: bytes) -> list[int]:
    """Box instance numbers of the APP11 segments, in the order of the file."""
    return [struct.unpack_from(">H", s.body, 2)[0] for s in read_segments(jpeg) if s.marker == 0xEB]


def test_a_manifest_of_provenance_stays_in_one_piece(jpegs, long_payload):
    jpeg = jpegs["c2pa"]
    manifest = pieces(jpeg, 0xEB)
    carrying = insert(jpeg, long_payload)
    assert runs(jpeg) == [1] * 3
    assert runs(carrying) == [2] * 5 + [1] * 3
    assert pieces(carrying, 0xEB)[5:] == manifest
    assert strip(carrying) == jpeg


def test_a_manifest_around_exif_is_not_torn(jpegs, long_payload):
    jpeg = jpegs["c2pa"]
    segments = read_segments(jpeg)
    second = [s.start for s in segments if s.marker == 0xEB][1]
    exif = segment_bytes(0xE1, b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")
    torn = jpeg[:second] + exif + jpeg[second:]
    assert runs(insert(torn, long_payload)) == [2] * 5 + [1] * 3
    assert strip(insert(torn, long_payload)) == torn


def test_interleaved_boxes_stay_together_in_a_moment(jpegs):
    # A chain of boxes, each torn around the start of the next: a minute where all are looked at
    # again for each.
    def box(instance: int) -> bytes:
        return segment_bytes(0xEB, b"JP" + instance.to_bytes(2, "big") + bytes(12))

    count = 30_000
    chain = b"".join(box(n + 1) + box(max(n, 1)) for n in range(count))
    exif = segment_bytes(0xE1, b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")
    plain = jpegs["baseline"]
    at = read_segments(plain)[1].end
    torn = plain[:at] + chain + exif + box(count) + plain[at:]
    start = time.process_time()
    carrying = insert(torn, b"payload")
    assert runs(carrying)[0] == count + 1
    assert strip(carrying) == torn
    assert time.process_time() - start < 10


def test_exiftool_reads_both_boxes(jpegs, long_payload, tmp_path):
    exiftool = EXIFTOOL.path()
    path = tmp_path / "photo.jpg"
    path.write_bytes(insert(jpegs["c2pa"], long_payload))
    told = subprocess.run([exiftool, "-s3", "-a", "-JUMDLabel", path], capture_output=True)
    assert sorted(told.stdout.split()) == [b"c2pa", b"isp.meta"]


def test_instance_number_is_free_and_other_boxes_stay(jpegs, payload):
    carrying = insert(jpegs["other jumbf"], payload)
    numbers = [struct.unpack_from(">H", p, 6)[0] for p in pieces(carrying, 0xEB)]
    assert sorted(numbers) == [1, 2, 3]
    assert strip(carrying) == jpegs["other jumbf"]


def test_a_box_of_somebody_else_with_our_number_does_no_harm(jpegs, payload):
    carrying = insert(jpegs["baseline"], payload)
    foreign = pieces(jpegs["other jumbf"], 0xEB)[0]
    both = with_pieces(carrying, 0xEB, [foreign, *pieces(carrying, 0xEB)])
    assert extract(both) == payload


@pytest.mark.parametrize(("place", "marker"), [("app11", 0xEB), ("com", 0xFE)])
def test_order_and_equal_repeats_do_not_matter(place, marker, jpegs, long_payload):
    carrying = insert(jpegs["baseline"], long_payload, place=place)
    stored = pieces(carrying, marker)
    for others in (stored[::-1], stored[2:] + stored[:2], stored + stored, [stored[1], *stored]):
        changed = with_pieces(carrying, marker, others)
        assert extract(changed) == long_payload
        assert strip(changed) == jpegs["baseline"]


@pytest.mark.parametrize(("place", "marker"), [("app11", 0xEB), ("com", 0xFE)])
def test_a_missing_segment_is_an_error(place, marker, jpegs, long_payload):
    carrying = insert(jpegs["baseline"], long_payload, place=place)
    stored = pieces(carrying, marker)
    for missing in range(len(stored)):
        with pytest.raises((PayloadCorrupt, PayloadMissing)):
            extract(with_pieces(carrying, marker, stored[:missing] + stored[missing + 1 :]))


@pytest.mark.parametrize(("place", "marker"), [("app11", 0xEB), ("com", 0xFE)])
def test_segments_that_contradict_are_an_error(place, marker, jpegs, long_payload):
    carrying = insert(jpegs["baseline"], long_payload, place=place)
    stored = pieces(carrying, marker)
    other = bytearray(stored[1])
    other[100] ^= 1
    with pytest.raises(PayloadCorrupt, match="two different parts"):
        extract(with_pieces(carrying, marker, [*stored, bytes(other)]))


def test_two_payloads_that_differ_are_an_error(jpegs):
    one = insert(jpegs["baseline"], b"one")
    (other,) = pieces(insert(jpegs["other jumbf"], b"another"), 0xEB)[-1:]
    with pytest.raises(PayloadCorrupt, match="several raw metadata that differ"):
        extract(with_pieces(one, 0xEB, [*pieces(one, 0xEB), other]))
    comment = pieces(insert(jpegs["baseline"], b"two", place="com"), 0xFE)
    with pytest.raises(PayloadCorrupt, match="several raw metadata that differ"):
        extract(with_pieces(one, 0xEB, [*pieces(one, 0xEB), *comment]))


def test_none_is_none(jpegs):
    for jpeg in jpegs.values():
        with pytest.raises(PayloadMissing, match="carries no raw metadata"):
            extract(jpeg)
        assert strip(jpeg) == jpeg


@pytest.mark.parametrize(("place", "marker"), [("app11", 0xEB), ("com", 0xFE)])
def test_no_flipped_byte_gives_another_payload(place, marker, jpegs, payload):
    carrying = insert(jpegs["tiny"], payload, place=place)
    (segment,) = [s for s in read_segments(carrying) if s.marker == marker]
    unchanged = 0
    for at in range(segment.start, segment.end):
        for flip in (0x01, 0x20, 0x80, 0xFF):
            damaged = bytearray(carrying)
            damaged[at] ^= flip
            try:
                found = extract(bytes(damaged))
                decode(found)
            except (CarrierError, PayloadCorrupt, PayloadMissing):
                continue
            assert found == payload, at
            unchanged += 1
    assert unchanged < 20


@pytest.mark.parametrize("place", PLACES)
def test_every_truncation_is_an_error(place, jpegs, payload):
    carrying = insert(jpegs["tiny"], payload, place=place)
    for end in range(len(carrying)):
        with pytest.raises(CarrierError):
            extract(carrying[:end])


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(st.data())
def test_hostile_bytes_raise_nothing_but_our_errors(data):
    head = data.draw(
        st.sampled_from(
            [
                b"",
                b"\xff\xd8",
                b"\xff\xd8\xff\xeb\x00\x20JP\x00\x01\x00\x00\x00\x01",
                b"\xff\xd8\xff\xfe\x00\x20isp.meta\x00",
            ]
        )
    )
    hostile = head + data.draw(st.binary(max_size=200))
    for function in (extract, strip, scan_digest, lambda jpeg: insert(jpeg, b"payload")):
        with pytest.raises(CarrierError):
            function(hostile)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60).map(lambda body: (0xEB, body)),
            st.binary(max_size=40).map(lambda body: (0xFE, b"isp.meta\x00" + body)),
            st.builds(
                lambda number, sequence, length, body: (
                    0xEB,
                    struct.pack(">2sHII4s", b"JP", number, sequence, length, b"jumb") + body,
                ),
                st.integers(0, 2),
                st.sampled_from([0, 1, 2, 3, 2**32 - 1]),
                st.sampled_from([0, 1, 8, 100, 2**32 - 1]),
                st.sampled_from([b"", b"x"]) | st.binary(max_size=60),
            ),
        ),
        max_size=5,
    )
)
def test_hostile_segments_raise_nothing_but_our_errors(bodies):
    jpeg = MINIMAL[:2] + b"".join(segment_bytes(*body) for body in bodies) + MINIMAL[2:]
    with pytest.raises((PayloadCorrupt, PayloadMissing)):
        extract(jpeg)
    assert extract(insert(jpeg, b"payload")) == b"payload"


# SOI, a frame header, a scan header, EOI: all that the carrier looks for.
MINIMAL = b"\xff\xd8\xff\xc0\x00\x02\xff\xda\x00\x02\xff\xd9"


def test_digest_sees_pixels_and_nothing_else(make_jpeg):
    plain = make_jpeg(quality=80)
    assert scan_digest(make_jpeg(quality=80, comment=b"text", dpi=(1, 2))) == scan_digest(plain)
    assert scan_digest(plain + b"behind") == scan_digest(plain)
    assert scan_digest(make_jpeg(quality=81)) != scan_digest(plain)
    assert scan_digest(make_jpeg(quality=80, optimize=True)) != scan_digest(plain)
    adobe = plain[:2] + segment_bytes(0xEE, b"Adobe\x00\x64" + bytes(5)) + plain[2:]
    assert scan_digest(adobe) != scan_digest(plain)


def test_digest_sees_every_byte_of_the_scan(jpegs):
    jpeg = jpegs["tiny"]
    scan = next(s for s in read_segments(jpeg) if s.marker == 0xDA)
    for at in range(scan.end - 2, scan.end):
        damaged = bytearray(jpeg)
        damaged[at] ^= 1
        assert scan_digest(bytes(damaged)) != scan_digest(jpeg)


def test_place_must_be_known(jpegs):
    with pytest.raises(ValueError, match="app11 or com"):
        insert(jpegs["baseline"], b"", place="exif")
