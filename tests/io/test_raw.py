from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rawpy
import tifffile
import torch
from small_dng import CODES, HEIGHT, MATRIX, WIDTH, write

from isp_meta.data import sample_path
from isp_meta.errors import RawFileError
from isp_meta.frame import Frame
from isp_meta.io import read_raw
from isp_meta.io.dng.directory import append_exif
from isp_meta.io.dng.tags import CFA, LINEAR_RAW, Tag, last_byte
from isp_meta.io.exif import pack_directory


def test_sample_holds_what_its_readme_says(sample: Frame) -> None:
    camera = sample.camera
    assert sample.filled == {"codes"}
    assert sample.codes is not None
    assert sample.codes.shape == (1, 768, 1024)
    assert sample.codes.dtype == torch.float32
    assert (camera.make, camera.model, camera.cfa) == ("GoPro", "HERO6 Black", "RGGB")
    assert camera.black_level == (0, 0, 0, 0)
    assert camera.white_level == 16383
    assert camera.as_shot_neutral == (0.522449, 1.0, 0.571429)
    assert camera.orientation == 2
    assert camera.illuminant == 23  # D50 is nearer to D65 than the other, tungsten
    assert camera.color_matrix[:3] == (1.0344, -0.421, -0.062)
    assert camera.noise == pytest.approx((1.56201e-4, 4.88002e-8), rel=1e-5)
    assert camera.gain_maps == ()  # They span the whole picture; its crop has none.
    assert camera.exif == {
        "ExposureTime": "1/455",
        "FNumber": "2.8",
        "ISO": "100",
        "FocalLength": "3",
        "DateTimeOriginal": "2016:01:01 23:07:27",
        "Software": "HD6.01.01.49.08",
    }


def test_sample_has_clipped_light_and_deep_shadow(sample: Frame) -> None:
    assert sample.codes is not None
    assert float((sample.codes >= 16383).float().mean()) > 1e-3
    assert float((sample.codes < 160).float().mean()) > 5e-3
    assert sample_path().stat().st_size < 2_000_000


def test_agrees_with_libraw(sample: Frame) -> None:
    with rawpy.imread(str(sample_path())) as raw:
        np.testing.assert_array_equal(sample.codes[0].numpy(), raw.raw_image_visible)
        assert raw.white_level == sample.camera.white_level
        assert raw.sizes.flip == 1
        gains = [1 / n for n in sample.camera.as_shot_neutral]
        assert raw.camera_whitebalance[:3] == pytest.approx(gains, rel=1e-5)


@pytest.mark.parametrize(
    ("pattern", "cfa"),
    [
        ((0, 1, 1, 2), "RGGB"),
        ((2, 1, 1, 0), "BGGR"),
        ((1, 0, 2, 1), "GRBG"),
        ((1, 2, 0, 1), "GBRG"),
    ],
)
def test_black_level_follows_the_place_in_the_mosaic(
    tmp_path: Path, pattern: tuple[int, ...], cfa: str
) -> None:
    camera = read_raw(write(tmp_path / "a.dng", {Tag.CFA_PATTERN: (1, pattern)})).camera
    assert camera.cfa == cfa
    assert camera.black_level == (10, 20, 30.5, 41)


def test_margins_move_mosaic_and_black_level_together(tmp_path: Path) -> None:
    area = {Tag.ACTIVE_AREA: (4, (1, 1, HEIGHT - 1, WIDTH - 1))}
    frame = read_raw(write(tmp_path / "a.dng", area))
    top, left = frame.camera.crop
    assert (top, left) != (0, 0)
    assert frame.codes is not None
    height, width = frame.codes.shape[1:]
    np.testing.assert_array_equal(
        frame.codes[0].numpy(), CODES[top : top + height, left : left + width]
    )
    # The tags speak of the active area's corner, row 1, column 1.
    at = [((top - 1 + y) % 2) * 2 + (left - 1 + x) % 2 for y in (0, 1) for x in (0, 1)]
    assert frame.camera.cfa == "".join("RGGB"[i] for i in at)
    assert frame.camera.black_level == tuple((10, 20, 30.5, 41)[i] for i in at)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_goes_through_libraw_unchanged(tmp_path: Path, orientation: int) -> None:
    frame = read_raw(write(tmp_path / "a.dng", {Tag.ORIENTATION: (3, orientation)}))
    assert frame.camera.orientation == orientation
    assert frame.codes is not None
    np.testing.assert_array_equal(frame.codes[0].numpy(), CODES)


def test_without_dng_levels_libraw_decides(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dng", {Tag.BLACK_LEVEL: (5, None), Tag.AS_SHOT_NEUTRAL: (5, None)})
    camera = read_raw(path).camera
    with rawpy.imread(str(path)) as raw:
        daylight = raw.daylight_whitebalance
    assert camera.black_level == (0, 0, 0, 0)
    assert camera.as_shot_neutral == pytest.approx([daylight[1] / g for g in daylight[:3]])


def test_raw_below_a_thumbnail_is_found(tmp_path: Path, sample: Frame) -> None:
    path = tmp_path / "a.dng"
    codes = sample.codes[0, :HEIGHT, :WIDTH].numpy().astype(np.uint16)
    main = [
        (Tag.DNG_VERSION, 1, 4, bytes((1, 4, 0, 0)), True),
        (Tag.UNIQUE_CAMERA_MODEL, 2, 0, "Maker Model", True),
        (Tag.COLOR_MATRIX[0], 10, 9, MATRIX, True),
        (Tag.AS_SHOT_NEUTRAL, 5, 3, (1, 2, 1, 1, 3, 5), True),
    ]
    mosaic = [
        (Tag.CFA_REPEAT_PATTERN_DIM, 3, 2, (2, 2), True),
        (Tag.CFA_PATTERN, 1, 4, bytes((0, 1, 1, 2)), True),
        (Tag.BLACK_LEVEL, 5, 1, (129, 2), True),
        (Tag.WHITE_LEVEL, 4, 1, 16383, True),
    ]
    with tifffile.TiffWriter(path, byteorder="<") as tif:
        thumbnail = np.zeros((8, 8, 3), np.uint8)
        options: dict[str, Any] = {"metadata": None, "software": False}
        tif.write(thumbnail, photometric="rgb", subfiletype=1, subifds=1, extratags=main, **options)
        tif.write(codes, photometric=CFA, subfiletype=0, extratags=mosaic, **options)
    frame = read_raw(path)
    np.testing.assert_array_equal(frame.codes[0].numpy(), codes)
    assert frame.camera.black_level == (64.5,) * 4
    assert frame.camera.as_shot_neutral == (0.5, 1.0, 0.6)


def test_location_and_serial_number_do_not_pass(tmp_path: Path, sample: Frame) -> None:
    path = write(tmp_path / "a.dng", {50735: (2, "SERIAL-1")})
    data = bytearray(append_exif(path.read_bytes(), sample.camera))
    extra = {33434: 2, 42033: "SERIAL-2", 37500: b"GPS"}
    data += pack_directory(extra, len(data))
    path.write_bytes(data)
    camera = read_raw(path).camera
    assert camera.exif["ExposureTime"] == "1/455"
    assert set(camera.exif) <= set(sample.camera.exif)
    assert "SERIAL" not in repr(camera)


X_TRANS = (1, 1, 0, 1, 1, 2, 1, 1, 2, 1, 1, 0, 2, 0, 1, 0, 2, 1) * 2
UNSUPPORTED: dict[str, tuple[dict[int, tuple[int, Any]], str]] = {
    "x-trans": (
        {Tag.CFA_REPEAT_PATTERN_DIM: (3, (6, 6)), Tag.CFA_PATTERN: (1, X_TRANS)},
        "X-Trans",
    ),
    "quad": (
        {
            Tag.CFA_REPEAT_PATTERN_DIM: (3, (4, 4)),
            Tag.CFA_PATTERN: (1, (0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 2, 2, 1, 1, 2, 2)),
        },
        "4x4 mosaic",
    ),
    "rgbe": (
        {
            Tag.CFA_PLANE_COLOR: (1, (0, 1, 2, 3)),
            Tag.CFA_PATTERN: (1, (0, 1, 2, 3)),
            Tag.COLOR_MATRIX[0]: (10, (1, 1) * 12),
            Tag.AS_SHOT_NEUTRAL: (5, None),
        },
        "4 colors",
    ),
    "cmy": (
        {
            Tag.CFA_PLANE_COLOR: (1, (3, 4, 5)),
            Tag.CFA_PATTERN: (1, (3, 4, 4, 5)),
            Tag.COLOR_MATRIX[0]: (10, None),
            Tag.AS_SHOT_NEUTRAL: (5, None),
        },
        "other than red, green, blue",
    ),
}


@pytest.mark.parametrize("kind", UNSUPPORTED)
def test_unsupported_mosaics_are_named(tmp_path: Path, kind: str) -> None:
    changes, text = UNSUPPORTED[kind]
    path = write(tmp_path / "a.dng", changes)
    with pytest.raises(RawFileError, match=text) as caught:
        read_raw(path)
    assert "a.dng" in str(caught.value)
    assert "Bayer" in str(caught.value)


def test_monochrome_is_named(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.dng",
        {
            Tag.CFA_PATTERN: (1, None),
            Tag.CFA_REPEAT_PATTERN_DIM: (3, None),
            Tag.BLACK_LEVEL: (5, None),
            Tag.BLACK_LEVEL_REPEAT_DIM: (3, None),
        },
        photometric="minisblack",
    )
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages.first.tags[Tag.PHOTOMETRIC].overwrite(LINEAR_RAW)
    with pytest.raises(RawFileError, match="monochrome"):
        read_raw(path)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "no such file"),
        (b"", "empty"),
        (b"\xff\xd8\xff\xe0 hardly a picture" * 100, "no raw file"),
        (b"II*\0", "damaged"),
        (bytes(5000), "no raw file"),
    ],
)
def test_what_is_no_raw_file(tmp_path: Path, content: bytes | None, text: str) -> None:
    path = tmp_path / "a.dng"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RawFileError, match=text) as caught:
        read_raw(path)
    assert "a.dng" in str(caught.value)


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(RawFileError, match="folder"):
        read_raw(tmp_path)


@pytest.mark.parametrize("missing", [1, 2, 90, 0.01, 0.2, 0.5, 0.9, 0.999, 0.99999])
@pytest.mark.parametrize("kind", ["lossless", "uncompressed"])
def test_truncation_is_found_anywhere(
    tmp_path: Path, kind: str, missing: float, capfd: pytest.CaptureFixture[str]
) -> None:
    source = sample_path() if kind == "lossless" else write(tmp_path / "whole.dng")
    data = source.read_bytes()
    with tifffile.TiffFile(source) as tif:
        end = last_byte(tif.pages.first)
    path = tmp_path / "cut.dng"
    kept = end - missing if isinstance(missing, int) else int(end * (1 - missing))
    path.write_bytes(data[:kept])
    with pytest.raises(RawFileError, match=r"truncated|cut off|empty|no raw"):
        read_raw(path)
    # Nothing of LibRaw's own complaints once the directories are there to tell.
    assert kept < 2000 or capfd.readouterr() == ("", "")


def test_hostile_bytes_raise_only_our_error(tmp_path: Path) -> None:
    data = write(tmp_path / "a.dng").read_bytes()
    generator = random.Random(0)
    path = tmp_path / "b.dng"
    refused = 0
    for _ in range(150):
        damaged = bytearray(data)
        for _ in range(generator.randint(1, 5)):
            damaged[generator.randrange(700)] = generator.choice((0, 255, generator.randrange(256)))
        path.write_bytes(damaged)
        try:
            read_raw(path)
        except RawFileError:
            refused += 1
    assert refused > 10
