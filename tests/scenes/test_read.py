import json

import imagecodecs
import numpy as np
import pytest
import torch
from PIL import Image

from isp_meta import IspMetaError, Pipeline, io, presets, unprocess
from isp_meta.data import sample_path
from isp_meta.errors import ImageFileError, PipelineOrderError, RawFileError
from isp_meta.scenes import (
    cameras_of,
    find_scenes,
    linear_camera,
    read_scene,
    render_scene,
    scene_name,
)
from isp_meta.stages import Gamma, gray_world


@pytest.fixture
def pixels():
    """(H, W, 3) of 16 bits, no two channels alike."""
    generator = np.random.default_rng(0)
    light = generator.integers(0, 65536, (12, 20, 1))
    return (light * np.array([0.5, 1.0, 0.25])).astype(np.uint16)


@pytest.fixture
def linear_png(tmp_path, pixels):
    path = tmp_path / "linear.png"
    path.write_bytes(imagecodecs.png_encode(pixels))
    return path


def planes(pixels, full):
    return torch.from_numpy(pixels.astype(np.float32) / full).movedim(-1, 0)


# --- finding


def test_pictures_are_found_in_order_and_the_rest_is_passed_over(tmp_path):
    wanted = ["A.DNG", "a/2.png", "a/b/1.TIF", "b.jpeg", "b10.arw", "b9.cr2"]
    for name in [*wanted, "notes.txt", "1.json", ".hidden.png", ".git/x.png", "a/noext", "x.npy"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    assert [scene_name(path, tmp_path) for path in find_scenes(tmp_path)] == wanted
    alone = tmp_path / "A.DNG"
    assert find_scenes(alone) == [alone]
    assert scene_name(alone, alone) == "A.DNG"


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(ImageFileError, match="holds no pictures"):
        find_scenes(tmp_path)
    with pytest.raises(ImageFileError, match=r"missing.*No such file"):
        find_scenes(tmp_path / "missing")


# --- linear pictures


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_16_bits_are_linear_raw(tmp_path, pixels, linear_png, ending):
    path = tmp_path / f"linear.{ending}"
    if ending == "tif":
        io.write_tiff16(path, planes(pixels, 65535))
    frame = read_scene(path)
    assert frame.filled == {"raw"}
    assert torch.equal(frame.raw, planes(pixels, 65535))
    assert (frame.camera.black_level, frame.camera.white_level) == ((0.0,) * 4, 65535.0)
    assert frame.camera.as_shot_neutral == pytest.approx(
        tuple((gray_world(frame.raw)[1] / gray_world(frame.raw)).tolist()), rel=1e-5
    )


def test_the_json_file_beside_says_neutral_and_camera(linear_png):
    beside = linear_png.with_suffix(".json")
    beside.write_text('{"illuminant_color_raw": [0.4, 0.8, 0.6], "other": 1}')
    camera = read_scene(linear_png).camera
    assert camera.as_shot_neutral == pytest.approx((0.5, 1.0, 0.75))
    beside.write_text('{"make": "SONY", "model": "SLT-A57", "illuminant_color_raw": [1, 2, 1]}')
    named = read_scene(linear_png).camera
    assert named.color_matrix == io.known_camera("SONY", "SLT-A57").color_matrix
    assert named.color_matrix != camera.color_matrix
    assert (named.white_level, named.as_shot_neutral) == (65535.0, (0.5, 1.0, 0.5))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "[" * 100_000,
        '{"illuminant_color_raw": [1, 2]}',
        '{"illuminant_color_raw": [1, 0, 1]}',
        '{"illuminant_color_raw": [1, NaN, 1]}',
        '{"illuminant_color_raw": [1, "2", 1]}',
        '{"illuminant_color_raw": "red"}',
        '{"make": "SONY"}',
        '{"make": 1, "model": 2}',
        '{"make": "Nobody", "model": "None 1"}',
        b"\xff\xfe\x00",
    ],
)
def test_a_json_file_that_makes_no_sense_is_refused(linear_png, text):
    beside = linear_png.with_suffix(".json")
    beside.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RawFileError, match=r"linear\.json|Nobody"):
        read_scene(linear_png)


def test_a_black_picture_has_a_camera(tmp_path):
    camera = linear_camera(tmp_path / "black.png", torch.zeros(3, 1, 1))
    assert camera.as_shot_neutral == (1.0, 1.0, 1.0)


# --- other kinds


@pytest.mark.parametrize("ending", ["png", "tif", "jpg"])
def test_8_bits_are_srgb(tmp_path, pixels, ending):
    path = tmp_path / f"shown.{ending}"
    Image.fromarray((pixels >> 8).astype(np.uint8)).save(path)
    frame = read_scene(path)
    again = read_scene(path)
    assert frame.filled == {"raw"}
    assert torch.equal(frame.raw, again.raw)
    assert frame.camera == again.camera
    shown = io.decode_image(path.read_bytes(), path.name).float() / 255
    generator = torch.Generator().manual_seed(7)
    expected = unprocess(shown, None, torch.Generator().manual_seed(7), noise=None)
    given = read_scene(path, generator=generator)
    assert torch.equal(given.raw, expected.raw)
    assert given.camera == expected.camera
    other = path.rename(tmp_path / f"other.{ending}")
    assert read_scene(other).camera != frame.camera


def test_a_raw_file_is_demosaiced_as_embedding_does_it():
    frame = read_scene(sample_path())
    expected = presets.minimal()(io.read_raw(sample_path()))
    assert torch.equal(frame.raw, expected.raw)
    assert frame.camera == expected.camera
    assert frame.filled == {"raw"}


def test_a_linear_dng_is_read_as_it_is(tmp_path, make_frame):
    frame = presets.minimal()(make_frame(16, 24))
    io.write_dng(tmp_path / "linear.dng", frame, linear=True)
    read = read_scene(tmp_path / "linear.dng")
    assert read.raw == pytest.approx(frame.raw, abs=0.6 / 4031)  # of its 12 bits
    assert read.camera.as_shot_neutral == pytest.approx(frame.camera.as_shot_neutral, abs=1e-5)


def test_shrinking_averages_light(linear_png, pixels):
    frame = read_scene(linear_png, shrink=5)
    blocks = planes(pixels, 65535)[:, :10].double().unflatten(1, (2, 5)).unflatten(3, (4, 5))
    assert torch.allclose(frame.raw.double(), blocks.mean((2, 4)), atol=1e-6)
    with pytest.raises(ImageFileError, match="smaller than a block"):
        read_scene(linear_png, shrink=13)
    with pytest.raises(ValueError, match="shrink"):
        read_scene(linear_png, shrink=0)


@pytest.mark.parametrize("ending", ["png", "tif", "jpg", "dng", "arw"])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xff\xff\xff\xff\xff\xff\xff\x10\x02\0\0\0",
        b"II*\0\x08\0\0\0",
        bytes(range(256)),
    ],
)
def test_hostile_bytes_are_refused_by_name(tmp_path, ending, data):
    path = tmp_path / f"odd.{ending}"
    path.write_bytes(data)
    with pytest.raises(IspMetaError, match=r"odd\."):
        read_scene(path)


def test_gray_and_transparent_16_bit_pictures_are_refused(tmp_path, pixels):
    for name, array in {
        "gray": pixels[..., 0].copy(),
        "alpha": np.dstack([pixels, pixels[..., 0]]),
    }.items():
        path = tmp_path / f"{name}.png"
        path.write_bytes(imagecodecs.png_encode(array))
        with pytest.raises(RawFileError, match=f"{name}.png: not supported: it is not 16-bit RGB"):
            read_scene(path)


def test_a_cut_off_linear_picture_is_refused(linear_png):
    linear_png.write_bytes(linear_png.read_bytes()[:-200])
    with pytest.raises(RawFileError, match=r"linear\.png"):
        read_scene(linear_png)


# --- rendering


@pytest.mark.parametrize("name", presets.__all__)
def test_every_preset_renders_every_kind(tmp_path, make_frame, linear_png, pixels, name):
    Image.fromarray((pixels >> 8).astype(np.uint8)).save(tmp_path / "shown.png")
    frame = make_frame(32, 48)
    io.write_dng(tmp_path / "raw.dng", frame.replace(raw=presets.minimal()(frame).raw))
    linear_png.with_suffix(".json").write_text(
        json.dumps({"illuminant_color_raw": [1.08, 1.0, 0.43]})
    )
    for file in ("linear.png", "shown.png", "raw.dng"):
        scene = read_scene(tmp_path / file)
        shown = render_scene(scene, getattr(presets, name)())
        assert shown.filled == {"raw", "srgb"}
        assert torch.equal(shown.raw, scene.raw)
        assert shown.srgb.shape == scene.raw.shape
        assert 0 <= shown.srgb.min() < shown.srgb.max() <= 1


def test_rendering_begins_where_raw_is_made(make_frame):
    pipeline = presets.minimal()
    whole = pipeline(make_frame(16, 24))
    scene = whole.replace(codes=None, mosaic=None, rgb=None, srgb=None)
    expected = pipeline.since("WhiteBalance")(scene).srgb
    assert torch.equal(render_scene(scene, pipeline).srgb, expected)
    assert torch.equal(render_scene(scene, pipeline.since("WhiteBalance")).srgb, expected)
    with pytest.raises(PipelineOrderError, match="srgb"):
        render_scene(scene, pipeline.until("Demosaic"))
    with pytest.raises(PipelineOrderError, match=r"stage 0 \(Gamma\) needs rgb"):
        render_scene(scene, Pipeline([Gamma()]))


def test_a_single_pixel(tmp_path):
    for name, value in {"linear.png": np.uint16(30000), "shown.png": np.uint8(120)}.items():
        path = tmp_path / name
        path.write_bytes(imagecodecs.png_encode(np.full((1, 1, 3), value)))
        for preset in (presets.minimal(), presets.karaimer_brown(), presets.camera()):
            assert render_scene(read_scene(path), preset).srgb.shape == (3, 1, 1)


# --- cameras


def test_cameras_are_those_of_raw_and_linear_pictures(tmp_path, pixels):
    linear = tmp_path / "a.png"
    linear.write_bytes(imagecodecs.png_encode(pixels))
    linear.with_suffix(".json").write_text('{"illuminant_color_raw": [0.5, 1.0, 0.25]}')
    (tmp_path / "b.png").write_bytes(imagecodecs.png_encode((pixels >> 8).astype(np.uint8)))
    (tmp_path / "c.dng").symlink_to(sample_path())
    found = cameras_of(tmp_path)
    assert [camera.as_shot_neutral for camera in found] == [
        (0.5, 1.0, 0.25),
        io.read_raw(sample_path()).camera.as_shot_neutral,
    ]
    with pytest.raises(ImageFileError, match="sRGB pictures alone"):
        cameras_of(tmp_path / "b.png")


def test_an_srgb_picture_becomes_raw_of_the_camera_that_is_named(tmp_path, pixels):
    path = tmp_path / "b.png"
    path.write_bytes(imagecodecs.png_encode((pixels >> 8).astype(np.uint8)))
    (camera,) = cameras_of(sample_path())
    frame = read_scene(path, camera=camera)
    assert frame.camera == camera.replace(noise=None)
    assert not torch.equal(frame.raw, read_scene(path).raw)
