"""What a process is told before PyTorch loads."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from isp_meta import processors
from isp_meta.processors import environment, precision

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


@pytest.mark.parametrize(
    ("pytorch", "machine", "instructions", "dtype"),
    [
        (False, "x86_64", True, torch.float32),
        (True, "x86_64", False, torch.float32),
        (True, "AMD64", True, torch.bfloat16),
        (True, "aarch64", False, torch.bfloat16),
    ],
)
def test_bfloat16_is_for_processors_that_multiply_in_it(
    monkeypatch: pytest.MonkeyPatch,
    pytorch: bool,
    machine: str,
    instructions: bool,
    dtype: torch.dtype,
) -> None:
    mkldnn = SimpleNamespace(_is_mkldnn_bf16_supported=lambda: pytorch)
    monkeypatch.setattr(precision.torch.ops, "mkldnn", mkldnn, raising=False)
    monkeypatch.setattr(precision.platform, "machine", lambda: machine)
    for name in precision._INSTRUCTIONS:
        monkeypatch.setattr(precision.torch.cpu, name, lambda: instructions, raising=False)
    precision._has_bfloat16.cache_clear()
    try:
        assert precision.fastest_dtype(torch.device("cpu")) == dtype
    finally:
        precision._has_bfloat16.cache_clear()
    assert precision.fastest_dtype(torch.device("cuda")) == torch.bfloat16


def test_pytorch_still_tells_what_processors_multiply_in() -> None:
    # Where it does not, all is right and takes longer than it need.
    assert isinstance(torch.ops.mkldnn._is_mkldnn_bf16_supported(), bool)
    assert all(isinstance(getattr(torch.cpu, name)(), bool) for name in precision._INSTRUCTIONS)


FAULTS = """
import resource, sys, threading
from isp_meta import processors

if sys.argv[1] == "kept":
    processors.keep_freed_memory()

def work():
    for _ in range(6):
        pieces = [bytearray(12 << 20) for _ in range(8)]
        del pieces

work()
threads = [threading.Thread(target=work) for _ in range(2)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="is glibc's to do")
def test_threads_use_memory_again_that_others_freed() -> None:
    called = [sys.executable, "-c", FAULTS]
    kept, given_back = (
        int(subprocess.run([*called, how], capture_output=True, text=True, check=True).stdout)
        for how in ("kept", "not")
    )
    assert kept < given_back / 3
