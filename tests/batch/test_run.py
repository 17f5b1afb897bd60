"""Whole batches, by processes of this machine."""

from __future__ import annotations

import os
import signal
from collections import Counter

import pytest

from isp_meta.batch import Embed, Verify, run
from isp_meta.batch.local import run_local
from isp_meta.batch.manifest import FOLDER, Manifest
from isp_meta.batch.order import Order
from isp_meta.batch.store import LocalStore
from isp_meta.batch.tree import Task
from isp_meta.errors import BatchError

from .conftest import EMBED, QUICK, Deadly, is_alive


def test_nothing_is_lost_and_nothing_done_twice(tree, tmp_path, raw_bytes):
    """A file that kills its worker, a worker that somebody kills, a corrupt file, a clash."""
    names = [f"{folder}/{number}.dng" for folder in "ab" for number in range(4)]
    folder = tree(*names, "b/deadly.dng", "corrupt.dng", "x.dng", "x.nef")
    (folder / "corrupt.dng").write_bytes(raw_bytes[0][:2000])
    (folder / "link.dng").symlink_to("/etc/passwd")
    seen, workers, killed = [], set(), []

    def report(row, summary):
        if row is None:
            assert (summary.files, summary.done, summary.seconds_left) == (13, 0, float("inf"))
            return
        seen.append(row)
        workers.add(row.worker)
        if row.status == "done" and not killed:
            killed.append(row.worker)
            os.kill(row.worker, signal.SIGKILL)

    job = Deadly(QUICK)
    summary = run(job, folder, tmp_path / "out", jobs=2, report=report)

    assert (summary.files, summary.done, summary.skipped, summary.failed) == (13, 8, 0, 5)
    assert Counter(row.name for row in seen) == Counter(
        [*names, "b/deadly.dng", "corrupt.dng", "x.dng", "x.nef", "link.dng"]
    )
    errors = {row.name: row.kind for row in summary.errors}
    assert errors == {
        "b/deadly.dng": "WorkerDied",
        "corrupt.dng": "RawFileDamaged",
        "x.dng": "BatchError",
        "x.nef": "BatchError",
        "link.dng": "BatchError",
    }
    died = next(row.error for row in summary.errors if row.kind == "WorkerDied")
    assert died.startswith("b/deadly.dng: its process ended by SIGKILL while at it, twice")
    assert summary.megapixels == pytest.approx(8 * 0.006144)
    assert summary.rate == summary.megapixels / summary.seconds
    assert summary.table == f"{tmp_path}/out/{FOLDER}/errors.csv"
    made = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").glob("*/*.jpg")}
    assert made == {name.replace("dng", "jpg") for name in names}
    assert not [worker for worker in workers - {0} if is_alive(worker)]

    (folder / "b/deadly.dng").unlink()
    (folder / "x.nef").unlink()
    assert run(job, folder, tmp_path / "out", jobs=1).done == 1
    known = Manifest(LocalStore(tmp_path / "out")).known
    assert set(known) == {*names, "x.dng"}
    assert run(Verify(), tmp_path / "out", tmp_path / "checked", jobs=1).done == 9


def test_who_stops_early_stops_the_workers(tree, tmp_path):
    tree(*(f"{number}.dng" for number in range(9)))
    order = Order(EMBED, str(tmp_path / "in"), str(tmp_path / "out"))
    tasks = [Task(f"{number}.dng", f"{number}.jpg") for number in range(9)]
    rows = run_local(order, tasks, 2)
    worker = next(rows).worker
    assert is_alive(worker)
    rows.close()
    assert not is_alive(worker)
    written = len(list((tmp_path / "out").glob("*.jpg")))
    assert written < 9
    assert not list((tmp_path / "out").glob(".*.tmp"))


def test_workers_that_do_not_start_end_the_batch(tree, tmp_path, monkeypatch):
    tree("a.dng")
    monkeypatch.setattr("isp_meta.batch.local._serve", print)  # that ends at once
    with pytest.raises(BatchError, match="workers do not start, its process ended by code 0"):
        run(EMBED, tmp_path / "in", tmp_path / "out", jobs=1)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"jobs": 0}, "jobs must be at least 1"),
        ({"gpus": -1.0}, "gpus at least 0"),
        ({"gpus": 0.5}, "GPUs are those of the engine ray"),
        ({"engine": "best"}, "engine must be local or ray"),
    ],
)
def test_arguments(tree, tmp_path, options, text):
    with pytest.raises(ValueError, match=text):
        run(EMBED, tree("a.dng"), tmp_path / "out", **options)


def test_folders(tree, tmp_path):
    with pytest.raises(BatchError, match="none: there is no such folder"):
        run(Embed(), tmp_path / "none", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(BatchError, match="holds no file"):
        run(Embed(), tree("a.txt"), tmp_path / "out")
