from __future__ import annotations

import json
import shutil

import pytest
from PIL import Image

from isp_meta import read_metadata
from isp_meta.carriers import jpeg as jpeg_carrier
from isp_meta.carriers.sidecar import sidecar_path
from isp_meta.codec import Steps


def test_writes_beside_the_raw_file(run, raw, names):
    result = run("embed", raw)
    assert (result.code, result.lines) == (0, [])
    assert names() == ["photo.dng", "photo.jpg"]
    jpeg = raw.with_suffix(".jpg")
    metadata = read_metadata(jpeg)
    assert metadata.match == "exact"
    assert metadata.payload.steps == Steps()
    assert metadata.payload.sampler == "UniformSampler"
    assert result.out.startswith(f"{jpeg}: 256x192, JPEG ")
    assert f"{metadata.size:,} bytes" in result.out
    assert result.out.count("\n") == 1


def test_output_is_a_file_or_a_folder(run, raw, tmp_path):
    assert run("embed", raw, "-o", tmp_path / "other.jpeg").code == 0
    assert read_metadata(tmp_path / "other.jpeg").match == "exact"
    (tmp_path / "folder").mkdir()
    assert run("embed", raw, "--output", tmp_path / "folder").code == 0
    assert read_metadata(tmp_path / "folder" / "photo.jpg").match == "exact"


@pytest.mark.parametrize(
    ("name", "sampler", "cell"),
    [
        ("superpixel", "SuperpixelSampler", 8),
        ("uniform", "UniformSampler", 8),
        ("random", "RandomSampler", 0),
    ],
)
def test_samplers(run, raw, name, sampler, cell):
    assert run("embed", raw, "--sampler", name).code == 0
    payload = read_metadata(raw.with_suffix(".jpg")).payload
    assert (payload.sampler, payload.samples.cell) == (sampler, cell)
    assert len(payload.samples) == pytest.approx(256 * 192 / 64, rel=0.15)


def test_effort(run, raw, tmp_path):
    found = {}
    for effort in (0, 1, 2):
        path = tmp_path / f"{effort}.jpg"
        assert run("embed", raw, "-o", path, "--effort", effort).code == 0
        samples = read_metadata(path).payload.samples
        found[effort] = samples.model is not None, samples.control
        assert run("recover", path).code == 0
    assert found == {0: (False, False), 1: (True, True), 2: (True, True)}
    assert "values           control" in run("inspect", tmp_path / "1.jpg").out
    assert run("embed", raw, "--effort", 3).code == 2


def test_measured_values(run, raw, tmp_path):
    path = tmp_path / "a.jpg"
    assert run("embed", raw, "-o", path, "--values", "measured").code == 0
    samples = read_metadata(path).payload.samples
    assert (samples.model is not None, samples.control) == (True, False)
    assert "values           measured" in run("inspect", path).out
    done = run("embed", raw, "-o", tmp_path / "b.jpg", "--values", "control", "--effort", 0)
    assert done.failed(2, "values must be measured at effort 0")


def test_quality(run, raw, tmp_path):
    sizes = []
    for quality in (60, 95):
        path = tmp_path / f"{quality}.jpg"
        assert run("embed", raw, "-o", path, "--quality", quality).code == 0
        sizes.append(len(jpeg_carrier.strip(path.read_bytes())))
    assert sizes[0] < sizes[1] / 2


@pytest.mark.parametrize(
    ("goal", "most"), [(("--bpp", 1.0), 6144), (("--size", "5KB"), 5000), (("--size", 6000), 6000)]
)
def test_metadata_of_a_size(run, raw, goal, most):
    assert run("embed", raw, *goal, "--sampler", "uniform").code == 0
    metadata = read_metadata(raw.with_suffix(".jpg"))
    assert 0.8 * most < metadata.size <= most
    assert metadata.payload.sampler == "UniformSampler"


def test_metadata_of_a_quality(run, raw):
    assert run("embed", raw, "--psnr", 25).code == 0
    assert len(read_metadata(raw.with_suffix(".jpg")).payload.samples) < 256 * 192 / 64
    text = "1000 dB cannot be reached"
    assert run("embed", raw, "--psnr", 1000, "--overwrite").failed(1, text)


@pytest.mark.parametrize(
    "options",
    [
        ("--bpp", 1, "--size", "1KB"),
        ("--bpp", 1, "--psnr", 40),
        ("--bpp", 0),
        ("--psnr", -3),
        ("--size", "much"),
        ("--size", "0KB"),
        ("--cell", 8),
        ("--depth", 12),
        ("--quality", 0),
        ("--quality", 101),
        ("--sampler", "best"),
        ("--carrier", "exif"),
    ],
)
def test_wrong_options_are_a_wrong_call(run, raw, names, options):
    result = run("embed", raw, *options)
    assert result.code == 2
    assert names() == ["photo.dng"]


def test_carriers(run, raw, names):
    jpeg = raw.with_suffix(".jpg")
    for carrier in ("app11", "com"):
        assert run("embed", raw, "--carrier", carrier, "--overwrite").code == 0
        assert read_metadata(jpeg).source == jpeg
        assert names() == ["photo.dng", "photo.jpg"]
    result = run("embed", raw, "--carrier", "sidecar", "--overwrite")
    assert result.code == 0
    assert result.out.rstrip().endswith(f" in {sidecar_path(jpeg)}")
    assert read_metadata(jpeg).source == sidecar_path(jpeg)


def test_png_and_tiff_carry_raw_too(run, raw, tmp_path):
    for name, kind, depth in (("a.png", "PNG", ""), ("b.tif", "TIFF", ""), ("c.png", "PNG", 16)):
        options = ("--depth", depth) if depth else ()
        result = run("embed", raw, "-o", tmp_path / name, *options)
        assert (result.code, result.lines) == (0, [])
        assert result.out.startswith(f"{tmp_path / name}: 256x192, {kind} ")
        assert run("verify", tmp_path / name).code == 0
        assert run("recover", tmp_path / name, "-o", tmp_path / f"{name}.npy").code == 0
        assert json.loads(run("inspect", tmp_path / name, "--json").out)["picture"] == "exact"
    wrong = run("embed", raw, "-o", tmp_path / "d.png", "--carrier", "app11")
    assert wrong.failed(1, "carrier must be chunk or sidecar for")
    wrong = run("embed", raw, "-o", tmp_path / "d.jpg", "--depth", 16)
    assert wrong.failed(1, "takes 8 bits, not 16")
    assert not (tmp_path / "d.png").exists()


@pytest.mark.parametrize("preset", [(), ("--preset", "karaimer-brown")])
@pytest.mark.parametrize(("name", "options"), [("a.tif", ()), ("a.png", ("--depth", "16"))])
def test_pictures_of_16_bits_are_not_rounded_to_8(run, raw, tmp_path, name, options, preset):
    assert run("embed", raw, "-o", tmp_path / name, "--effort", 0, *options, *preset).code == 0
    assert read_metadata(tmp_path / name).codes.unique().numel() > 5000


def test_existing_files_stay(run, raw, names):
    jpeg = raw.with_suffix(".jpg")
    jpeg.write_bytes(b"mine")
    assert run("embed", raw).failed(1, f"{jpeg}: exists already; use --overwrite")
    assert jpeg.read_bytes() == b"mine"
    assert run("embed", raw, "-o", raw, "--overwrite").failed(1, f"{raw}: is the file that")
    assert run("embed", raw, "--overwrite").code == 0
    assert names() == ["photo.dng", "photo.jpg"]


def test_one_that_fails_does_not_stop_the_others(run, raw, tmp_path):
    bad = tmp_path / "bad.dng"
    bad.write_bytes(b"no raw" * 99)
    other = tmp_path / "other.dng"
    shutil.copy(raw, other)
    out = tmp_path / "out"
    out.mkdir()
    result = run("embed", bad, raw, other, "-o", out)
    assert result.failed(8, f"{bad}: not a raw file")
    assert sorted(path.name for path in out.iterdir()) == ["other.jpg", "photo.jpg"]
    assert result.out.count(": 256x192") == 2


def test_several_files_need_a_folder_and_names_of_their_own(run, raw, tmp_path, names):
    twin = tmp_path / "photo.nef"
    shutil.copy(raw, twin)
    assert run("embed", raw, twin, "-o", tmp_path / "a.jpg").failed(2, "several files need one")
    assert run("embed", raw, twin).failed(2, "photo.jpg: would be written twice")
    assert run("embed", raw, raw, "--overwrite").failed(2, "would be written twice")
    assert names() == ["photo.dng", "photo.nef"]


def test_jpeg_of_the_scene(run, raw, small, tmp_path):
    camera = tmp_path / "camera.jpg"
    plain = jpeg_carrier.strip((small / "photo.jpg").read_bytes())
    camera.write_bytes(plain)
    assert run("embed", raw, "--jpeg", camera, "-o", tmp_path / "a.jpg").code == 0
    assert jpeg_carrier.strip((tmp_path / "a.jpg").read_bytes()) == plain
    assert run("embed", raw, raw, "--jpeg", camera).failed(2, "--jpeg takes one RAW")


def test_jpeg_of_another_program_is_laid_over_the_raw(run, raw, small, tmp_path):
    camera = tmp_path / "camera.jpg"
    with Image.open(small / "photo.jpg") as picture:
        turned = picture.transpose(Image.Transpose.ROTATE_180)
    turned.crop((7, 5, 256, 192)).save(camera, quality=95)
    result = run("embed", raw, "--jpeg", camera, "-o", tmp_path / "a.jpg")
    assert result.code == 0
    assert f"{camera}: turned as Orientation 3, from row 5, column 7, gradients alike" in result.out
    turned.resize((200, 150)).save(camera)
    again = "embed", raw, "--jpeg", camera, "-o", tmp_path / "b.jpg"
    assert run(*again).failed(5, f"{camera}: ", "resized")
    assert run(*again, "--force").failed(5, f"{camera}: ")
    assert not (tmp_path / "b.jpg").exists()
    Image.effect_noise((256, 192), 90).convert("RGB").save(camera)
    assert run(*again).failed(5, f"{camera}: does not show what the raw shows")
    assert run(*again, "--force").code == 0


def test_json(run, raw):
    jpeg = raw.with_suffix(".jpg")
    report = json.loads(run("embed", raw, "--json").out)
    assert report["picture"] == str(jpeg)
    assert report["sidecar"] is None
    assert (report["width"], report["height"]) == (256, 192)
    assert report["samples"] == len(read_metadata(jpeg).payload.samples)
    assert report["metadata_bytes"] == read_metadata(jpeg).size
    assert report["picture_bytes"] <= jpeg.stat().st_size - report["metadata_bytes"]


def test_an_enhancement_is_as_fine_as_asked_for(run, raw):
    sizes = []
    for step in (0, 0.0625, 0.015625):
        assert run("embed", raw, "--enhancement", step, "--overwrite").code == 0
        values = json.loads(run("inspect", raw.with_suffix(".jpg"), "--json").out)
        assert values["enhancement_step"] == step
        sizes.append(values["enhancement_bytes"])
    assert sizes[0] == 0 < sizes[1] < sizes[2] < values["bytes"]
    assert run("embed", raw, "--enhancement", 3, "--overwrite").code == 2
    result = run("embed", raw, "--enhancement", 0.0001, "--overwrite")
    assert result.failed(2, "step must be 0.000488281 to 1, not 0.0001")
