from __future__ import annotations

from fractions import Fraction

import pytest

from isp_meta.camera import Camera
from isp_meta.data import sample_path
from isp_meta.io import read_raw
from isp_meta.io.exif import (
    FIELDS,
    exif_directory,
    exif_segment,
    plain_text,
    ratio_text,
    read_exif,
)


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
