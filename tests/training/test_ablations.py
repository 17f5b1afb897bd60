"""scripts/ablations.py, on the sample and for a step a row."""

import json
import sys

import ablations
import pytest
from small_crops import small_config

from isp_meta.evaluation import Results
from isp_meta.training import checkpoint

CONFIG = """
[data]
folder = "{folder}"
crop = 16
[sampler]
width = 2
[reconstructor]
width = 2
[meta]
steps = 1
[validation]
pictures = 1
fine_tune = 1
[run]
batch = 2
tensorboard = false
"""


def test_rows_change_what_their_names_say(tmp_path):
    base = small_config()
    rows = {row: ablations.changed(base, row, tmp_path / row, 7) for row in ablations.ROWS}
    assert {config.run.steps for config in rows.values()} == {7}
    assert len({json.dumps(config.to_dict(paths=False)) for config in rows.values()}) == len(rows)
    assert rows["both"].samples.kind == "learned"
    assert rows["both"].loss == base.loss
    assert {row for row, config in rows.items() if not config.loss.meta} == {
        *("none", "uniform-no-meta", "both-no-meta")
    }
    assert {config.data for config in rows.values()} == {base.data}


def test_the_queue_trains_measures_and_goes_on(tmp_path, crops_folder, make_scene, monkeypatch):
    config, out = tmp_path / "config.toml", tmp_path / "out"
    config.write_text(CONFIG.format(folder=crops_folder))
    scene = make_scene(tmp_path / "scenes" / "1.png", 32, 32)

    def queue(rows):
        arguments = [str(config), str(scene.parent), "-o", str(out), "--steps", "1", "--rows", rows]
        monkeypatch.setattr(sys, "argv", ["ablations.py", *arguments])
        ablations.main()
        return Results.read(out / "results.json").records

    first = queue("none")
    assert {record["fine_tune"] for record in first} == {0}  # there is nothing to tune by
    trained = (out / "none" / "last.pt").stat().st_mtime_ns
    records = queue("none,free-form")
    assert records[: len(first)] == first
    assert (out / "none" / "last.pt").stat().st_mtime_ns == trained
    assert checkpoint.load(out / "free-form" / "last.pt")["step"] == 1
    found = {(record["method"], record["rendering"], record["input"]) for record in records}
    assert len(found) == 2 * 2 * 3
    assert {record["fine_tune"] for record in records[len(first) :]} == {0, 10}
    assert {name for name, _, _ in found} == {"none:none+unet", "free-form:free-form+unet"}
    assert all(record["psnr"] > 0 for record in records)
    assert "free-form" in (out / "results.md").read_text()


def test_an_unknown_row_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["a.py", "a.toml", "b", "-o", "c", "--rows", "none,other"])
    with pytest.raises(SystemExit):
        ablations.main()
    assert "--rows none,other: must be of none, random" in capsys.readouterr().err
