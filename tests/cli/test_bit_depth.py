from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def picture(tmp_path):
    y, x = np.mgrid[:40, :48]
    codes = 120 + 90 * np.sin(x / 9) * np.cos(y / 7)
    path = tmp_path / "photo.png"
    Image.fromarray(np.stack([codes, codes * 0.8, 250 - codes], -1).astype(np.uint8)).save(path)
    return path


def test_there_and_back(run, picture):
    low, back = picture.with_name("photo-4bit.png"), picture.with_name("photo-4bit-recovered.png")
    result = run("bit-depth", "embed", picture)
    assert result.code == 0
    assert "4 of 8 bits, 30 samples" in result.out
    result = run("bit-depth", "recover", low)
    assert (result.code, result.out) == (0, f"{back}: 8 bits\n")
    truth, found, few = (np.asarray(Image.open(path)).astype(int) for path in (picture, back, low))
    assert np.array_equal(found >> 4, truth >> 4)
    assert np.abs(found - truth).mean() < np.abs(few - truth).mean()
    assert run("verify", low).code == 0
    shown = json.loads(run("inspect", low, "--json").out)
    assert (shown["true_bits"], shown["bits_left"]) == (8, 4)


def test_degrade(run, picture, tmp_path):
    out = tmp_path / "few.tif"
    assert run("bit-depth", "degrade", picture, "-o", out, "--bits", 2).code == 0
    assert set(np.unique(np.asarray(Image.open(out)))) <= {0, 85, 170, 255}
    again = run("bit-depth", "degrade", picture, "-o", out)
    assert again.code == 1
    assert "--overwrite" in str(again.lines)


def test_a_bad_picture_keeps_none_of_the_others_from_being_done(run, picture, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(picture.read_bytes()[:60])
    result = run("bit-depth", "embed", bad, picture, "--method", "local-rbf")
    assert result.code == 1
    assert "bad.png" in str(result.lines)
    assert "Traceback" not in str(result.lines)
    assert picture.with_name("photo-4bit.png").exists()


def test_wrong_calls(run, picture, tmp_path):
    result = run(
        "bit-depth", "embed", picture, "--sampler", "largest-error", "--method", "local-rbf"
    )
    assert result.code == 2
    assert run("bit-depth", "evaluate", tmp_path, "--fine-tune", "x").code == 2
    result = run("bit-depth", "evaluate", tmp_path, "--methods", "magic")
    assert result.code == 1
    assert "magic" in str(result.lines)
    assert run("bit-depth", "recover", picture).code == 3


def test_evaluate(run, picture, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    shutil.move(picture, folder)
    out = tmp_path / "figures.json"
    methods = "middle of the bin,uniform+local-rbf"
    result = run("bit-depth", "evaluate", folder, "--methods", methods, "-o", out)
    assert result.code == 0
    assert "| middle of the bin |" in result.out
    records = json.loads(out.read_text())["records"]
    figures = {record["method"]: record["psnr"] for record in records if "psnr" in record}
    assert figures["uniform+local-rbf"] > figures["middle of the bin"]
