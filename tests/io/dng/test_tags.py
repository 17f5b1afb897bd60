from __future__ import annotations

import logging
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import tifffile
from made_dng import SHORT, SRATIONAL, Coding, Tags, made_dng, photograph

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


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("count", [3, 1000, 1025, 5000])
def test_many_values(order: str, count: int) -> None:
    fractions = tuple(v for i in range(count) for v in (i - 1000, 100))
    told: Tags = {
        Tag.BLACK_LEVEL_DELTA_V: (SRATIONAL, fractions),
        Tag.LINEARIZATION_TABLE: (SHORT, tuple(range(count))),
    }
    tags = read_tags(made_dng(photograph(8, 8, 12), Coding(order=order), told).data)
    assert tags is not None
    expected = [(i - 1000) / 100 for i in range(count)]
    assert list(tags.numbers[Tag.BLACK_LEVEL_DELTA_V]) == pytest.approx(expected)
    assert tags.numbers[Tag.LINEARIZATION_TABLE] == tuple(range(count))
    assert tags.byte_order == order


def test_a_thumbnail_says_nothing_of_how_the_raw_picture_is_stored() -> None:
    mosaic = [(33421, 3, 2, (2, 2), True), (33422, 1, 4, bytes((0, 1, 1, 2)), True)]
    file = BytesIO()
    with tifffile.TiffWriter(file, byteorder="<") as tif:
        options: dict[str, Any] = {"metadata": None, "software": False}
        version = [
            (Tag.DNG_VERSION, 1, 4, bytes((1, 4, 0, 0)), True),
            (Tag.ORIENTATION, 3, 1, 6, True),
        ]
        small = np.zeros((16, 16, 3), np.uint8)
        tif.write(small, subfiletype=1, tile=(16, 16), subifds=1, extratags=version, **options)
        mosaic.append((Tag.ORIENTATION, 3, 1, 8, True))
        tif.write(np.ones((40, 48), np.uint16), photometric=CFA, extratags=mosaic, **options)
    tags = read_tags(file.getvalue())
    assert tags is not None
    assert tags.numbers[Tag.SAMPLES_PER_PIXEL] == (1,)
    assert tags.numbers[Tag.BITS_PER_SAMPLE] == (16,)
    assert Tag.TILE_OFFSETS not in tags.numbers
    assert tags.numbers[Tag.ORIENTATION] == (6,)


def test_tifffile_is_quiet_here_and_only_here(caplog: pytest.LogCaptureFixture) -> None:
    with open_tiff(sample_path().read_bytes()):
        tifffile.logger().warning("inside")
    tifffile.logger().warning("outside")
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == ["outside"]
