"""Small trees of raw files, and orders that run in this process."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from isp_meta import CaptureOptions, io
from isp_meta.batch import Embed, Job, Row
from isp_meta.batch.manifest import Manifest
from isp_meta.batch.order import Order
from isp_meta.batch.store import open_store
from isp_meta.batch.tree import find_tasks

QUICK = CaptureOptions(sampler="uniform", cell=16, effort=0)
EMBED = Embed(QUICK)
"""Quick, and the same bytes each time."""

Tree = Callable[..., Path]
Do = Callable[..., dict[str, Row]]


@pytest.fixture(scope="session")
def raw_bytes(make_frame, tmp_path_factory) -> list[bytes]:
    """Five small DNGs."""
    folder = tmp_path_factory.mktemp("raws")
    made = []
    for seed in range(5):
        frame = make_frame(64, 96, seed=seed)
        raw = frame.replace(raw=((frame.codes - 64) / (4095 - 64)).expand(3, -1, -1))
        io.write_dng(folder / f"{seed}.dng", raw)
        made.append((folder / f"{seed}.dng").read_bytes())
    return made


@pytest.fixture
def tree(raw_bytes, tmp_path) -> Tree:
    def make(*names: str) -> Path:
        """A folder "in" with raw files of these names."""
        for number, name in enumerate(names):
            path = tmp_path / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raw_bytes[number % len(raw_bytes)])
        return tmp_path / "in"

    return make


@pytest.fixture
def do(tmp_path) -> Do:
    def do(
        job: Job = EMBED, source: str = "in", output: str = "out", scheme: str = "", **options
    ) -> dict[str, Row]:
        """What a batch does, in this process; rows by name."""
        here = open_store(f"{scheme}{tmp_path}/{output}")
        there = open_store(f"{scheme}{tmp_path}/{source}")
        order = Order(job, there.url, here.url, **options)
        with here.lock():
            manifest = Manifest(here)
            rows = {}
            for task in find_tasks(job, there, here).tasks:
                known = manifest.known.get(task.name)
                rows[task.name] = order.do(dataclasses.replace(task, known=known))
                manifest.add(rows[task.name])
            manifest.close([row for row in rows.values() if row.error])
        return rows

    return do


@dataclass(frozen=True)
class Deadly(Embed):
    """Kills the process that does a file called deadly, as a segmentation fault would."""

    def perform(self, source: Path, target: Path, device: str = "cpu") -> float:
        if source.stem == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().perform(source, target, device)


def is_alive(process: int) -> bool:
    """Whether a process runs; one that ended and nobody asked about does not."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"
