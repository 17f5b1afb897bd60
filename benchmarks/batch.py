"""Files and megapixels a second of a whole tree, by processes and by Ray, stopped and not.

``python benchmarks/batch.py [--files 200] [--jobs 2] [--json FILE]``

The tree is made of the sample: crops, brighter and darker ones, copies, and one in ten damaged:
truncated, empty, text, bytes changed. Each run is a command of its own, as a user would start it,
so that loading Python, PyTorch and Ray is part of its seconds. What the runs left is checked: every
file has one row that says what became of it, all made the same, and each result holds its raw.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from machine import describe, machine, recorded

from isp_meta import Frame, read_metadata, read_raw, write_dng
from isp_meta.batch.manifest import MANIFEST
from isp_meta.data import sample_path
from isp_meta.stages import BlackLevel

COMMAND = [sys.executable, "-c", "from isp_meta.cli import main; main()", "batch"]
HEIGHT, WIDTH = 192, 256


def make_tree(folder: Path, files: int) -> None:
    """Folders of 20 files each."""
    chance = random.Random(0)
    frame = BlackLevel()(read_raw(sample_path()))
    mosaic = frame.mosaic
    previous = b""
    for number in range(files):
        path = folder / f"{number // 20:02}" / f"{number:03}.dng"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number % 5 == 1:
            path.write_bytes(previous)
            continue
        top = 2 * chance.randrange((mosaic.shape[1] - HEIGHT) // 2)
        left = 2 * chance.randrange((mosaic.shape[2] - WIDTH) // 2)
        crop = mosaic[:, top : top + HEIGHT, left : left + WIDTH] * chance.choice((0.5, 1.0, 1.5))
        raw = crop.clamp(0, 1).expand(3, -1, -1)
        write_dng(path, Frame(camera=frame.camera, raw=raw))
        previous = path.read_bytes()
        if number % 10 == 3:
            path.write_bytes(damaged(previous, number // 10 % 4, chance))


def damaged(data: bytes, kind: int, chance: random.Random) -> bytes:
    if kind == 0:
        return data[: len(data) // 3]
    if kind == 1:
        return b""
    if kind == 2:
        return b"this is no raw file\n" * 100
    spoiled = bytearray(data)
    for _ in range(40):  # among the tags
        spoiled[chance.randrange(8, 600)] = chance.randrange(256)
    return bytes(spoiled)


def rows_of(folder: Path) -> list[dict[str, Any]]:
    path = folder / MANIFEST
    text = path.read_text(encoding="ascii") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def run(tree: Path, out: Path, options: list[str], *, end: str = "", after: int = 0) -> dict:
    """One command; ``end`` kills "all" of it, or one "worker", after so many rows."""
    before = len(rows_of(out))
    start = time.perf_counter()
    call = [*COMMAND, "embed", str(tree), "-o", str(out), "--effort", "0", "--json", *options]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        while end and program.poll() is None and len(rows_of(out)) - before < after:
            time.sleep(0.02)
        if end == "worker":
            os.kill(rows_of(out)[-1]["worker"], signal.SIGKILL)
        elif end == "all":
            program.kill()
        text = program.communicate()[0]
    seconds = time.perf_counter() - start
    if end == "all":
        rows = rows_of(out)[before:]
        pixels = sum(row["megapixels"] for row in rows)
        counts = Counter(row["status"] for row in rows)
        summary = {"done": counts["done"], "skipped": 0, "failed": counts["failed"]}
        return {**summary, "megapixels": pixels, "seconds": seconds}
    summary = json.loads(text)
    names = ("done", "skipped", "failed", "megapixels")
    return {name: summary[name] for name in names} | {"seconds": seconds}


def results(out: Path) -> dict[str, str]:
    """SHA-256 of each result, by name."""
    found = sorted(out.glob("*/*.jpg"))
    return {str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


def checked(tree: Path, out: Path) -> dict[str, str]:
    """What a tree of results holds, if nothing is lost and nothing done twice."""
    done = Counter(row["name"] for row in rows_of(out) if row["status"] == "done")
    names = {str(path.relative_to(tree)) for path in tree.glob("*/*.dng")}
    failed = {row["name"] for row in rows_of(out) if row["status"] == "failed"}
    assert set(done.values()) == {1}, "done twice"
    assert set(done) | failed == names, "lost"
    assert not set(done) & failed
    found = results(out)
    assert set(found) == {name.replace(".dng", ".jpg") for name in done}
    return found


def measure(tree: Path, folder: Path, files: int, jobs: int) -> list[dict[str, Any]]:
    rows, made = [], []
    for engine in ("local", "ray"):
        options = ["--jobs", str(jobs), "--engine", engine]
        plans: dict[str, list[tuple[str, str]]] = {
            "whole": [("", ""), ("again", "")],
            "worker": [("one worker killed", "worker")],
            "killed": [("all killed", "all"), ("resumed", "")],
        }
        for place, runs in plans.items():
            out = folder / f"{engine}-{place}"
            for name, end in runs:
                row = run(tree, out, options, end=end, after=2 * files // 5)
                rows.append({"engine": engine, "run": name or "whole", **row})
                print(line(rows[-1]), flush=True)
            made.append(checked(tree, out))
    assert all(found == made[0] for found in made), "runs made different results"
    for name in made[0]:
        assert read_metadata(folder / "local-whole" / name).match == "exact"
    return rows


def line(row: dict[str, Any]) -> str:
    rate = row["megapixels"] / row["seconds"]
    return (
        f"{row['engine']:6} {row['run']:18} {row['done']:5} {row['skipped']:8} {row['failed']:7} "
        f"{row['seconds']:8.1f} {row['done'] / row['seconds']:8.2f} {rate:7.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, help="default: benchmarks/results/batch/")
    options = parser.parse_args()
    about = machine()
    print(describe(about))
    print(f"{options.files} files of {WIDTH}x{HEIGHT}, --effort 0 --jobs {options.jobs}")
    heads = ("done", "skipped", "failed", "seconds", "files/s", "MP/s")
    print(f"{'engine':6} {'run':18} {'{:>5} {:>8} {:>7} {:>8} {:>8} {:>7}'.format(*heads)}")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "in"
        make_tree(tree, options.files)
        rows = measure(tree, Path(folder), options.files, options.jobs)
    path = options.json or recorded(about).parent / "batch" / recorded(about).name
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {"machine": about, "files": options.files, "jobs": options.jobs, "runs": rows}
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
