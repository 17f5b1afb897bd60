from __future__ import annotations

import re
import shutil

import pytest

from isp_meta.evaluation.bit_depth import evaluate, methods

METHODS = (
    *("zero padding", "middle of the bin", "network"),
    *("uniform+local-rbf", "typical-error+guided"),
)


@pytest.fixture(scope="module")
def found(files):
    chosen = methods([*METHODS, "largest-error+network"], 8, (0, 1))
    return evaluate(files, 4, 8, chosen)


def test_every_picture_and_method_has_figures(found):
    pictures = {record["picture"] for record in found.records}
    assert pictures == {"photo.png", "deep.png", "deep.tif"}
    for name in (*METHODS, "largest-error+network", "largest-error+network, fine-tuned 1 steps"):
        assert 20 < found.mean(name, "psnr") < 60
        assert 0.5 < found.mean(name, "ssim") <= 1
    # Three copies of one picture at eight bits; only one of them has been through 16 bits.
    assert found.mean("uniform+local-rbf", "psnr") > found.mean("middle of the bin", "psnr") + 1.5
    assert found.mean("middle of the bin", "psnr") > found.mean("zero padding", "psnr") + 3
    assert found.mean("network", "bits_per_pixel") is None
    assert 0 < found.mean("typical-error+guided", "bits_per_pixel") < 1
    assert 10 < found.mean("store:entropy of the missing bits", "bits_per_pixel") <= 12


def test_table_has_a_row_a_method(found):
    lines = found.table().splitlines()
    assert lines[0].startswith("3 pictures, 4 to 8 bits, 1 sample in 8x8 pixels")
    rows = [line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ")]
    assert set(METHODS) <= set(rows)


def test_a_picture_that_cannot_be_measured_does_not_stop_the_others(files, tmp_path):
    shutil.copy(files / "photo.png", tmp_path)
    shutil.copy(files / "deep.png", tmp_path)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    found = evaluate(tmp_path, 8, 12, methods(["middle of the bin"]))
    errors = {record["picture"]: record["error"] for record in found.records if "error" in record}
    assert errors.keys() == {"broken.png", "photo.png"}
    assert "8 bits" in errors["photo.png"]
    assert found.mean("middle of the bin", "psnr") > 50


def test_unknown_methods_are_named():
    for name in ("best+luck", "luck", "largest-error+local-rbf", "+network"):
        with pytest.raises(ValueError, match=rf"'{re.escape(name)}'.*largest-error"):
            methods([name])
