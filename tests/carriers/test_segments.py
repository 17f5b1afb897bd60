from __future__ import annotations

import itertools

import pytest

from isp_meta.carriers.segments import read_segments
from isp_meta.errors import CarrierError


def test_segments_cover_the_file(jpegs):
    for name, jpeg in jpegs.items():
        segments = read_segments(jpeg)
        assert segments[0].start == 0, name
        assert segments[-1].marker == 0xD9, name
        for one, following in itertools.pairwise(segments):
            assert one.end == following.start, name


def test_progressive_files_have_several_scans(jpegs):
    markers = [segment.marker for segment in read_segments(jpegs["progressive"])]
    assert markers.count(0xDA) > 1


def test_every_truncation_is_an_error(jpegs):
    for name in ("baseline", "progressive", "exif"):
        jpeg = jpegs[name]
        for end in range(len(jpeg)):
            with pytest.raises(CarrierError):
                read_segments(jpeg[:end])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "not a JPEG"),
        (b"\x89PNG\r\n\x1a\n", "not a JPEG"),
        (b"\xff\xd8", "truncated"),
        (b"\xff\xd8\xff\xd9", "holds no picture"),
        (b"\xff\xd8\xff\xd8", "starts anew at byte 2"),
        (b"\xff\xd8\xff\xe0\x00\x01", "a length of 1 at byte 4"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "truncated within the segment at byte 2"),
        (b"\xff\xd8\x00\x00", "ends without an EOI marker"),
        (b"\xff\xd8\xff\x00", "ends without an EOI marker"),
        (b"\xff\xd8stray\xff\xd8", "starts anew at byte 2"),
        (b"\xff\xd8stray\xff\xd9", "holds no picture"),
        (b"\xff\xd8\xff\xda\x00\x02abc", "within a scan"),
    ],
)
def test_what_is_wrong_is_named(data, text):
    with pytest.raises(CarrierError, match=text):
        read_segments(data)


def test_fill_bytes_cost_no_more_than_others(jpegs):
    # Half an hour where each of them is looked at once for each before it.
    jpeg, fill = jpegs["baseline"], b"\xff" * 2**20
    eoi = jpeg.rindex(b"\xff\xd9")
    assert read_segments(jpeg[:eoi] + fill + jpeg[eoi:])[-1].start == eoi
    assert read_segments(jpeg[:eoi] + fill + b"\0" + jpeg[eoi:])[-1].start == eoi + len(fill) + 1


STRAY = [b"\0", b"stray", b"\xff\0", b"\xff\0\0\xff\0", b"\xff\xff\xff", b"\xd9\xd8", b"\0" * 999]


@pytest.mark.parametrize("between", STRAY)
def test_stray_bytes_between_segments_belong_to_the_next(between, make_jpeg):
    jpeg = make_jpeg()
    plain = read_segments(jpeg)
    for segment in plain[1:]:
        if segment.marker == 0xD9:
            continue  # behind the scan they are the scan's
        data = jpeg[: segment.start] + between + jpeg[segment.start :]
        segments = read_segments(data)
        assert [(s.marker, s.body) for s in segments] == [(s.marker, s.body) for s in plain]
        (found,) = (s for s in segments if s.start == segment.start)
        assert data[found.start : found.at] == between
        for one, following in itertools.pairwise(segments):
            assert one.end == following.start


def test_stray_bytes_cost_no_more_than_others(jpegs):
    jpeg = jpegs["baseline"]
    for fill in (b"\0" * 2**22, b"\xff\0" * 2**21, b"\xff" * 2**22):
        assert read_segments(jpeg[:2] + fill + jpeg[2:])[-1].marker == 0xD9
        with pytest.raises(CarrierError, match="without an EOI"):
            read_segments(jpeg[:2] + fill)
