"""What bounds the operators: python benchmarks/walk.py [--side 1024] [--threads 2]

They read 17 planes at once, a tile of 64 x 8 pixels of each in turn. This reads them so with
nothing computed, reads them one after the other, and runs the loops of the operators, all in
turns: GB/s by the median of 41 rounds, and by the best.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from instructions import CSRC, FLAGS, HERE


def main() -> None:
    parser = argparse.ArgumentParser(description="What bounds the operators.")
    parser.add_argument("--side", type=int, default=1024, help="of the picture, a multiple of 64")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    given = parser.parse_args()
    has_avx2 = "avx2" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    if shutil.which("g++") is None or not has_avx2:
        print("NOT MEASURED: needs g++ and a processor with AVX2")
        return
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder, "walk"))
        sources = [str(HERE / "walk.cpp"), str(CSRC / "cpu" / "avx2.cpp")]
        command = ["g++", *FLAGS, f"-I{CSRC}", *sources, "-o", program, "-pthread"]
        subprocess.run(command, check=True)
        print(f"GB/s, {given.side} x {given.side} pixels     median    best")
        subprocess.run([program, str(given.side), str(given.threads)], check=True)


if __name__ == "__main__":
    main()
