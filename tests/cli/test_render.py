from io import BytesIO

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from isp_meta import Pipeline, presets, read_raw
from isp_meta.stages import cube_text, identity_lut

LINEAR = """
[[stage]]
name = "BlackLevel"

[[stage]]
name = "Demosaic"
method = "bilinear"

[[stage]]
name = "WhiteBalance"

[[stage]]
name = "CameraToWorking"

[[stage]]
name = "WorkingToDisplay"

[[stage]]
name = "Gamma"
"""


@pytest.fixture
def camera(tmp_path):
    path = tmp_path / "camera.toml"
    path.write_text(LINEAR)
    return path


def test_renders_a_jpeg_beside_the_raw(run, raw, names):
    result = run("render", raw)
    assert (result.code, result.lines) == (0, [])
    assert result.out.startswith(f"{raw.with_suffix('.jpg')}: 256x192, ")
    assert names() == ["photo.dng", "photo.jpg"]
    with Image.open(raw.with_suffix(".jpg")) as picture:
        assert picture.format == "JPEG"
        assert picture.getexif()[274] == 6
        shown = torch.from_numpy(np.array(picture)).movedim(-1, 0) / 255
    srgb = presets.minimal()(read_raw(raw)).srgb
    assert float((shown - srgb).abs().mean()) < 0.01


def test_renders_png_to_the_bit_and_tiff_of_16_bits(run, raw, tmp_path):
    assert run("render", raw, "-o", tmp_path / "a.png").code == 0
    assert run("render", raw, "-o", tmp_path / "a.tif").code == 0
    srgb = presets.minimal()[:-1](read_raw(raw)).srgb
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.getexif()[274] == 6
        png = np.array(picture).astype(np.float32) / 255
    tiff = tifffile.imread(tmp_path / "a.tif")
    assert tiff.dtype == np.uint16
    true = srgb.movedim(0, -1).numpy()
    assert np.abs(png - true).max() <= 0.5001 / 255
    assert np.abs(tiff / 65535 - true).max() <= 0.51 / 65535
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages.first.tags["Orientation"].value == 6


def test_renders_by_a_file(run, raw, camera, tmp_path):
    assert run("render", raw, "--pipeline", camera, "-o", tmp_path / "a.tif").code == 0
    srgb = Pipeline.from_toml(camera)(read_raw(raw)).srgb.movedim(0, -1).numpy()
    assert np.abs(tifffile.imread(tmp_path / "a.tif") / 65535 - srgb).max() <= 0.51 / 65535


def test_the_space_is_the_pictures_and_its_profiles(run, raw, camera, tmp_path):
    for space in ("srgb", "display-p3", "rec2020"):
        path = tmp_path / f"{space}.png"
        assert run("render", raw, "--pipeline", camera, "--space", space, "-o", path).code == 0
    pictures = [Image.open(BytesIO(p.read_bytes())) for p in sorted(tmp_path.glob("*.png"))]
    assert len({p.info["icc_profile"] for p in pictures}) == 3
    assert len({np.array(p).tobytes() for p in pictures}) == 3
    assert run("render", raw, "--space", "rec2020").failed(1, "no WorkingToDisplay")


def test_stops_at_a_stage(run, raw, tmp_path):
    result = run("render", raw, "--until", "Demosaic", "-o", tmp_path / "raw.tif")
    assert result.code == 0
    true = presets.minimal()(read_raw(raw)).raw.movedim(0, -1).numpy()
    assert np.abs(tifffile.imread(tmp_path / "raw.tif") / 65535 - true).max() <= 0.51 / 65535
    assert run("render", raw, "--until", "0").code == 0
    assert tifffile.imread(raw.with_suffix(".tif")).shape == (192, 256)
    assert run("render", raw, "--until", "Demo", "-o", "b.tif").failed(1, "there is no Demo")
    assert run("render", raw, "--until", "Demosaic", "-o", "b.jpg").failed(2, ".tif")


def test_profile_lists_the_stages(run, raw):
    result = run("render", raw, "--profile")
    assert result.code == 0
    names = [line.split()[0] for line in result.out.splitlines()[2:]]
    assert names == [
        "(reading)",
        *[type(s).__name__ for s in presets.minimal()],
        "(writing)",
        "total",
    ]


def test_prints_the_pipeline(run, camera):
    result = run("render", "--print-pipeline", "--pipeline", camera)
    assert result.out == Pipeline.from_toml(camera).to_toml()


def test_replaces_nothing_unasked(run, raw, names):
    raw.with_suffix(".jpg").write_bytes(b"mine")
    assert run("render", raw).failed(1, "photo.jpg", "--overwrite")
    assert raw.with_suffix(".jpg").read_bytes() == b"mine"
    assert run("render", raw, "--overwrite").code == 0
    assert names() == ["photo.dng", "photo.jpg"]
    before = raw.read_bytes()
    renamed = raw.rename(raw.with_suffix(".tif"))
    assert run("render", renamed, "-o", renamed, "--overwrite").failed(1, "made from")
    assert renamed.read_bytes() == before


def test_a_wrong_call_is_one_line(run, raw, tmp_path):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('[[stage]]\nname = "Demosiac"\n')
    assert run("render").failed(2, "name a RAW")
    assert run("render", raw, "-o", "photo.bmp").failed(2, "photo.bmp", ".png")
    assert run("render", raw, "--pipeline", wrong).failed(1, f"{wrong}, line 2", "'Demosaic'")
    assert run("render", raw, "--preset", "maximal").failed(1, "maximal", "minimal")
    assert run("render", raw, "--preset", "minimal", "--pipeline", wrong).failed(1, "not both")
    assert run("render", tmp_path / "none.dng").failed(1, "none.dng")


def test_a_pipeline_without_a_picture_is_told(run, raw, tmp_path):
    part = tmp_path / "part.toml"
    part.write_text('[[stage]]\nname = "BlackLevel"\n')
    assert run("render", raw, "--pipeline", part).failed(1, "gives no finished picture")
    part.write_text('[[stage]]\nname = "Gamma"\n')
    assert run("render", raw, "--pipeline", part).failed(1, "stage 0 (Gamma) needs rgb")


def test_embed_renders_by_a_pipeline_too(run, raw, camera, tmp_path):
    for name, arguments in (("a", []), ("b", ["--pipeline", camera]), ("c", ["--preset", "x"])):
        result = run("embed", raw, "-o", tmp_path / f"{name}.jpg", *arguments)
        assert (result.code == 0) == (name != "c")
    assert (tmp_path / "a.jpg").read_bytes() != (tmp_path / "b.jpg").read_bytes()


def test_a_look(run, raw, tmp_path):
    look = tmp_path / "red.cube"
    look.write_text(cube_text(identity_lut(2) * torch.tensor([1.0, 0.0, 0.0])))
    assert run("render", raw, "--lut", look, "-o", tmp_path / "a.png").code == 0
    assert run("render", raw, "-o", tmp_path / "b.png").code == 0
    with Image.open(tmp_path / "a.png") as red, Image.open(tmp_path / "b.png") as plain:
        assert np.array_equal(np.array(red), np.array(plain) * np.uint8([1, 0, 0]))
    printed = run("render", "--lut", look, "--print-pipeline").out
    assert printed.index('"Gamma"') < printed.index('"Lut3D"') < printed.index('"Quantize"')
    look.write_text("LUT_3D_SIZE 2\n0 0 0\n")
    assert run("render", raw, "--lut", look).failed(1, "red.cube, line 2: ends after 1 of 8")
