from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import maker_files
import numpy as np
import pytest
import rawpy
import tifffile
import torch
from small_dng import CODES, HEIGHT, MATRIX, WIDTH, write

from isp_meta.data import sample_path
from isp_meta.errors import NotARawFile, RawFileDamaged, RawFileError, RawFileUnsupported
from isp_meta.frame import Frame
from isp_meta.io import RawLayout, read_raw
from isp_meta.io.dng.directory import append_exif
from isp_meta.io.dng.tags import CFA, Tag, last_byte
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


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "no such file"),
        (b"", "empty"),
        (b"\xff\xd8\xff\xe0 hardly a picture" * 100, "not a raw file: JPEG, already rendered"),
        (b"II*\0", "cut off"),
        (bytes(5000), "not a raw file: no header"),
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
    with pytest.raises(RawFileError, match=r"cut off|empty|not a raw file"):
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


def test_what_no_reader_takes_is_named(tmp_path: Path) -> None:
    for start, error, text in (
        (b"FOVb", RawFileUnsupported, r"not supported: a Foveon sensor \(X3F\).*; Sigma Photo Pro"),
        (b"\0\0\0\x18ftypheic", NotARawFile, "not a raw file: HEIC, already rendered"),
        (b"\0\0\0\x18ftypisom", NotARawFile, "not a raw file: video$"),
        (b"%PDF-1.7", NotARawFile, "not a raw file: PDF, already rendered"),
    ):
        path = tmp_path / "a.raw"
        path.write_bytes(start.ljust(5000, b"\0"))
        with pytest.raises(error, match=text):
            read_raw(path)


def test_a_dump_is_never_guessed(tmp_path: Path) -> None:
    """Files whose sizes are those of cameras that write no header."""
    for size in (640 * 480, 2592 * 1944 * 5 // 4, 24_000_000):
        path = tmp_path / "a.raw"
        path.write_bytes(bytes([5]) * size)
        with pytest.raises(NotARawFile, match=r"no header .* a\.raw\.toml") as caught:
            read_raw(path)
        assert str(caught.value).endswith("pass layout=RawLayout(width, height, …)")


def test_a_layout_for_a_file_that_has_its_own(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dng")
    with pytest.raises(RawFileUnsupported, match="a layout for DNG"):
        read_raw(path, layout=RawLayout(WIDTH, HEIGHT))
    (tmp_path / "a.dng.toml").write_text("width = 1\nheight = 1\n")
    assert read_raw(path).codes is not None  # nobody asks for it


def good_and_bad(folder: Path) -> list[tuple[Path, RawLayout | None, Any]]:
    """20 good and 20 undecodable files in mixed order; the codes of each, or None."""
    files: list[tuple[Path, RawLayout | None, Any]] = []

    def add(name: str, data: bytes, codes: Any, layout: RawLayout | None = None) -> None:
        path = folder / f"{len(files)}-{name}"
        path.write_bytes(data)
        files.append((path, layout, codes))

    dng = sample_path().read_bytes()
    with tifffile.TiffFile(sample_path()) as tif:
        tile, count = tif.pages.first.dataoffsets[0], tif.pages.first.databytecounts[0]
    for number in range(4):
        codes = maker_files.scene(low=500 + 300 * number)
        jpeg = maker_files.lossless_jpeg(codes)
        add("a.nef", maker_files.raw_tiff(codes), codes)
        add("a.cr2", maker_files.cr2(codes), codes)
        add("a.raf", maker_files.raf(codes[:90, :120]), codes[:90, :120])
        add("a.raw", codes.tobytes(), codes, RawLayout(128, 96))
        add("a.dng", write(folder / "small.dng").read_bytes(), CODES)
        add("b.nef", maker_files.raw_tiff(codes)[:-2000], None)
        add("b.cr2", maker_files.cr2(codes, b"\x11" * len(jpeg)), None)
        add("c.cr2", maker_files.cr2(codes, maker_files.lossless_jpeg(codes[:30])), None)
        add("b.arw", maker_files.arw(codes)[:-6000], None)
        add("b.dng", dng[:tile] + bytes(count) + dng[tile + count :], None)
    random.Random(7).shuffle(files)
    return files


def test_no_accepted_raw_holds_a_byte_of_another(tmp_path: Path) -> None:
    files = good_and_bad(tmp_path)
    assert len(files) == 40
    for path, layout, codes in files:
        if codes is None:
            with pytest.raises(RawFileDamaged):
                read_raw(path, layout=layout)
        else:
            found = read_raw(path, layout=layout).codes
            assert found is not None
            np.testing.assert_array_equal(found[0].numpy(), codes)
