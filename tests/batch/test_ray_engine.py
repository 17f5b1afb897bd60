"""The same on Ray, with a real one of two CPUs on this machine."""

from __future__ import annotations

import importlib.util
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from isp_meta.batch import Recover, run
from isp_meta.batch.manifest import MANIFEST, Row
from isp_meta.batch.order import Order
from isp_meta.batch.ray_engine import run_ray
from isp_meta.batch.tree import find_tasks
from isp_meta.errors import BatchError

from .conftest import EMBED, QUICK, Deadly, is_alive


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """One whose name is short enough for Ray's sockets."""
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        yield Path(folder)


def ray_processes() -> set[int]:
    """Numbers of the processes that belong to a Ray."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and is_alive(int(folder.name)):
            try:
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if b"/ray/" in command or command.startswith(b"ray::"):
                found.add(int(folder.name))
    return found


def test_nothing_is_lost_and_nothing_done_twice(
    tree, tmp_path, raw_bytes, short_folder, monkeypatch, capfd
):
    """A file that kills its actor, an actor that somebody kills, a corrupt file; then once more."""
    monkeypatch.setattr(tempfile, "tempdir", str(short_folder))
    before = ray_processes()
    names = [f"{folder}/{number}.dng" for folder in "ab" for number in range(4)]
    folder = tree(*names, "b/deadly.dng", "corrupt.dng", "\udcff.dng")
    (folder / "corrupt.dng").write_bytes(raw_bytes[0][:2000])
    names.append("\udcff.dng")
    seen, killed = [], []

    def report(row, _summary):
        if row is None:
            return
        seen.append(row)
        if row.status == "done" and not killed:
            killed.append(row.worker)
            os.kill(row.worker, signal.SIGKILL)

    job = Deadly(QUICK)
    summary = run(job, folder, tmp_path / "out", engine="ray", jobs=2, report=report)

    assert (summary.files, summary.done, summary.skipped, summary.failed) == (11, 9, 0, 2)
    assert killed
    assert Counter(row.name for row in seen) == Counter([*names, "b/deadly.dng", "corrupt.dng"])
    assert {row.name: row.kind for row in summary.errors} == {
        "b/deadly.dng": "WorkerDied",
        "corrupt.dng": "RawFileDamaged",
    }
    made = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").glob("**/*.jpg")}
    assert made == {name.replace("dng", "jpg") for name in names}
    lines = map(Row.from_json, (tmp_path / "out" / MANIFEST).read_bytes().splitlines())
    assert Counter(row.name for row in lines if row.status == "done") == Counter(names)
    assert capfd.readouterr() == ("", "")
    deadline = time.monotonic() + 60
    while ray_processes() - before or list(short_folder.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.1)

    (folder / "b/deadly.dng").unlink()
    again = run(job, folder, tmp_path / "out", jobs=1)
    assert (again.done, again.skipped, again.failed) == (0, 9, 1)


def test_without_ray(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(BatchError, match=r"needs Ray; pip install 'isp-meta\[ray\]'"):
        run(EMBED, tree("a.dng"), tmp_path / "out", engine="ray")


def test_a_cluster_that_is_not_there(tree, tmp_path, short_folder, monkeypatch, capfd):
    monkeypatch.setattr(tempfile, "tempdir", str(short_folder))
    monkeypatch.setenv("RAY_ADDRESS", "nowhere")
    with pytest.raises(BatchError, match=r"Ray failed, ValueError: .*log says more"):
        run(EMBED, tree("a.dng"), tmp_path / "out", engine="ray", jobs=1)
    assert capfd.readouterr() == ("", "")
    (log,) = short_folder.glob("ray-*/isp-meta.log")
    assert "nowhere" in log.read_text()


def test_actors_with_a_device_make_the_same_files_as_processes(
    embedded_sample, tmp_path, short_folder, monkeypatch
):
    """The first core stands in for a GPU: raw is rebuilt where the order says, enhanced as ever."""
    monkeypatch.setattr(tempfile, "tempdir", str(short_folder))
    folder, job = tmp_path / "jpegs", Recover()
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (folder / name).write_bytes(embedded_sample.path.read_bytes())
    run(job, folder, tmp_path / "local", jobs=2)
    order = Order(job, str(folder), str(tmp_path / "ray"), device="cpu:0")
    (tmp_path / "ray").mkdir()
    tasks = find_tasks(job, *order.stores()).tasks
    assert [row.status for row in run_ray(order, tasks, 1)] == ["done", "done"]
    for name in ("a-recovered.dng", "b-recovered.dng"):
        made = [(tmp_path / engine / name).read_bytes() for engine in ("local", "ray")]
        assert made[0] == made[1]
