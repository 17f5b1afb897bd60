from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from PIL import Image
from small_dng import write

from isp_meta.camera import Camera
from isp_meta.data import sample_path
from isp_meta.frame import Frame
from isp_meta.io import encode_jpeg, read_linear, read_raw, write_dng
from isp_meta.io.dng.directory import append_exif
from isp_meta.io.exif import FIELDS, exif_directory, exif_segment, plain_text, ratio_text, read_exif
from isp_meta.io.gps import gps_directory


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(10, 4550), "1/455"),
        (Fraction(1, 4), "1/4"),
        (Fraction(28, 10), "2.8"),
        (Fraction(30), "30"),
        (Fraction(1), "1"),
        (Fraction(2, 3), "2/3"),
    ],
)
def test_ratios_read_as_photographers_write_them(value: Fraction, text: str) -> None:
    assert ratio_text(value) == text
    assert Fraction(text) == value


def test_plain_text() -> None:
    assert plain_text(" Größe\tA\0junk") == "Gr??e?A"
    assert len(plain_text("x" * 1000)) == 256


def test_unreadable_values_are_left_out() -> None:
    exif = {
        "ExposureTime": "long",
        "FNumber": "1/0",
        "FocalLength": "-3",
        "ISO": "204800",
        "LensModel": "35 mm",
        "GPSLatitude": "1",
    }
    directory = exif_directory(Camera(exif=exif))
    assert directory[FIELDS["ISO"]] == 65535
    assert set(directory) == {FIELDS["ISO"], FIELDS["LensModel"], 36864}
    assert directory[36864] == b"0232"


PLACE = {
    "GPSLatitudeRef": "N",
    "GPSLatitude": "52/1 30/1 1199/20",
    "GPSLongitudeRef": "E",
    "GPSLongitude": "13/1 24/1 0/1",
    "GPSAltitudeRef": "1",
    "GPSAltitude": "69/2",
    "GPSDateStamp": "2024:01:02",
    "GPSTimeStamp": "12/1 3/1 4/1",
}
TAKEN = {
    "ExposureTime": "1/60",
    "ExposureBiasValue": "-2/3",
    "ExposureProgram": "2",
    "MeteringMode": "5",
    "Flash": "16",
    "DateTimeOriginal": "2024:01:02 13:03:04",
    "OffsetTimeOriginal": "+01:00",
    "SubSecTimeOriginal": "042",
    "FocalLengthIn35mmFilm": "35",
    "LensMake": "Lens Maker",
    "Artist": "Somebody",
    "Copyright": "Somebody, 2024",
}


def test_all_that_is_known_is_written_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encode_jpeg(torch.rand(3, 8, 8), camera=Camera("M", "N", exif=TAKEN | PLACE)))
    found = read_exif(path.read_bytes(), gps=True)
    expected = {**TAKEN, **PLACE, "Make": "M", "Model": "N"}
    assert {name: found[name] for name in expected} == expected
    assert not read_exif(path.read_bytes()).keys() & PLACE.keys()


def test_a_raw_file_tells_all_of_it(tmp_path: Path) -> None:
    below = {name: text for name, text in TAKEN.items() if name not in ("Artist", "Copyright")}
    path = write(tmp_path / "a.dng", {315: (2, "Somebody"), 33432: (2, "Somebody, 2024")})
    path.write_bytes(append_exif(path.read_bytes(), Camera(exif=below)))
    told = read_raw(path).camera.exif
    assert {name: told[name] for name in TAKEN} == TAKEN


def test_other_programs_agree(tmp_path: Path, exiftool: Callable[[Path], str]) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encode_jpeg(torch.rand(3, 8, 8), camera=Camera(exif=TAKEN | PLACE)))
    assert exiftool(path).split() == ["Validate", ":", "OK"]
    with Image.open(path) as picture:
        exif = picture.getexif()
        assert (exif[315], exif[33432]) == ("Somebody", "Somebody, 2024")
        assert exif.get_ifd(0x8769)[37380] == Fraction(-2, 3)
        place = exif.get_ifd(0x8825)
    assert place[2] == (52, 30, Fraction(1199, 20))
    assert (place[1], place[3], place[5], place[0]) == ("N", "E", b"\1", b"\2\3\0\0")


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"GPSLatitude": "52/1 30/1 0/1", "GPSLatitudeRef": "N"},
        PLACE | {"GPSLatitude": "far north"},
        PLACE | {"GPSLatitude": "1/0 0/1 0/1"},
        PLACE | {"GPSLongitude": "13/1 24/1"},
        PLACE | {"GPSLongitude": "-13/1 24/1 0/1"},
        PLACE | {"GPSLongitudeRef": "Größe"},
    ],
)
def test_half_a_place_is_none(place: dict[str, str]) -> None:
    assert gps_directory(place) == {}


def test_nothing_known_is_still_a_segment() -> None:
    assert exif_segment(Camera(), 1, 1).startswith(b"Exif\0\0II*\0")


def test_exiv2_reads_what_the_tags_say() -> None:
    found = read_exif(sample_path().read_bytes())
    camera = read_raw(sample_path()).camera
    assert (found.pop("Make"), found.pop("Model")) == (camera.make, camera.model)
    assert found.items() >= {"ISO": "100", "ExposureTime": "1/455", "FNumber": "2.8"}.items()
    assert found == {name: camera.exif[name] for name in found}


@pytest.mark.parametrize("data", [b"", b"FUJIFILMCCD-RAW " + bytes(300), b"\xff" * 64])
def test_exiv2_knows_nothing_of_other_bytes(data: bytes) -> None:
    assert read_exif(data) == {}


def test_a_recovered_dng_tells_all_of_it(tmp_path: Path) -> None:
    frame = Frame(camera=Camera("M", "N", exif=TAKEN), raw=torch.rand(3, 64, 64))
    write_dng(tmp_path / "a.dng", frame, linear=True)
    assert read_linear(tmp_path / "a.dng").camera.exif == TAKEN
