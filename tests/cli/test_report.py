from __future__ import annotations

from isp_meta.cli import report as command
from isp_meta.report import build

from .test_recover import edited


def test_writes_a_page(run, photo, small, names):
    result = run("report", photo, "--raw", small / "photo.dng", "--width", "400")
    assert (result.code, result.lines) == (0, [])
    page = photo.with_name("photo-report.html")
    assert result.out == f"{page}: {page.stat().st_size:,} bytes\n"
    assert names() == ["photo-report.html", "photo.jpg"]
    assert "Where it errs" in page.read_text(encoding="utf-8")


def test_errors_are_one_line(run, photo, small, names):
    page = photo.with_name("page.html")
    assert run("report", small / "photo.dng", "-o", page).failed(3, "photo.dng")
    assert run("report", photo, "--raw", photo, "-o", page).failed(8, "not a raw file")
    page.write_text("mine")
    assert run("report", photo, "-o", page).failed(1, "page.html", "--overwrite")
    assert page.read_text() == "mine"
    assert run("report", photo, "-o", photo, "--overwrite").failed(1, "made from")
    assert run("report", photo, "--width", "10").code == 2
    edited(photo)
    assert run("report", photo, "-o", page, "--overwrite").failed(5, "edited")
    assert run("report", photo, "-o", page, "--overwrite", "--force").code == 0
    assert "edited since" in page.read_text(encoding="utf-8")
    assert names() == ["page.html", "photo.jpg"]


def test_the_range_of_width_is_that_of_the_library():
    assert command.LEAST_WIDTH == build.LEAST_WIDTH
    assert command.MOST_WIDTH == build.MOST_WIDTH
