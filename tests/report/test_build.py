from __future__ import annotations

import hashlib
import json
import re
import shutil
from base64 import b64decode, b64encode

import pytest

from isp_meta import CaptureOptions, embed
from isp_meta.comparison import EDITS, compare
from isp_meta.errors import OutputError, PayloadMissing, PictureMismatch, RawFileError
from isp_meta.report import build_report, write_report


def texts(page):
    """What a reader sees, without markup."""
    body = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def test_says_what_compare_says(photo, report):
    figures, _, _ = compare(photo.with_suffix(".dng"), photo)
    said = texts(report.read_text(encoding="utf-8"))
    assert f"{figures.psnr:.2f} dB" in said
    assert f"{figures.psnr_unclipped:.2f} dB" in said
    assert f"{figures.ssim:.4f}" in said
    assert f"{figures.bits_per_pixel:.3f}" in said
    assert "Where it errs" in said
    edited, _, _ = compare(photo.with_suffix(".dng"), photo, edits=EDITS)
    for edit in edited.edits:
        assert f"{edit.name}: original" in said
        assert f"CIEDE2000 {edit.delta_e:.2f}, of 8×8 means {edit.blotches:.2f}" in said
    assert "is not known" not in said


def test_without_the_raw_file_nothing_is_claimed(photo):
    page = build_report(photo)
    assert "is not known without the original raw file" in texts(page)
    assert " dB" not in texts(page)
    assert "After an edit" not in texts(page)
    assert "Error map" not in page


def test_allows_its_own_style_and_script_alone(photo):
    page = build_report(photo)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page).group(1)
    assert policy.startswith("default-src 'none'; img-src data:; ")
    for kind in ("style", "script"):
        part = re.search(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL).group(1)
        digest = b64encode(hashlib.sha256(part.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"""(src|href)=["'](?!data:)|url\(|@import|https?:""", page)


def test_views_hold_the_light(photo):
    page = build_report(photo)
    views = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL).group(1))
    assert [view["name"] for view in views] == ["Whole picture", "Highlights", "Shadows"]
    # The sensor's picture is turned by a quarter.
    assert (views[0]["height"], views[0]["width"]) == (320, 240)
    assert views[0]["peak"] > 1.1
    assert views[0]["picture"] is None
    assert views[1]["picture"].startswith("data:image/png;base64,")


def test_width_bounds_the_pictures(photo):
    page = build_report(photo, width=320)
    assert max(int(n) for n in re.findall(r'id="picture".*? width="(\d+)"', page)) <= 320
    for width in (319, 4097):
        with pytest.raises(ValueError, match="320 to 4096"):
            build_report(photo, width=width)


KINDS = {
    "uniform": CaptureOptions(sampler="uniform", values="measured"),
    "random": CaptureOptions(sampler="random", effort=0),
    "control values": CaptureOptions(),
    "lossless": CaptureOptions(lossless=True, values="measured"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_metadata(make_frame, tmp_path, kind):
    embed(make_frame(64, 80), tmp_path / "a.jpg", KINDS[kind])
    said = texts(build_report(tmp_path / "a.jpg"))
    assert ("control values" in said) == (kind == "control values")
    assert ("the whole mosaic is kept" in said) == (kind == "lossless")


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("depth", [8, 16])
def test_kinds_of_files(make_frame, tmp_path, ending, depth):
    path = tmp_path / f"a.{ending}"
    embed(make_frame(40, 50), path, CaptureOptions(depth=depth))
    assert "50 × 40" in texts(build_report(path))


def test_whole_or_not_at_all(photo, tmp_path):
    page = tmp_path / "a.html"
    page.write_text("mine")
    with pytest.raises(OutputError, match="overwrite"):
        write_report(photo, page)
    assert page.read_text() == "mine"
    assert write_report(photo, page, overwrite=True) == page.stat().st_size > 10_000
    copy = shutil.copy(photo, tmp_path / "b.jpg")
    before = copy.read_bytes()
    with pytest.raises(OutputError, match="made from"):
        write_report(copy, copy, overwrite=True)
    assert copy.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "b.jpg"]


def test_what_cannot_be_reported(photo, make_frame, tmp_path):
    from PIL import Image

    Image.new("RGB", (32, 32)).save(tmp_path / "plain.jpg")
    with pytest.raises(PayloadMissing, match=r"plain\.jpg"):
        write_report(tmp_path / "plain.jpg", tmp_path / "a.html")
    embed(make_frame(40, 48), tmp_path / "other.jpg")
    with pytest.raises(PictureMismatch, match="has 48x40 pixels"):
        write_report(tmp_path / "other.jpg", tmp_path / "a.html", photo.with_suffix(".dng"))
    with pytest.raises(RawFileError, match="none"):
        write_report(photo, tmp_path / "a.html", tmp_path / "none.dng")
    assert not (tmp_path / "a.html").exists()


def test_pictures_inside_are_whole(photo, report):
    page = report.read_text(encoding="utf-8")
    found = re.findall(r"data:image/(png|jpeg);base64,([A-Za-z0-9+/=]+)", page)
    assert len(found) == 7 + 3 * len(EDITS)
    for kind, data in found:
        head = b"\x89PNG" if kind == "png" else b"\xff\xd8\xff"
        assert b64decode(data, validate=True).startswith(head)


def test_same_picture_same_page(photo, tmp_path):
    size = write_report(photo, tmp_path / "a.html")
    assert (tmp_path / "a.html").read_bytes() == build_report(photo).encode()
    assert size > 10_000
