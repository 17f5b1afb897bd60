from __future__ import annotations

import logging

import pytest
import tifffile

from isp_meta.data import sample_path
from isp_meta.io.dng.tags import CFA, Tag, last_byte, open_tiff, raw_page, read_tags


def test_sample() -> None:
    tags = read_tags(sample_path().read_bytes())
    assert tags is not None
    assert tags.is_dng
    assert tags.numbers[Tag.PHOTOMETRIC] == (CFA,)
    assert tags.numbers[Tag.WHITE_LEVEL] == (16383,)
    assert tags.numbers[Tag.CALIBRATION_ILLUMINANT[0]] == (3,)
    assert tags.texts[Tag.UNIQUE_CAMERA_MODEL] == "GoPro HERO6 Black"
    with tifffile.TiffFile(sample_path()) as tif:
        assert last_byte(raw_page(tif)) < tags.size <= sample_path().stat().st_size


def test_lost_exif_counts_as_missing_bytes() -> None:
    data = sample_path().read_bytes()
    with tifffile.TiffFile(sample_path()) as tif:
        pixels = last_byte(raw_page(tif))
    for end in (pixels, pixels + 2, pixels + 20):
        tags = read_tags(data[:end])
        assert tags is not None
        assert tags.size > end


@pytest.mark.parametrize(
    "data", [b"", b"II*\0", b"MM\0*\0\0\0\x08\xff\xff", b"\xff\xd8\xff", b"II"]
)
def test_no_tiff(data: bytes) -> None:
    assert read_tags(data) is None


def test_tifffile_is_quiet_here_and_only_here(caplog: pytest.LogCaptureFixture) -> None:
    with open_tiff(sample_path().read_bytes()):
        tifffile.logger().warning("inside")
    tifffile.logger().warning("outside")
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == ["outside"]
