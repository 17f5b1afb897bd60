"""PSNR against bits a pixel: samples alone, and with an enhancement of what recovery misses.

``python benchmarks/enhancement.py RAW... [--presets A,B] [--bpp 0.03,0.1,...] [--json FILE]
[--figure FILE]``

Every point is a JPEG of quality 95 that ``embed`` wrote for that rate and ``recover`` read; bits
are those of the whole metadata. --figure draws the rows of --json, without measuring where no RAW
is given.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import machine

import isp_meta
from isp_meta import presets
from isp_meta.errors import RateNotReached
from isp_meta.metrics import psnr

# Bits a pixel of the metadata of Nam et al., CVPR 2022, and of R2LCM, Wang et al., IJCV 2024.
PUBLISHED = {"Nam et al.": 0.844, "R2LCM": 0.376}
WAYS: dict[str, dict[str, Any]] = {
    "samples": {"enhancement": 0.0},
    "enhanced": {},
    "enhanced, effort 2": {"effort": 2},
}


def measured(
    raw: Path, preset: str, options: isp_meta.CaptureOptions, folder: Path
) -> dict[str, float]:
    picture = folder / "a.jpg"
    pipeline = getattr(presets, preset)()
    start = time.process_time()
    made = isp_meta.embed(raw, picture, options, pipeline=pipeline, overwrite=True)
    middle = time.process_time()
    recovered = isp_meta.recover(picture).raw
    end = time.process_time()
    samples = made.frame.samples
    return {
        "bits_per_pixel": made.bits_per_pixel,
        "psnr": psnr(recovered, made.frame.raw),
        "samples": len(samples),
        "jpeg_bytes": made.picture_bytes,
        "embed_cpu_seconds": round(middle - start, 2),
        "recover_cpu_seconds": round(end - middle, 2),
    }


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    rates = [float(rate) for rate in options.bpp.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        for raw in options.raws:
            for preset in options.presets.split(","):
                points = [
                    (way, isp_meta.CaptureOptions(**given, bpp=bpp), bpp)
                    for way, given in WAYS.items()
                    for bpp in rates
                ]
                for way, given, bpp in points:
                    row = {"picture": raw.stem, "preset": preset, "way": way, "asked": bpp}
                    try:
                        row |= measured(raw, preset, given, Path(folder))
                    except RateNotReached:
                        continue
                    rows.append(row)
                    print(json.dumps(row), flush=True)
                    if options.json:
                        write(options.json, rows)
    return rows


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    text = json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n"
    path.write_text(text, encoding="utf-8")


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    from matplotlib.figure import Figure

    pictures = sorted({(row["picture"], row["preset"]) for row in rows})
    figure = Figure(figsize=(9, 3.2 * ((len(pictures) + 1) // 2)), layout="constrained")
    grid = figure.subplots((len(pictures) + 1) // 2, 2, sharex=True, sharey=True, squeeze=False)
    for axes, (picture, preset) in zip(grid.flat, pictures, strict=False):
        for way in WAYS:
            line = [
                (row["bits_per_pixel"], row["psnr"])
                for row in rows
                if (row["picture"], row["preset"], row["way"]) == (picture, preset, way)
            ]
            axes.plot(*zip(*sorted(line), strict=True), marker="o", markersize=3, label=way)
        for name, bits in PUBLISHED.items():
            axes.axvline(bits, color="gray", linewidth=0.6)
            axes.text(bits, axes.get_ylim()[0], f" {name}", rotation=90, fontsize=6, va="bottom")
        axes.set(title=f"{picture}, {preset}", xscale="log")
        axes.grid(alpha=0.3)
    for axes in grid[-1]:
        axes.set_xlabel("metadata, bits a pixel")
    for axes in grid[:, 0]:
        axes.set_ylabel("PSNR of raw, dB")
    grid[0, -1].legend(fontsize=7)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("raws", nargs="*", type=Path)
    parser.add_argument("--presets", default="minimal,camera")
    parser.add_argument("--bpp", default="0.03,0.06,0.1,0.2,0.376,0.844,2")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    if options.raws:
        rows = measure(options)
    else:
        rows = json.loads(options.json.read_text(encoding="utf-8"))["rows"]
    if options.figure:
        draw(rows, options.figure)


if __name__ == "__main__":
    main()
