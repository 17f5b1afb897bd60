"""Photographs an hour of a whole folder, and what a worker takes.

``python benchmarks/throughput.py [RAW] [--copies 6] [--jobs N ...] [--json FILE]``

The folder holds copies of one raw file, by default the sample. `isp-meta batch embed` and `batch
recover` work through it in processes of their own; loading Python and PyTorch, once a worker, is in
their seconds. Peak memory is that of the largest process. --json is refused while there is other
work on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from end_to_end import BUSY, COMMAND, HERE, Rows, sample, timed


def measure(raw: Path, copies: int, jobs: int) -> Rows:
    """Of embedding and recovering all copies, with so many workers."""
    rows: Rows = {}
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder, name) for name in ("raw", "pictures", "recovered")]
        places[0].mkdir()
        for number in range(copies):
            shutil.copyfile(raw, places[0] / f"{number:03}{raw.suffix}")
        for command, source, target in zip(("embed", "recover"), places, places[1:], strict=False):
            call = ["batch", command, str(source), "-o", str(target), "--jobs", str(jobs)]
            row, _ = timed([*COMMAND, *call])
            made = sum(path.suffix in {".jpg", ".dng"} for path in target.iterdir())
            if made != copies:
                sys.exit(f"{made} of {copies} were made")
            row["an_hour"] = round(3600 * copies / float(row["seconds"]), 1)
            row["cpu_seconds"] = round(float(row["cpu_seconds"]) / copies, 2)
            rows[command] = row
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("raw", type=Path, nargs="?", help="by default the sample")
    parser.add_argument("--copies", type=int, default=6, help="of it")
    parser.add_argument("--jobs", type=int, nargs="+", default=[os.cpu_count() or 1])
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    if arguments.json and os.getloadavg()[0] > BUSY:
        sys.exit(f"busy (load {os.getloadavg()[0]:.1f}): --json is for a quiet machine")
    where = subprocess.run(
        [sys.executable, str(HERE / "machine.py")], check=True, capture_output=True, text=True
    ).stdout.strip()
    print(where)
    print(f"{'':8}{'jobs':>6}{'an hour':>10}{'CPU s each':>12}{'peak MB a worker':>18}")
    result = {}
    for jobs in arguments.jobs:
        result[jobs] = measure(arguments.raw or sample(), arguments.copies, jobs)
        for command, row in result[jobs].items():
            figures = f"{row['an_hour']:>10,.0f}{row['cpu_seconds']:>12.1f}"
            print(f"{command:8}{jobs:>6}{figures}{row['peak_mb']:>18,.0f}")
    if arguments.json:
        kept = {"machine": where, "copies": arguments.copies, "jobs": result}
        arguments.json.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
