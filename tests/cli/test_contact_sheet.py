import numpy as np
from PIL import Image

from isp_meta import presets, read_raw
from isp_meta.pictures import contact_sheet, stage_pictures


def test_writes_what_leaves_each_stage_and_nothing_else(run, raw, tmp_path, names):
    path = tmp_path / "sheet.jpg"
    result = run("render", raw, "--contact-sheet", path, "--preset", "camera")
    assert (result.code, result.lines) == (0, [])
    assert names() == ["photo.dng", "sheet.jpg"]
    sheet = contact_sheet(stage_pictures(presets.camera(), read_raw(raw), 400), 4, 1600)
    with Image.open(path) as written:
        assert written.format == "JPEG"
        assert result.out.startswith(f"{path}: {written.width}x{written.height}, ")
        error = np.abs(np.subtract(np.array(written), np.array(sheet), dtype=float))
    assert error.mean() < 2


def test_stops_where_it_is_told(run, raw, tmp_path):
    for name in ("Demosaic", "Gamma"):
        path = tmp_path / f"{name}.jpg"
        assert run("render", raw, "--contact-sheet", path, "--until", name).code == 0
    with Image.open(tmp_path / "Demosaic.jpg") as few, Image.open(tmp_path / "Gamma.jpg") as all_:
        assert few.height < all_.height


def test_a_wrong_call_is_one_line(run, raw, tmp_path, names):
    path = tmp_path / "sheet.jpg"
    sheet = ("--contact-sheet", path)
    assert run("render", raw, "other.dng", *sheet).failed(2, "one RAW")
    assert run("render", raw, *sheet, "-o", "a.jpg").failed(2, "neither -o nor --profile")
    assert run("render", raw, *sheet, "--profile").failed(2, "neither -o nor --profile")
    assert run("render", raw, "--contact-sheet", "sheet.png").failed(2, "sheet.png", ".jpg")
    assert run("render", tmp_path / "none.dng", *sheet).failed(1, "none.dng")
    assert names() == ["photo.dng"]


def test_replaces_nothing_unasked(run, raw, tmp_path):
    path = tmp_path / "sheet.jpg"
    path.write_bytes(b"mine")
    assert run("render", raw, "--contact-sheet", path).failed(1, "sheet.jpg", "--overwrite")
    assert path.read_bytes() == b"mine"
    assert run("render", raw, "--contact-sheet", path, "--overwrite").code == 0
    renamed = raw.rename(raw.with_suffix(".jpg"))
    before = renamed.read_bytes()
    result = run("render", renamed, "--contact-sheet", renamed, "--overwrite")
    assert result.failed(1, "made from")
    assert renamed.read_bytes() == before


def test_a_pipeline_that_cannot_start_is_told(run, raw, tmp_path):
    part, path = tmp_path / "part.toml", tmp_path / "sheet.jpg"
    part.write_text('[[stage]]\nname = "Gamma"\n')
    assert run("render", raw, "--pipeline", part, "--contact-sheet", path).failed(
        1, "stage 0 (Gamma) needs rgb"
    )
    part.write_text("stage = []\n")
    result = run("render", raw, "--pipeline", part, "--contact-sheet", path)
    assert result.code == 1
    assert not path.exists()
