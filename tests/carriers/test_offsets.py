"""What a camera or program keeps behind the end of a picture is found there afterwards."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from previews import MAKERS, STRANGER, iptc, with_afcp
from programs import EXIFTOOL

from isp_meta.carriers import insert, jpeg, strip, unknown_offsets
from isp_meta.carriers.segments import read_segments, segment_bytes
from isp_meta.errors import CarrierError

Bytes = Callable[..., bytes]


@pytest.fixture
def plain(make_jpeg: Bytes) -> bytes:
    return make_jpeg()


@pytest.fixture
def preview(make_jpeg: Bytes) -> bytes:
    return make_jpeg(30, 40)


def ask(path: Path, data: bytes, *arguments: str) -> bytes:
    path.write_bytes(data)
    program = [EXIFTOOL.path(), *arguments, path]
    return subprocess.run(program, capture_output=True, check=False).stdout


@pytest.mark.parametrize("place", jpeg.PLACES)
@pytest.mark.parametrize("maker", MAKERS)
def test_exiftool_finds_the_preview_as_before(
    maker: str, place: str, plain: bytes, preview: bytes, long_payload: bytes, tmp_path: Path
) -> None:
    photograph = MAKERS[maker].photograph(plain, preview)
    carrying = insert(photograph, long_payload, place=place)
    assert unknown_offsets(photograph) == unknown_offsets(carrying) == 0
    assert strip(carrying) == photograph
    for data in (photograph, carrying):
        assert ask(tmp_path / "a.jpg", data, "-b", "-PreviewImage") == preview, maker
    # exiftool would find the preview at the end by itself, too: the offset must have grown.
    exif = read_segments(photograph)[1]
    assert carrying.endswith(photograph[exif.end :])
    changed = [at for at in range(exif.end) if photograph[at] != carrying[at]]
    fields = range(changed[-1] - 3, changed[0] + 1)
    number = struct.Struct(MAKERS[maker].order + "I")
    growth = len(carrying) - len(photograph)
    assert growth in {
        number.unpack_from(carrying, at)[0] - number.unpack_from(photograph, at)[0] for at in fields
    }


def test_a_preview_whose_first_byte_the_camera_overwrote(plain: bytes, preview: bytes) -> None:
    for maker in ("minolta", "sony"):
        photograph = MAKERS[maker].photograph(plain, b"\0" + preview[1:])
        carrying = insert(photograph, b"x" * 999)
        assert carrying[: len(plain)] != photograph[: len(plain)]
        assert strip(carrying) == photograph
        assert insert(carrying, b"x") == insert(photograph, b"x")


def test_a_preview_in_a_later_segment(plain: bytes, preview: bytes, tmp_path: Path) -> None:
    """In front of the scan, but behind the place of insertion."""
    behind = MAKERS["minolta"].photograph(plain, b"")
    segments = read_segments(behind)
    at = segments[1].end
    kept = segment_bytes(0xE3, b"Meta\0\0" + preview)
    whole = behind[:at] + kept + behind[at:]
    start = struct.pack(">I", len(behind) - 12)  # as the EXIF has it, for a preview at the end
    found = struct.pack(">I", at + 4 + 6 - 12)
    assert whole.count(start, 0, at) == 1
    whole = whole[:at].replace(start, found) + whole[at:]
    length = whole[:at].replace(
        struct.pack(">HHII", 0x89, 4, 1, 0), struct.pack(">HHII", 0x89, 4, 1, len(preview))
    )
    whole = length + whole[at:]
    carrying = insert(whole, b"payload" * 999)
    assert strip(carrying) == whole
    for data in (whole, carrying):
        assert ask(tmp_path / "a.jpg", data, "-b", "-PreviewImage") == preview


@pytest.mark.parametrize("order", "<>")
def test_afcp_stays_right(order: str, plain: bytes, preview: bytes, tmp_path: Path) -> None:
    whole = with_afcp(plain, order, IPTC=iptc(b"a caption"), Nail=bytes(18) + preview, TEXT=b"")
    assert unknown_offsets(whole) == 0
    carrying = insert(whole, b"payload" * 999)
    assert strip(carrying) == whole
    for data in (whole, carrying):
        told = ask(tmp_path / "a.jpg", data, "-a", "-s", "-Caption-Abstract", "-Warning")
        assert told.split() == b"Caption-Abstract : a caption".split()
        assert ask(tmp_path / "a.jpg", data, "-b", "-AFCP:ThumbnailImage") == preview
    broken = carrying[: len(carrying) - 8] + whole[-8:]
    assert b"Warning" in ask(tmp_path / "a.jpg", broken, "-s", "-Warning")


def test_afcp_behind_a_preview(plain: bytes, preview: bytes, tmp_path: Path) -> None:
    whole = with_afcp(MAKERS["minolta"].photograph(plain, preview), IPTC=iptc(b"both"))
    carrying = insert(whole, b"payload")
    assert strip(carrying) == whole
    assert ask(tmp_path / "a.jpg", carrying, "-b", "-PreviewImage") == preview
    assert ask(tmp_path / "a.jpg", carrying, "-s3", "-Caption-Abstract", "-Warning") == b"both\n"


@pytest.mark.parametrize("cut", [1, 4, 11, 12, 13, 24, 30])
def test_afcp_that_is_damaged_stays_as_it_is(cut: int, plain: bytes) -> None:
    whole = with_afcp(plain, IPTC=b"caption", Nail=b"12345678")
    for damaged in (whole[:-cut], whole[: len(plain)] + whole[len(plain) + cut :], whole + b"AXS!"):
        carrying = insert(damaged, b"payload" * 99)
        assert strip(carrying) == damaged
    count = whole[: len(plain) + 6] + b"\xff\xff" + whole[len(plain) + 8 :]
    assert strip(insert(count, b"payload")) == count


def test_offsets_that_nobody_knows_are_counted_and_stay(plain: bytes, preview: bytes) -> None:
    photograph = STRANGER.photograph(plain, preview)
    assert unknown_offsets(photograph) == 1
    carrying = insert(photograph, b"payload" * 99)
    end = read_segments(photograph)[1].end
    assert carrying[:end] == photograph[:end]
    assert strip(carrying) == photograph
    assert unknown_offsets(carrying) == 1


def test_what_crosses_nothing_is_not_counted(
    jpegs: dict[str, bytes], pngs: dict[str, bytes]
) -> None:
    for name, data in (*jpegs.items(), *pngs.items()):
        assert unknown_offsets(data) == (name == "preview unknown"), name
    with pytest.raises(CarrierError):
        unknown_offsets(b"anything")


def test_an_offset_that_strip_would_mistake_is_refused(plain: bytes, preview: bytes) -> None:
    """Wrong before the insertion, and by accident right after it."""
    photograph = MAKERS["minolta"].photograph(plain, preview)
    end = read_segments(photograph)[1].end
    payload = b"payload" * 9
    size = len(insert(photograph, payload)) - len(photograph)
    right = struct.pack(">I", len(photograph) - len(preview) - 12)
    late = struct.pack(">I", len(photograph) - len(preview) - 12 + size)
    accident = photograph[:end].replace(right, late) + photograph[end:]
    with pytest.raises(CarrierError, match="use a sidecar"):
        insert(accident, payload)
    assert strip(insert(accident, payload + b"!")) == accident


def test_many_previews_cost_a_moment(plain: bytes, preview: bytes) -> None:
    photograph = MAKERS["sony"].photograph(plain, preview) + preview * 200
    filled = photograph + np.random.default_rng(0).bytes(1 << 20) + b"AXS!" * 10_000
    assert strip(insert(filled, b"payload")) == filled
