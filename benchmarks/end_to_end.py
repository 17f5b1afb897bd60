"""Seconds and peak memory of each command: python benchmarks/end_to_end.py [RAW] [--megapixels N]

Every command runs in a process of its own, as a user would start it, so that loading Python and
torch is part of each; the row "start" is that alone. --megapixels tiles the picture up to that
size. Peak memory is the kernel's: the process's largest resident set.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
COMMAND = [sys.executable, "-c", "from isp_meta.cli import main; main()"]

# This process stays small and imports nothing large: what it holds would count as its children's.
TILE = """
import sys
from isp_meta import Frame, read_raw, write_dng
from isp_meta.stages import BlackLevel
frame = BlackLevel()(read_raw(sys.argv[1]))
mosaic = frame.mosaic[:, : frame.mosaic.shape[1] // 2 * 2, : frame.mosaic.shape[2] // 2 * 2]
_, height, width = mosaic.shape
grow = max(1.0, (float(sys.argv[3]) * 1e6 / (height * width)) ** 0.5)
times = -int(-grow // 1)
bottom, right = int(height * grow) // 2 * 2, int(width * grow) // 2 * 2
raw = mosaic.tile(1, times, times)[:, :bottom, :right].expand(3, -1, -1)
write_dng(sys.argv[2], Frame(camera=frame.camera, raw=raw), cfa=True)
"""


def timed(command: list[str]) -> tuple[float, float, str]:
    """Seconds, peak MB, standard output."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        text = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"{' '.join(command[3:])}: exit code {process.returncode}")
    return seconds, usage.ru_maxrss / 1024, text


def sample() -> Path:
    find = [sys.executable, "-c", "import isp_meta.data as d; print(d.sample_path())"]
    return Path(subprocess.run(find, check=True, capture_output=True, text=True).stdout.strip())


def measure(raw: Path, folder: Path) -> dict[str, dict[str, float | str]]:
    jpeg, dng = str(folder / "photo.jpg"), str(folder / "recovered.dng")
    steps = {
        "start": ["--help"],
        "embed": ["embed", str(raw), "-o", jpeg],
        "verify": ["verify", jpeg],
        "recover": ["recover", jpeg, "-o", dng],
        "compare": ["compare", str(raw), jpeg, "--json"],
    }
    rows: dict[str, dict[str, float | str]] = {}
    for name, arguments in steps.items():
        seconds, megabytes, text = timed([*COMMAND, *arguments])
        rows[name] = {"seconds": round(seconds, 2), "peak_mb": round(megabytes)}
        if name == "compare":
            rows[name] |= json.loads(text)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds and peak memory of each command.")
    parser.add_argument("raw", type=Path, nargs="?", help="by default the sample")
    parser.add_argument("--megapixels", type=float, help="tile the picture up to this size")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()

    where = subprocess.run(
        [sys.executable, str(HERE / "machine.py")], check=True, capture_output=True, text=True
    ).stdout.strip()
    print(where)
    with tempfile.TemporaryDirectory() as folder:
        raw = arguments.raw or sample()
        if arguments.megapixels:
            large = Path(folder, "large.dng")
            tile = [sys.executable, "-c", TILE, str(raw), str(large), str(arguments.megapixels)]
            subprocess.run(tile, check=True)
            raw = large
        rows = measure(raw, Path(folder))
    figures = rows["compare"]
    print(f"{figures['width']}x{figures['height']} pixels; compare recovers the raw once more")
    print(f"{'command':10}{'seconds':>9}{'peak MB':>10}")
    for name, row in rows.items():
        print(f"{name:10}{row['seconds']:>9.2f}{row['peak_mb']:>10,.0f}")
    print(
        f"PSNR {figures['psnr']:.2f} dB (unclipped {figures['psnr_unclipped']:.2f} dB), "
        f"SSIM {figures['ssim']:.4f}, {figures['bits_per_pixel']:.3f} bits a pixel"
    )
    if arguments.json:
        result = {"machine": where, "commands": rows}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
