from __future__ import annotations

import shutil

import numpy as np
import pytest
import rawpy
import tifffile
from PIL import Image, ImageDraw

from isp_meta import CaptureOptions, embed, io, recover
from isp_meta.baselines import RBFReconstructor
from isp_meta.carriers import jpeg as jpeg_carrier


def edited(photo, size=None):
    """The photo after an editor that keeps metadata: painted over, or of another size."""
    payload = jpeg_carrier.extract(photo.read_bytes())
    with Image.open(photo) as picture:
        picture.load()
    if size is None:
        ImageDraw.Draw(picture).rectangle((0, 0, 70, 70), fill=(255, 0, 255))
    else:
        picture = picture.resize(size)
    picture.save(photo, quality=95)
    photo.write_bytes(jpeg_carrier.insert(photo.read_bytes(), payload))


def test_writes_a_dng_beside_the_jpeg(run, photo, names):
    result = run("recover", photo, "--linear")
    assert (result.code, result.lines) == (0, [])
    assert names() == ["photo-recovered.dng", "photo.jpg"]
    path = photo.with_name("photo-recovered.dng")
    assert result.out == f"{path}: 256x192, dng\n"
    frame = io.read_linear(path)
    assert float((frame.raw - recover(photo).raw).abs().max()) <= 0.51 / (4095 - 64)
    assert frame.camera.orientation == 6


@pytest.mark.parametrize("arguments", [("--format", "tiff"), ("-o", "a.tif"), ("-o", "a.TIFF")])
def test_tiff(run, photo, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    assert run("recover", photo, *arguments).code == 0
    (path,) = (path for path in tmp_path.iterdir() if path != photo)
    codes = tifffile.imread(path)
    assert codes.dtype == np.uint16
    assert np.array_equal(
        codes, (recover(photo).raw.double() * 65535).round().movedim(0, -1).numpy()
    )


@pytest.mark.parametrize("arguments", [("--format", "npy"), ("-o", "a.npy")])
def test_npy(run, photo, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    assert run("recover", photo, *arguments).code == 0
    (path,) = (path for path in tmp_path.iterdir() if path != photo)
    assert np.array_equal(np.load(path), recover(photo).raw.numpy())


def test_mosaic_reopens_as_the_raw_file_does(run, photo, small):
    assert run("recover", photo).code == 0
    path = photo.with_name("photo-recovered.dng")
    with rawpy.imread(str(path)) as again, rawpy.imread(str(small / "photo.dng")) as raw:
        for name in ("black_level_per_channel", "white_level", "camera_whitebalance", "sizes"):
            assert getattr(again, name) == getattr(raw, name)
        assert again.raw_pattern.tolist() == raw.raw_pattern.tolist()
        error = again.raw_image_visible.astype(float) - raw.raw_image_visible
    assert np.sqrt((error**2).mean()) < 0.02 * 4095


def test_method(run, tmp_path, make_frame):
    measured = CaptureOptions(values="measured")
    photo = embed(make_frame(24, 32), tmp_path / "a.jpg", measured).path
    assert run("recover", photo, "-o", tmp_path / "a.npy").code == 0
    assert run("recover", photo, "-o", tmp_path / "b.npy", "--method", "rbf").code == 0
    assert np.array_equal(np.load(tmp_path / "a.npy"), recover(photo).raw.numpy())
    slow = recover(photo, reconstructor=RBFReconstructor())
    assert np.array_equal(np.load(tmp_path / "b.npy"), slow.raw.numpy())
    default = embed(make_frame(64, 80), tmp_path / "c.jpg").path
    assert run("recover", default, "--method", "rbf").failed(1, "c.jpg: ", 'values="measured"')


def test_format_that_cannot_be_told_or_contradicts(run, photo, tmp_path, names):
    result = run("recover", photo, "-o", tmp_path / "a.png")
    assert result.failed(2, "a.png: name it .dng, .tif or .npy")
    assert run("recover", photo, "--linear", "--format", "tiff").failed(2, "linear makes a DNG")
    assert run("recover", photo, "--linear", "-o", tmp_path / "a.npy").failed(
        2, "linear makes a DNG"
    )
    assert names() == ["photo.jpg"]
    assert run("recover", photo, "-o", tmp_path / "plain", "--format", "npy").code == 0
    assert np.load(tmp_path / "plain").shape == (3, 192, 256)


def test_existing_files_stay(run, photo, tmp_path):
    target = tmp_path / "photo-recovered.dng"
    target.write_bytes(b"mine")
    assert run("recover", photo).failed(1, f"{target}: exists already; use --overwrite")
    assert target.read_bytes() == b"mine"
    assert run("recover", photo, "--overwrite").code == 0
    assert io.read_raw(target).codes.shape == (1, 192, 256)
    before = photo.read_bytes()
    result = run("recover", photo, "-o", photo, "--format", "dng", "--overwrite")
    assert result.failed(1, f"{photo}: is the file that")
    assert photo.read_bytes() == before


def test_one_that_fails_does_not_stop_the_others(run, photo, tmp_path):
    paths = [tmp_path / f"{name}.jpg" for name in "abcd"]
    for path in paths:
        shutil.copy(photo, path)
    paths[0].write_bytes(paths[0].read_bytes()[:5000])
    paths[1].with_name("b-recovered.dng").write_bytes(b"mine")
    paths[2].write_bytes(jpeg_carrier.strip(paths[2].read_bytes()))
    result = run("recover", *paths)
    assert result.code == 3
    assert len(result.lines) == 3
    assert "exists already" in result.lines[1]
    assert result.out == f"{tmp_path / 'd-recovered.dng'}: 256x192, dng\n"
    assert (tmp_path / "b-recovered.dng").read_bytes() == b"mine"


def test_several_files_into_a_folder(run, photo, tmp_path):
    other = tmp_path / "other.jpg"
    shutil.copy(photo, other)
    out = tmp_path / "out.npy"
    result = run("recover", photo, other, "-o", out, "--format", "npy")
    assert result.failed(2, "several files need one")
    out.mkdir()
    assert run("recover", photo, other, "-o", out, "--format", "npy").code == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "other-recovered.npy",
        "photo-recovered.npy",
    ]
    assert run("recover", photo, photo, "-o", out).failed(2, "would be written twice")


def test_edited_picture_needs_force(run, photo, names):
    edited(photo)
    assert run("recover", photo).failed(5, f"{photo}: ", "edited", "--force")
    assert names() == ["photo.jpg"]
    assert run("recover", photo, "--force").code == 0


@pytest.mark.parametrize("options", [(), ("--force",)])
def test_resized_picture_is_refused_even_so(run, photo, names, options):
    edited(photo, size=(128, 96))
    assert run("recover", photo, *options).failed(5, f"{photo}: has 128x96 pixels")
    assert names() == ["photo.jpg"]


def test_picture_without_metadata(run, photo):
    photo.write_bytes(jpeg_carrier.strip(photo.read_bytes()))
    assert run("recover", photo).failed(3, f"{photo}: ", "no sidecar photo.jpg.ispmeta")
