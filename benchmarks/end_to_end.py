"""Seconds and peak memory from a raw file to a JPEG and back.

``python benchmarks/end_to_end.py [RAW] [--megapixels N ...] [--effort N] [--turns N]
[--json FILE]``

Every command runs in a process of its own, as a user would start it, so that loading Python and
torch is part of each; the row "start" is that alone. The row "libraw" is the yardstick: LibRaw's
development of the same file, AHD, 16 bits, without loading it. All take turns, and each row is the
median of its own. Then the steps of embed and recover, of one process, as they report them, and the
reconstructor that nothing is trained for, on the same samples alone. --megapixels tiles the picture
up to those sizes (1 12 24 48, say).
Beside seconds by the clock those of the processors, which other work on the machine changes less.
--json is refused while there is other work: such figures could not be relied on. Peak memory is
the kernel's: the process's largest resident set, in each step the largest during it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
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
write_dng(sys.argv[2], Frame(camera=frame.camera, raw=raw))
"""

# Seconds and peak MB of each step, as JSON.
STEPS = """
import json, sys, time
from pathlib import Path
import isp_meta
from isp_meta.reconstruct import LocalRBFReconstructor
from isp_meta.stages import Demosaic
rows, now = {}, [None, 0.0, 0.0]
def step(name):
    if now[0] is not None:
        status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        peak = int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024
        row = rows.setdefault(now[0], {"seconds": 0.0, "cpu_seconds": 0.0, "peak_mb": 0})
        row["seconds"] = round(row["seconds"] + time.perf_counter() - now[1], 3)
        row["cpu_seconds"] = round(row["cpu_seconds"] + time.process_time() - now[2], 3)
        row["peak_mb"] = max(row["peak_mb"], round(peak))
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    now[:] = name, time.perf_counter(), time.process_time()
pipeline = isp_meta.presets.minimal()
for stage in pipeline.modules():
    if isinstance(stage, Demosaic):
        stage.register_forward_pre_hook(lambda *_: step("demosaicing"))
        stage.register_forward_hook(lambda *_: step("rendering"))
raw, jpeg, effort = sys.argv[1:]
options = isp_meta.CaptureOptions(effort=int(effort))
isp_meta.embed(raw, jpeg, options, pipeline=pipeline, overwrite=True, progress=step)
frame = isp_meta.recover(jpeg, progress=lambda name: step("recovery: " + name))
frame = frame.replace(raw=None)
step("LocalRBFReconstructor alone")
LocalRBFReconstructor()(frame)
step("")
print(json.dumps(rows))
"""

# LibRaw's own development, as JSON.
LIBRAW = """
import json, resource, sys, time
import rawpy
wall, cpu = time.perf_counter(), time.process_time()
with rawpy.imread(sys.argv[1]) as raw:
    ahd = rawpy.DemosaicAlgorithm.AHD
    raw.postprocess(demosaic_algorithm=ahd, no_auto_bright=True, output_bps=16)
row = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
row["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(row))
"""
BUSY = 0.5  # processes that want to run, of the last minute

Rows = dict[str, dict[str, float | str]]


def timed(command: list[str]) -> tuple[dict[str, float | str], str]:
    """Seconds, those of the processors, peak MB; standard output."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        text = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"{' '.join(command[3:])}: exit code {process.returncode}")
    row: dict[str, float | str] = {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": round(usage.ru_maxrss / 1024),
    }
    return row, text


def sample() -> Path:
    find = [sys.executable, "-c", "import isp_meta.data as d; print(d.sample_path())"]
    return Path(subprocess.run(find, check=True, capture_output=True, text=True).stdout.strip())


def median(turns: list[dict[str, float | str]]) -> dict[str, float | str]:
    """Of each figure."""
    return {
        name: round(statistics.median(float(turn[name]) for turn in turns), 3)
        for name in ("seconds", "cpu_seconds", "peak_mb")
    }


def measure(raw: Path, folder: Path, effort: int, turns: int) -> tuple[Rows, Rows]:
    """Of the commands, and of the steps."""
    jpeg, dng = str(folder / "photo.jpg"), str(folder / "recovered.dng")
    commands = {
        "start": ["--help"],
        "embed": ["embed", str(raw), "-o", jpeg, "--effort", str(effort), "--overwrite"],
        "verify": ["verify", jpeg],
        "recover": ["recover", jpeg, "-o", dng, "--overwrite"],
        "compare": ["compare", str(raw), jpeg, "--json"],
    }
    each: dict[str, list[dict[str, float | str]]] = {}
    for _ in range(turns):
        for name, arguments in commands.items():
            row, text = timed([*COMMAND, *arguments])
            each.setdefault(name, []).append(row)
            if name == "compare":
                figures = json.loads(text)
        _, yardstick = timed([sys.executable, "-c", LIBRAW, str(raw)])
        each.setdefault("libraw", []).append(json.loads(yardstick))
    rows: Rows = {name: median(measured) for name, measured in each.items()}
    rows["compare"] |= figures
    for path in (jpeg, dng):
        Path(path).unlink()
    _, text = timed([sys.executable, "-c", STEPS, str(raw), jpeg, str(effort)])
    Path(jpeg).unlink()
    return rows, json.loads(text)


def show(commands: Rows, steps: Rows) -> None:
    figures = commands["compare"]
    print(f"{figures['width']}x{figures['height']} pixels; compare recovers the raw once more")
    print(f"{'command':30}{'seconds':>9}{'of CPU':>9}{'peak MB':>10}")
    for rows in (commands, steps):
        for name, row in rows.items():
            seconds = f"{row['seconds']:>9.2f}{row['cpu_seconds']:>9.2f}"
            print(f"{name:30}{seconds}{row['peak_mb']:>10,.0f}")
        print()
    for name in ("embed", "recover"):
        clock, cpu = (
            float(commands[name][key]) / float(commands["libraw"][key])
            for key in ("seconds", "cpu_seconds")
        )
        print(f"{name}: {clock:.1f} times LibRaw by the clock, {cpu:.1f} times of processor")
    print(
        f"PSNR {figures['psnr']:.2f} dB (unclipped {figures['psnr_unclipped']:.2f} dB), "
        f"SSIM {figures['ssim']:.4f}, {figures['bits_per_pixel']:.3f} bits a pixel"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds and peak memory of each step.")
    parser.add_argument("raw", type=Path, nargs="?", help="by default the sample")
    parser.add_argument(
        "--megapixels", type=float, nargs="+", default=[None], help="tile the picture up to these"
    )
    parser.add_argument("--effort", type=int, default=1, help="of embedding")
    parser.add_argument("--turns", type=int, default=1, help="of which each row is the median")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()

    if arguments.json and os.getloadavg()[0] > BUSY:
        sys.exit(f"busy (load {os.getloadavg()[0]:.1f}): --json is for a quiet machine")
    where = subprocess.run(
        [sys.executable, str(HERE / "machine.py")], check=True, capture_output=True, text=True
    ).stdout.strip()
    print(where)
    result = []
    for megapixels in arguments.megapixels:
        with tempfile.TemporaryDirectory() as folder:
            raw = arguments.raw or sample()
            if megapixels:
                large = Path(folder, "large.dng")
                tile = [sys.executable, "-c", TILE, str(raw), str(large), str(megapixels)]
                subprocess.run(tile, check=True)
                raw = large
            commands, steps = measure(raw, Path(folder), arguments.effort, arguments.turns)
        show(commands, steps)
        result.append({"megapixels": megapixels, "commands": commands, "steps": steps})
    if arguments.json:
        kept = {"machine": where, "effort": arguments.effort, "sizes": result}
        text = json.dumps(kept, indent=2)
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
