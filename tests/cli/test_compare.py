from __future__ import annotations

import json
import math

import pytest
from PIL import Image

from isp_meta.comparison import EDITS

from .test_recover import edited


def test_figures_of_a_jpeg(run, photo, small):
    result = run("compare", small / "photo.dng", photo, "--json")
    assert (result.code, result.lines) == (0, [])
    figures = json.loads(result.out)
    assert figures["psnr"] > 28
    assert figures["psnr_mosaic"] > 28
    assert figures["psnr_unclipped"] > 28
    assert 0.8 < figures["ssim"] <= 1
    assert 0 < figures["unclipped"] <= 1
    assert 0 < figures["bits_per_pixel"] < 2
    assert (figures["width"], figures["height"]) == (256, 192)


def test_figures_are_shown(run, photo, small):
    figures = json.loads(run("compare", small / "photo.dng", photo, "--json").out)
    shown = run("compare", small / "photo.dng", photo).out
    assert f"{figures['psnr']:.2f} dB" in shown
    assert f"{figures['ssim']:.4f}" in shown
    assert f"{figures['bits_per_pixel']:.3f} bits a pixel" in shown


def test_stops_are_told_from_white_down(run, photo, small):
    figures = json.loads(run("compare", small / "photo.dng", photo, "--json").out)
    shown = run("compare", small / "photo.dng", photo, "--stops").out
    first = figures["stops"][0]
    times = f"{first['error'] / first['grain']:.1f}"
    row = next(
        line for line in shown.splitlines() if line.split()[:2] == [str(-first["below"]), "to"]
    )
    assert row.split()[-1] == times
    assert shown.count(" EV ") == len(figures["stops"]) > 2


def test_errors_after_edits_are_told_where_asked_for(run, photo, small):
    assert json.loads(run("compare", small / "photo.dng", photo, "--json").out)["edits"] == []
    figures = json.loads(run("compare", small / "photo.dng", photo, "--edits", "--json").out)
    shown = run("compare", small / "photo.dng", photo, "--edits").out
    assert [edit["name"] for edit in figures["edits"]] == [edit.name for edit in EDITS]
    for edit in figures["edits"]:
        (row,) = (line for line in shown.splitlines() if line.strip().startswith(edit["name"]))
        told = f"{edit['psnr']:.2f} dB", f"{edit['delta_e']:.2f}", f"{edit['blotches']:.2f}"
        assert all(figure in row for figure in told)
        assert 0 < edit["blotches"] < edit["delta_e"]


@pytest.mark.parametrize(
    "arguments", [(), ("--linear",), ("--format", "tiff"), ("--format", "npy")]
)
def test_recovered_files_compare_like_their_jpeg(run, photo, small, tmp_path, arguments):
    out = tmp_path / "out"
    out.mkdir()
    assert run("recover", photo, "-o", out, *arguments).code == 0
    (path,) = out.iterdir()
    expected, figures = (
        json.loads(run("compare", small / "photo.dng", recovered, "--json").out)
        for recovered in (photo, path)
    )
    assert figures["bits_per_pixel"] is None
    # Of a mosaic only what it holds of each pixel is left.
    name = "psnr" if arguments else "psnr_mosaic"
    assert math.isclose(figures[name], expected[name], abs_tol=0.05)


def test_error_map(run, photo, small, tmp_path):
    raw, path = small / "photo.dng", tmp_path / "map.png"
    assert run("compare", raw, photo, "--map", path).code == 0
    with Image.open(path) as picture:
        assert (picture.size, picture.mode) == ((256, 192), "RGB")
    assert run("compare", raw, photo, "--map", path).failed(1, f"{path}: exists already")
    assert run("compare", raw, photo, "--map", path, "--overwrite").code == 0
    before = photo.read_bytes()
    result = run("compare", raw, photo, "--map", photo, "--overwrite")
    assert result.failed(1, f"{photo}: is the file")
    assert photo.read_bytes() == before


def test_pictures_that_do_not_fit(run, photo, small, tmp_path, make_frame):
    from isp_meta import embed

    other = embed(make_frame(40, 50), tmp_path / "other.jpg").path
    raw = small / "photo.dng"
    assert run("compare", raw, other).failed(5, f"{other}: has 50x40 pixels")
    assert run("compare", photo, photo).failed(8, f"{photo}: ", "not a raw file")
    assert run("compare", raw, raw).code == 0
    assert run("compare", raw, tmp_path / "a.png").failed(1, "a.png")
    edited(photo)
    assert run("compare", raw, photo).failed(5, f"{photo}: ", "edited")


def test_equal_pictures_have_no_finite_psnr(run, small):
    figures = json.loads(run("compare", small / "photo.dng", small / "photo.dng", "--json").out)
    assert figures["psnr"] is None
    assert figures["ssim"] == pytest.approx(1)
