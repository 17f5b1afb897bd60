import pytest
import torch

from isp_meta import io, read_raw, unprocess
from isp_meta.camera import QUAD_BAYER, XTRANS
from isp_meta.presets.random_cameras import random_camera


@pytest.fixture
def make_picture(make_frame, tmp_path):
    def make(height, width, name="photo.png", orientation=1):
        frame = make_frame(height, width, orientation=orientation)
        srgb = (frame.codes / 4095).expand(3, -1, -1) * torch.tensor([1.0, 0.8, 0.6]).view(3, 1, 1)
        encode = io.encode_png if name.endswith("png") else io.encode_jpeg
        path = tmp_path / name
        path.write_bytes(encode(srgb, camera=frame.camera))
        return path

    return make


def decoded(path):
    return io.decode_image(path.read_bytes(), str(path)).float() / 255


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 300), (301, 36)])
def test_the_file_holds_what_unprocessing_makes(run, make_picture, tmp_path, size):
    picture, path = make_picture(*size), tmp_path / "raw.dng"
    result = run("unprocess", picture, "-o", path)
    assert (result.code, result.lines) == (0, [])
    assert result.out.startswith(f"{path}: {size[1]}x{size[0]}, isp_meta random, ")
    made = unprocess(decoded(picture), None, torch.Generator().manual_seed(0))
    read = read_raw(path)
    assert torch.equal(read.codes, made.codes)
    assert read.camera.cfa == made.camera.cfa
    assert read.camera.black_level == made.camera.black_level
    assert read.camera.as_shot_neutral == pytest.approx(made.camera.as_shot_neutral, abs=1e-5)
    assert read.camera.color_matrix == pytest.approx(made.camera.color_matrix, abs=1e-5)


def test_embed_reads_it(run, make_picture, tmp_path):
    path = tmp_path / "raw.dng"
    assert run("unprocess", make_picture(96, 128, "photo.jpg", 6), "-o", path).code == 0
    assert read_raw(path).camera.orientation == 6
    assert run("embed", path).code == 0
    assert run("verify", path.with_suffix(".jpg")).code == 0


def test_a_camera_by_name(run, make_picture, tmp_path):
    picture, path = make_picture(32, 48), tmp_path / "raw.dng"
    for name in ("SONY SLT-A57", "Phase One P 45", "OLYMPUS IMAGING CORP. E-PL6"):
        options = ["--camera", name, "--no-noise", "--overwrite"]
        result = run("unprocess", picture, "-o", path, *options)
        assert result.code == 0
        assert f"{name}, RGGB" in result.out
        assert "noise none" in result.out
        camera = read_raw(path).camera
        assert f"{camera.make} {camera.model}" == name
    assert run("unprocess", picture, "-o", path, "--overwrite", "--camera", "Nobody 1").failed(
        1, "'Nobody 1'", "LibRaw"
    )
    assert run("unprocess", picture, "-o", path, "--overwrite", "--camera", "").failed(1, "''")


@pytest.mark.parametrize(
    ("given", "cfa"), [("xtrans", XTRANS), ("Quad", QUAD_BAYER), ("w", "W"), ("RGB", "RGB")]
)
def test_a_color_filter_by_name(run, make_picture, tmp_path, given, cfa):
    picture, path = make_picture(48, 50), tmp_path / "raw.dng"
    assert run("unprocess", picture, "-o", path, "--cfa", given).code == 0
    made = unprocess(
        decoded(picture),
        (camera := random_camera(generator := torch.Generator().manual_seed(0))).replace(
            cfa=cfa, black_level=camera.black_level[:1]
        ),
        generator,
    )
    read = read_raw(path)
    assert read.camera.cfa == cfa
    assert torch.equal(read.codes, made.codes)
    if cfa == "W":
        assert torch.equal(made.raw[0], made.raw[2])


def test_the_seed_decides(run, make_picture, tmp_path):
    picture = make_picture(32, 48)
    for name, options in (("a", []), ("b", ["--seed", 0]), ("c", ["--seed", 1])):
        assert run("unprocess", picture, "-o", tmp_path / f"{name}.dng", *options).code == 0
    files = [(tmp_path / f"{name}.dng").read_bytes() for name in "abc"]
    assert files[0] == files[1] != files[2]


def test_a_wrong_call_is_one_line_and_leaves_nothing(run, make_picture, tmp_path, names):
    picture, path = make_picture(32, 48), tmp_path / "raw.dng"
    tiny = make_picture(31, 48, "tiny.png")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff")
    before = names()
    assert run("unprocess", tiny, "-o", path).failed(1, "tiny.png", "48x31", "32 a side")
    assert run("unprocess", broken, "-o", path).failed(1, "broken.jpg")
    assert run("unprocess", tmp_path / "none.png", "-o", path).failed(1, "none.png")
    assert run("unprocess", picture, "-o", tmp_path / "raw.tif").failed(2, ".dng")
    assert run("unprocess", picture, "-o", path, "--cfa", "RGBW").failed(2, "--cfa", "RGBW")
    path.write_bytes(b"mine")
    assert run("unprocess", picture, "-o", path).failed(1, "--overwrite")
    assert path.read_bytes() == b"mine"
    path.unlink()
    assert names() == before
