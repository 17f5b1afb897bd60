"""inspect, extract and strip."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from isp_meta import read_metadata, recover
from isp_meta.carriers import jpeg as jpeg_carrier
from isp_meta.carriers.sidecar import sidecar_path

from .test_recover import edited


def test_inspect_gives_json(run, photo):
    result = run("inspect", photo, "--json")
    assert (result.code, result.lines) == (0, [])
    values = json.loads(result.out)
    metadata = read_metadata(photo)
    assert 50 < values.pop("editor_bytes") < 200
    assert values.pop("editor_tags") == list(metadata.payload.camera.editing.names)
    assert values == {
        "picture": "exact",
        "source": str(photo),
        "bytes": metadata.size,
        "bits_per_pixel": 8 * metadata.size / (256 * 192),
        "width": 256,
        "height": 192,
        "samples": (count := len(metadata.payload.samples)),
        "share_of_pixels": count / (256 * 192),
        "cell": 8,
        "levels": 256,
        "slope_at_black": 0.125,
        "values": "control",
        "interpolation": "stored",
        "mosaic": "none",
        "mosaic_bytes": 0,
        "enhancement_bytes": metadata.payload.enhancement.size,
        "enhancement_step": 1 / 64,
        "filter_bytes": metadata.payload.adaptive_filter.size,
        "filter_sets_of_weights": 4,
        "sampler": "UniformSampler",
        "demosaic": "malvar",
        "make": "Maker",
        "model": "Model",
        "cfa": "RGGB",
        "black_level": [64.0] * 4,
        "white_level": 4095.0,
        "as_shot_neutral": [0.5, 1.0, 0.625],
        "color_matrix": list(metadata.payload.camera.color_matrix),
        "orientation": 6,
        "exif": {},
    }


def test_inspect_shows_the_same_a_line_each(run, photo):
    values = json.loads(run("inspect", photo, "--json").out)
    lines = run("inspect", photo).out.splitlines()
    assert len(lines) == len(values)
    for line, key in zip(lines, values, strict=True):
        assert line.startswith(key.replace("_", " ") + " ")
    assert f"source           {photo}" in lines
    assert "as shot neutral  0.5 1 0.625" in lines


def test_inspect_tells_a_changed_picture(run, photo):
    edited(photo)
    result = run("inspect", photo, "--json")
    assert (result.code, json.loads(result.out)["picture"]) == (0, "edited")


def test_strip_gives_the_jpeg_back_to_the_byte(run, photo, raw, tmp_path):
    plain = tmp_path / "plain.jpg"
    assert run("embed", raw, "-o", plain, "--carrier", "sidecar").code == 0
    for carrier in ("app11", "com"):
        whole = tmp_path / f"{carrier}.jpg"
        assert run("embed", raw, "-o", whole, "--carrier", carrier).code == 0
        result = run("strip", whole, "-o", tmp_path / f"{carrier}-stripped.jpg")
        assert (result.code, result.lines) == (0, [])
        assert (tmp_path / f"{carrier}-stripped.jpg").read_bytes() == plain.read_bytes()
        removed = whole.stat().st_size - plain.stat().st_size
        assert result.out.endswith(f": {removed:,} bytes removed\n")


def test_strip_in_place_wants_to_be_asked(run, photo, tmp_path, names):
    whole = photo.read_bytes()
    assert run("strip", photo).failed(2, "name a file with -o, or give --in-place")
    both = run("strip", photo, "--in-place", "-o", tmp_path / "b.jpg")
    assert both.failed(2, "name a file with -o, or give --in-place")
    assert run("strip", photo, "-o", photo, "--overwrite").failed(1, "is the file that")
    assert photo.read_bytes() == whole
    photo.chmod(0o640)
    assert run("strip", photo, "--in-place").code == 0
    assert photo.read_bytes() == jpeg_carrier.strip(whole)
    assert (names(), photo.stat().st_mode & 0o777) == (["photo.jpg"], 0o640)
    assert run("strip", photo, "--in-place").out == f"{photo}: 0 bytes removed\n"


def test_strip_takes_several_and_goes_on_after_a_failure(run, photo, tmp_path):
    folder = tmp_path / "stripped"
    folder.mkdir()
    assert run("strip", tmp_path / "none.jpg", photo, "-o", folder).failed(1, "no such file")
    assert list(folder.iterdir()) == []
    (tmp_path / "cut.jpg").write_bytes(photo.read_bytes()[:300])
    result = run("strip", tmp_path / "cut.jpg", photo, "-o", folder)
    assert result.failed(1, "cut.jpg: ")
    assert (folder / "photo.jpg").read_bytes() == jpeg_carrier.strip(photo.read_bytes())
    assert run("strip", photo, photo, "-o", folder).failed(2, "would be written twice")
    assert run("strip", photo, photo, "-o", tmp_path / "x.jpg").failed(2, "is no folder")


def test_extracted_sidecar_serves_after_strip(run, photo):
    expected = recover(photo).raw
    result = run("extract", photo)
    assert (result.code, result.lines) == (0, [])
    beside = sidecar_path(photo)
    assert result.out == f"{beside}: {beside.stat().st_size:,} bytes\n"
    result = run("strip", photo, "--in-place")
    assert (result.code, result.out.endswith(f"removed; {beside} stays\n")) == (0, True)
    assert read_metadata(photo).source == beside
    assert recover(photo).raw.equal(expected)


def test_attached_again_it_is_the_file_that_it_was(run, photo):
    whole = photo.read_bytes()
    assert run("extract", photo).code == 0
    assert run("strip", photo, "--in-place").code == 0
    result = run("attach", photo, "--in-place")
    beside = sidecar_path(photo)
    assert result.out == f"{photo}: {beside.stat().st_size:,} bytes from {beside}, exact\n"
    assert photo.read_bytes() == whole


def test_attach_takes_another_picture_for_a_source(run, photo, tmp_path):
    png = tmp_path / "photo.png"
    Image.open(photo).save(png)
    assert run("attach", png, photo, "-o", tmp_path / "b.png").out.endswith(", exact\n")
    assert read_metadata(tmp_path / "b.png").source == tmp_path / "b.png"
    assert recover(tmp_path / "b.png").raw.equal(recover(photo).raw)


def test_attach_refuses_another_picture(run, photo, tmp_path, names):
    beside = tmp_path / "original.ispmeta"
    assert run("extract", photo, "-o", beside).code == 0
    edited(photo)
    before = photo.read_bytes()
    assert run("attach", photo, beside, "--in-place").failed(5, f"{photo}: ", "edited", "--force")
    assert photo.read_bytes() == before
    assert run("attach", photo, beside, "--in-place", "--force").out.endswith(", edited\n")
    with Image.open(photo) as picture:
        picture.resize((64, 64)).save(photo)
    result = run("attach", photo, beside, "--in-place", "--force")
    assert result.failed(5, f"{photo}: has 64x64 pixels")
    assert names() == ["original.ispmeta", "photo.jpg"]


def test_attach_wants_whole_metadata(run, photo, tmp_path):
    bare = tmp_path / "bare.jpg"
    bare.write_bytes(jpeg_carrier.strip(photo.read_bytes()))
    assert run("attach", photo, "--in-place").failed(1, f"{sidecar_path(photo)}: there is no")
    assert run("attach", photo, bare, "--in-place").failed(3, f"{bare}: ", "carries no raw")
    beside = sidecar_path(photo)
    beside.write_bytes(jpeg_carrier.extract(photo.read_bytes())[:-1] + b"?")
    assert run("attach", photo, "--in-place").failed(4, f"{beside}: ", "damaged")
    assert run("attach", photo).failed(2, "name a file with -o, or give --in-place")


def test_extract_replaces_no_file_unasked_and_never_the_jpeg(run, photo, tmp_path):
    whole = photo.read_bytes()
    other = tmp_path / "other"
    other.write_bytes(b"mine")
    assert run("extract", photo, "-o", other).failed(1, f"{other}: exists already")
    assert other.read_bytes() == b"mine"
    assert run("extract", photo, "-o", other, "--overwrite").code == 0
    assert other.read_bytes() == jpeg_carrier.extract(whole)
    assert run("extract", photo, "-o", photo, "--overwrite").failed(1, f"{photo}: is the file")
    assert photo.read_bytes() == whole


def test_extract_gives_nothing_that_is_damaged(run, photo, tmp_path):
    whole = photo.read_bytes()
    sidecar_path(photo).write_bytes(jpeg_carrier.extract(whole)[:-1] + b"?")
    photo.write_bytes(jpeg_carrier.strip(whole))
    result = run("extract", photo, "-o", tmp_path / "other")
    assert result.failed(4, f"{sidecar_path(photo)}: ", "damaged")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("command", ["inspect", "extract"])
def test_picture_without_metadata(run, photo, names, command):
    photo.write_bytes(jpeg_carrier.strip(photo.read_bytes()))
    assert run(command, photo).failed(3, f"{photo}: ", "carries no raw metadata")
    assert names() == ["photo.jpg"]


@pytest.mark.parametrize("content", [None, b"", b"text" * 99, b"\xff\xd8\xff\xd9"])
@pytest.mark.parametrize("command", ["inspect", "extract", "strip"])
def test_files_that_are_no_jpeg(run, tmp_path, command, content):
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)
    extra = ["-o", tmp_path / "b.jpg"] if command == "strip" else []
    assert run(command, path, *extra).failed(1, f"{path}: ")
    assert not (tmp_path / "b.jpg").exists()
    assert content is None or path.read_bytes() == content
