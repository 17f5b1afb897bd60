import pytest

from isp_meta import Pipeline, io, presets
from isp_meta.stages import ToneCurve


@pytest.fixture
def picture(run, raw, tmp_path):
    """What a camera with a taste of its own made of the raw file."""
    path = tmp_path / "taste.png"
    taste = presets.minimal().replace("ToneCurve", ToneCurve.filmic(4.0))
    path.write_bytes(io.encode_png(taste(io.read_raw(raw)).srgb))
    return path


def test_writes_a_pipeline_that_renders_alike(run, raw, picture, tmp_path):
    path = tmp_path / "camera.toml"
    result = run("fit", raw, picture, "-o", path)
    assert (result.code, result.lines) == (0, [])
    name, _, rest = result.out.partition(": ")
    before, after = (float(part.split()[0]) for part in rest.split(", ")[:2])
    assert name == str(path)
    assert after > before + 10
    assert rest.split(", ")[2].endswith(" s\n")
    pipeline = Pipeline.from_toml(path)
    assert [type(stage) for stage in pipeline] == [type(stage) for stage in presets.minimal()]
    assert run("render", raw, "--pipeline", path, "-o", tmp_path / "again.png").code == 0


def test_fits_what_is_named_for_as_long_as_asked(run, raw, picture, tmp_path):
    path = tmp_path / "camera.toml"
    named = ["--learn", "ToneCurve", "--learn", "ColorMatrix.matrix", "--steps", 2]
    assert run("fit", raw, picture, "-o", path, *named).code == 0
    bound = presets.minimal().bind(io.read_raw(raw).camera)
    found = Pipeline.from_toml(path)
    assert found.find("WhiteBalance").gains.equal(bound.find("WhiteBalance").gains.float())
    assert not found.find("ColorMatrix").matrix.equal(bound.find("ColorMatrix").matrix.float())


def test_starts_from_a_file_or_another_preset(run, raw, picture, tmp_path):
    start = tmp_path / "start.toml"
    start.write_text(presets.minimal().to_toml())
    path = tmp_path / "camera.toml"
    assert run("fit", raw, picture, "-o", path, "--pipeline", start, "--steps", 1).code == 0
    options = ["--preset", "karaimer-brown", "--steps", 1, "--overwrite"]
    assert run("fit", raw, picture, "-o", path, *options).code == 0
    assert "CameraToWorking" in path.read_text()


def test_a_wrong_call_is_one_line_and_leaves_nothing(run, raw, picture, tmp_path, names):
    path = tmp_path / "camera.toml"
    other = tmp_path / "other.png"
    other.write_bytes(io.encode_png(presets.minimal()(io.read_raw(raw)).srgb.flip(2)))
    small = tmp_path / "small.png"
    small.write_bytes(io.encode_png(presets.minimal()(io.read_raw(raw)).srgb[:, ::2, ::2]))
    before = names()
    assert run("fit", raw, other, "-o", path).failed(5, "other.png", "does not show")
    assert run("fit", raw, small, "-o", path).failed(5, "small.png", "128x96", "256x192")
    assert run("fit", raw, raw, "-o", path).failed(1, "photo.dng")
    assert run("fit", tmp_path / "none.dng", picture, "-o", path).failed(1, "none.dng")
    assert run("fit", raw, picture, "-o", path, "--learn", "Jpeg").failed(1, "there is no Jpeg")
    assert run("fit", raw, picture, "-o", path, "--preset", "x").failed(1, "no preset")
    assert run("fit", raw, picture, "-o", picture).failed(1, "made from")
    assert run("fit", raw, picture).code == 2
    assert names() == before


def test_replaces_nothing_unasked(run, raw, picture, tmp_path):
    path = tmp_path / "camera.toml"
    path.write_text("mine")
    assert run("fit", raw, picture, "-o", path).failed(1, "camera.toml", "--overwrite")
    assert path.read_text() == "mine"
