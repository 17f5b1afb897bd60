"""What real tools leave of a payload. They are Debian packages; a missing one is a failure."""

from __future__ import annotations

import io
import subprocess
from operator import ne
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from programs import EXIFTOOL, EXIV2, IMAGEMAGICK, JPEGTRAN, Program

from isp_meta.carriers import extract as extract_any
from isp_meta.carriers import insert as insert_any
from isp_meta.carriers import scan_digest as digest_any
from isp_meta.carriers import strip as strip_any
from isp_meta.carriers.jpeg import extract, insert, scan_digest, strip
from isp_meta.errors import PayloadMissing

KINDS = ("baseline", "progressive", "4:2:0", "gray", "exif and icc")


def run(tool: Program, *arguments: str | Path) -> bytes:
    result = subprocess.run([tool.path(), *map(str, arguments)], capture_output=True)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout


def pixels(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)))


@pytest.fixture(params=KINDS)
def jpeg(request, jpegs):
    return jpegs[request.param]


@pytest.fixture
def photo(jpeg, long_payload, tmp_path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(insert(jpeg, long_payload))
    return path


def test_exiftool_edits_keep_it(photo, jpeg, long_payload):
    run(EXIFTOOL, "-q", "-overwrite_original", "-Artist=Somebody", photo)
    assert run(EXIFTOOL, "-s3", "-Artist", photo).strip() == b"Somebody"
    edited = photo.read_bytes()
    assert extract(edited) == long_payload
    assert scan_digest(edited) == scan_digest(jpeg)


def test_exiftool_extracts_it_by_name(photo, jpeg, long_payload, tmp_path):
    assert run(EXIFTOOL, "-b", "-IspMetaData", photo) == long_payload
    plain = tmp_path / "plain.jpg"
    plain.write_bytes(jpeg)
    complaints = [run(EXIFTOOL, "-validate", "-warning", "-s3", path) for path in (plain, photo)]
    assert complaints[0] == complaints[1]


def test_exiv2_edits_keep_it(photo, jpeg, long_payload):
    run(EXIV2, "-M", "set Exif.Image.Artist Somebody", photo)
    edited = photo.read_bytes()
    assert b"Somebody" in edited
    assert extract(edited) == long_payload
    assert scan_digest(edited) == scan_digest(jpeg)


@pytest.mark.parametrize("option", ["-optimize", "-progressive"])
def test_lossless_recompression_keeps_it_and_the_pixels(option, photo, jpeg, long_payload):
    changed = run(JPEGTRAN, "-copy", "all", option, photo)
    assert extract(changed) == long_payload
    assert np.array_equal(pixels(changed), pixels(jpeg))


def test_re_encoding_keeps_it_while_pixels_change(photo, jpeg, long_payload, tmp_path):
    run(IMAGEMAGICK, photo, "-quality", "70", tmp_path / "again.jpg")
    changed = (tmp_path / "again.jpg").read_bytes()
    assert extract(changed) == long_payload
    assert scan_digest(changed) != scan_digest(jpeg)


def test_resizing_keeps_a_payload_that_is_no_longer_this_pictures(photo, long_payload, tmp_path):
    run(IMAGEMAGICK, photo, "-resize", "50%", tmp_path / "small.jpg")
    changed = (tmp_path / "small.jpg").read_bytes()
    assert extract(changed) == long_payload
    assert pixels(changed).shape[:2] == (45, 60)


@pytest.mark.parametrize("tool", [JPEGTRAN, IMAGEMAGICK, EXIFTOOL, "pillow"])
def test_stripping_takes_it_away(tool, photo, tmp_path):
    stripped = tmp_path / "stripped.jpg"
    if tool == JPEGTRAN:
        stripped.write_bytes(run(JPEGTRAN, "-copy", "none", photo))
    elif tool == IMAGEMAGICK:
        run(IMAGEMAGICK, photo, "-strip", stripped)
    elif tool == EXIFTOOL:
        run(EXIFTOOL, "-q", "-all=", "-o", stripped, photo)
    else:
        Image.open(photo).save(stripped, "JPEG")
    with pytest.raises(PayloadMissing):
        extract(stripped.read_bytes())


def test_what_tools_wrote_can_be_stripped(photo, long_payload):
    run(EXIFTOOL, "-q", "-overwrite_original", "-Artist=Somebody", photo)
    stripped = strip(photo.read_bytes())
    assert long_payload[:1000] not in stripped
    with pytest.raises(PayloadMissing):
        extract(stripped)


@pytest.mark.parametrize("kind", ["rgb", "palette", "16 bits", "animation"])
def test_png_chunks_survive_edits_of_tags_and_go_without_a_trace(kind, pngs, tmp_path):
    payload = np.random.default_rng(5).bytes(5_000_000)
    edited = []
    for name, png in (("carrying", insert_any(pngs[kind], payload)), ("plain", pngs[kind])):
        path = tmp_path / f"{name}.png"
        path.write_bytes(png)
        run(EXIFTOOL, "-q", "-overwrite_original", "-Artist=Somebody", path)
        edited.append(path.read_bytes())
    assert extract_any(edited[0]) == payload
    assert strip_any(edited[0]) == edited[1]
    assert run(IMAGEMAGICK, tmp_path / "carrying.png", "rgb:-") == run(
        IMAGEMAGICK, tmp_path / "plain.png", "rgb:-"
    )


@pytest.mark.parametrize("kind", ["little", "big", "tiles", "16 bits", "two pages"])
@pytest.mark.parametrize("tool", [EXIFTOOL, EXIV2])
def test_tiff_tags_survive_edits_of_tags(tool, kind, tiffs, long_payload, tmp_path):
    path = tmp_path / "photo.tif"
    path.write_bytes(insert_any(tiffs[kind], long_payload))
    if tool == EXIFTOOL:
        run(EXIFTOOL, "-q", "-overwrite_original", "-Artist=Somebody", path)
    else:
        run(EXIV2, "-M", "set Exif.Image.Artist Somebody", path)
    edited = path.read_bytes()
    assert b"Somebody" in edited
    assert extract_any(edited) == long_payload
    assert digest_any(edited) == digest_any(tiffs[kind])
    stripped = strip_any(edited)
    assert long_payload[:1000] not in stripped
    with pytest.raises(PayloadMissing):
        extract_any(stripped)
    with (
        tifffile.TiffFile(io.BytesIO(stripped)) as here,
        tifffile.TiffFile(io.BytesIO(tiffs[kind])) as there,
    ):
        for one, other in zip(here.pages, there.pages, strict=True):
            assert np.array_equal(one.asarray(), other.asarray())


def test_comments_survive_exiftool_exiv2_and_jpegtran(jpegs, long_payload, tmp_path):
    for payload in (long_payload, b"short, ends in zeros" + bytes(3)):
        path = tmp_path / "photo.jpg"
        path.write_bytes(insert(jpegs["baseline"], payload, place="com"))
        assert extract(run(JPEGTRAN, "-copy", "all", "-optimize", path)) == payload
        run(EXIV2, "-M", "set Exif.Image.Artist Somebody", path)
        assert extract(path.read_bytes()) == payload
        run(EXIFTOOL, "-q", "-overwrite_original", "-Artist=Other", path)
        assert extract(path.read_bytes()) == payload


@pytest.mark.parametrize("place", ["app11", "com"])
@pytest.mark.parametrize("tool", [EXIFTOOL, EXIV2, JPEGTRAN])
@pytest.mark.parametrize("kind", ["baseline", "exif and icc", "ultra hdr", "c2pa"])
def test_stripped_after_an_edit_it_is_the_edited_plain_file(
    kind, tool, place, jpegs, long_payload, tmp_path
):
    edited = []
    for name, jpeg in (
        ("carrying", insert(jpegs[kind], long_payload, place=place)),
        ("plain", jpegs[kind]),
    ):
        path = tmp_path / f"{name}.jpg"
        path.write_bytes(jpeg)
        if tool == EXIFTOOL:
            run(EXIFTOOL, "-q", "-overwrite_original", "-Artist=Somebody", path)
        elif tool == EXIV2:
            run(EXIV2, "-M", "set Exif.Image.Artist Somebody", path)
        else:
            path.write_bytes(run(JPEGTRAN, "-copy", "all", "-optimize", path))
        edited.append(path.read_bytes())
    assert extract(edited[0]) == long_payload
    stripped = strip(edited[0])
    if (kind, tool, place) == ("ultra hdr", EXIV2, "com"):
        # It lengthens a comment by a byte, and the index of pictures does not hear of it.
        assert (len(stripped), sum(map(ne, stripped, edited[1]))) == (len(edited[1]), 1)
    else:
        assert stripped == edited[1]
