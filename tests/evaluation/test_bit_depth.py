from __future__ import annotations

import re
import shutil

import pytest

from isp_meta.errors import ResultsError
from isp_meta.evaluation import Results
from isp_meta.evaluation.bit_depth import KIND, evaluate, methods, table
from isp_meta.evaluation.tables import mean

METHODS = (
    *("zero padding", "middle of the bin", "network"),
    *("uniform+local-rbf", "typical-error+guided"),
)


@pytest.fixture(scope="module")
def found(files):
    chosen = methods([*METHODS, "largest-error+network"], 8, (0, 1))
    return evaluate(files, 4, 8, chosen)


def mean_of(results, method, figure):
    return mean([[r for r in results.records if r.get("method") == method]], figure).value


def test_every_picture_and_method_has_figures(found):
    assert found.settings["scenes"] == ["deep.png", "deep.tif", "photo.png"]
    assert {record["scene"] for record in found.records} == {"photo.png", "deep.png", "deep.tif"}
    for name in (*METHODS, "largest-error+network", "largest-error+network, fine-tuned 1 steps"):
        assert 20 < mean_of(found, name, "psnr") < 60
        assert 0.5 < mean_of(found, name, "ssim") <= 1
    blind = mean_of(found, "middle of the bin", "psnr")
    # Three copies of one picture at eight bits; only one of them has been through 16 bits.
    assert mean_of(found, "uniform+local-rbf", "psnr") > blind + 1.5
    assert blind > mean_of(found, "zero padding", "psnr") + 3
    assert mean_of(found, "network", "bits_per_pixel") is None
    assert 0 < mean_of(found, "typical-error+guided", "bits_per_pixel") < 1
    assert 10 < mean_of(found, "store:entropy of the missing bits", "bits_per_pixel") <= 12


def test_table_has_a_row_a_method(found):
    lines = table(found).splitlines()
    assert lines[0].startswith("3 pictures, 4 to 8 bits, 1 sample in 8x8 pixels")
    rows = [line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ")]
    assert set(METHODS) <= set(rows)


def test_results_can_be_kept(found, tmp_path):
    found.write(tmp_path / "found.json")
    assert table(Results.read(tmp_path / "found.json", KIND)) == table(found)
    with pytest.raises(ResultsError, match=r"found\.json: is of another format"):
        Results.read(tmp_path / "found.json")


def test_a_picture_that_cannot_be_measured_does_not_stop_the_others(files, tmp_path):
    shutil.copy(files / "photo.png", tmp_path)
    shutil.copy(files / "deep.png", tmp_path)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    found = evaluate(tmp_path, 8, 12, methods(["middle of the bin"]))
    errors = {record["scene"]: record["error"] for record in found.records if "error" in record}
    assert errors.keys() == {"broken.png", "photo.png"}
    assert "8 bits" in errors["photo.png"]
    assert mean_of(found, "middle of the bin", "psnr") > 50


def test_unknown_methods_are_named():
    for name in ("best+luck", "luck", "largest-error+local-rbf", "+network"):
        with pytest.raises(ValueError, match=rf"'{re.escape(name)}'.*largest-error"):
            methods([name])
