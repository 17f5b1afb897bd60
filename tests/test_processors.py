"""What a process is told before PyTorch loads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from isp_meta import processors
from isp_meta.processors import environment

ALL = processors.available(own=Path(os.devnull))


@pytest.fixture
def groups(tmp_path: Path) -> tuple[Path, Path]:
    """Where control groups are mounted, and the file that names ours: /outer/inner."""
    (tmp_path / "groups" / "outer" / "inner").mkdir(parents=True)
    own = tmp_path / "cgroup"
    own.write_text("4:memory:/elsewhere\n0::/outer/inner\n", encoding="utf-8")
    return tmp_path / "groups", own


def test_no_quota_leaves_all_processors(groups: tuple[Path, Path]) -> None:
    (groups[0] / "outer" / "cpu.max").write_text("max 100000\n", encoding="ascii")
    assert processors.available(*groups) == ALL >= 1


@pytest.mark.parametrize(
    ("folder", "quota", "count"),
    [("outer", "50000 100000", 1), ("outer/inner", "100000 100000", 1), (".", "900 1000", 1)],
)
def test_the_least_quota_around_a_process_counts(
    groups: tuple[Path, Path], folder: str, quota: str, count: int
) -> None:
    (groups[0] / "outer" / "inner" / "cpu.max").write_text("99900000 100000", encoding="ascii")
    (groups[0] / folder / "cpu.max").write_text(quota, encoding="ascii")
    assert processors.available(*groups) == count


def test_a_part_of_a_processor_is_one_more(
    groups: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)), raising=False)
    (groups[0] / "outer" / "cpu.max").write_text("250000 100000", encoding="ascii")
    assert processors.available(*groups) == 3


@pytest.mark.parametrize("text", ["", "fast", "1 0 1", "100"])
def test_a_quota_that_cannot_be_read_is_none(groups: tuple[Path, Path], text: str) -> None:
    (groups[0] / "outer" / "cpu.max").write_text(text, encoding="ascii")
    assert processors.available(*groups) == ALL


@pytest.mark.parametrize(
    ("given", "spins"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)],
)
def test_what_the_environment_says_stays(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], spins: str | None
) -> None:
    monkeypatch.setattr(os, "environ", dict(given))
    processors.prepare()
    assert os.environ.get("GOMP_SPINCOUNT") == spins
    assert os.environ.get("OMP_WAIT_POLICY") == given.get("OMP_WAIT_POLICY")


def test_a_quota_leaves_fewer_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "available", lambda own=None: 1 if own is None else 4)
    for given, expected in (({}, "1"), ({"OMP_NUM_THREADS": "3"}, "3")):
        monkeypatch.setattr(os, "environ", dict(given))
        processors.prepare()
        assert os.environ["OMP_NUM_THREADS"] == expected


def test_commands_take_threads() -> None:
    """PyTorch has as many as were asked for, whatever the environment says."""
    run = (
        "import atexit, sys\n"
        "from isp_meta.cli import main\n"
        "atexit.register(lambda: print(sys.modules['torch'].get_num_threads()))\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", run, "stages", "--threads", "1"],
        env=os.environ | {"OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "1"
