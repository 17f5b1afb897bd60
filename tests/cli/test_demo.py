from __future__ import annotations

from PIL import Image

from isp_meta import io, read_metadata


def test_makes_what_it_names(run, raw, tmp_path):
    out = tmp_path / "out" / "of" / "demo"
    result = run("demo", raw, "-o", out)
    assert (result.code, result.lines) == (0, [])
    wanted = [
        f"photo-{name}{ending}"
        for name in ("superpixel", "uniform")
        for ending in ("-error.png", "-samples.png", ".dng", ".jpg")
    ]
    assert sorted(path.name for path in out.iterdir()) == wanted
    assert result.out.splitlines()[-8:] == [f"  {out / name}" for name in wanted]
    for name in ("superpixel", "uniform"):
        assert read_metadata(out / f"photo-{name}.jpg").match == "exact"
        assert io.read_raw(out / f"photo-{name}.dng").codes.shape == (1, 192, 256)
        for ending, size in (("error", (256, 192)), ("samples", (512, 384))):
            with Image.open(out / f"photo-{name}-{ending}.png") as picture:
                assert picture.size == size


def test_can_run_again(run, raw, tmp_path):
    for _ in range(2):
        assert run("demo", raw, "-o", tmp_path / "out").code == 0


def test_errors_are_one_line(run, raw, tmp_path):
    assert run("demo", tmp_path / "none.dng", "-o", tmp_path).failed(1, "none.dng: there is no")
    assert run("demo", raw, "-o", raw).failed(1, f"{raw}: File exists")
