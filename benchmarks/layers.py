"""Stages as layers, beside other libraries: python benchmarks/layers.py [NAME ...] [--compiled]

Every stage, preset and random camera on one picture of 12 megapixels and on a batch of 32 of
128x128 pixels, without gradients. Seconds are the processor's, of all threads, the least of the
runs; memory is what the process held at its peak beyond what it held before. Others: kornia's
debayering, blur and color; colour-demosaicing where it is installed; and filters as convolutions
with a choice by place, which is how pytorch-debayer states bilinear and Malvar's.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from machine import describe, machine
from torch import Tensor
from torch.nn import functional

from isp_meta import Frame, Pipeline, presets
from isp_meta.export import TensorPipeline
from isp_meta.pipeline.stopwatch import Stopwatch
from isp_meta.stage import Stage
from isp_meta.stages import Demosaic

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import every_stage

PRESETS = ("minimal", "karaimer_brown", "local_tone", "camera")
SIZES = {"12 MP": (1, 3000, 4000), "32 of 128x128": (32, 128, 128)}
Layer = Callable[[Tensor], Tensor]
# Malvar's filters (ICASSP 2004, figure 2), eighths: green at red, red at green in its own row, and
# red at blue; that in a column is the second turned.
_GREEN = [[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]]
_ROW = [
    [0, 0, 0.5, 0, 0],
    [0, -1, 0, -1, 0],
    [-1, 4, 5, 4, -1],
    [0, -1, 0, -1, 0],
    [0, 0, 0.5, 0, 0],
]
_CORNERS = [
    [0, 0, -1.5, 0, 0],
    [0, 2, 0, 2, 0],
    [-1.5, 0, 6, 0, -1.5],
    [0, 2, 0, 2, 0],
    [0, 0, -1.5, 0, 0],
]


def convolved(mosaic: Tensor) -> Tensor:
    """Malvar's demosaic of RGGB: one convolution at every pixel, then a choice by place."""
    row = torch.tensor(_ROW)
    kernels = torch.stack([torch.tensor(_GREEN), row, row.T, torch.tensor(_CORNERS)])[:, None] / 8
    found = functional.conv2d(functional.pad(mosaic, (2, 2, 2, 2), mode="reflect"), kernels)
    cross, along_row, along_column, corners = found.split(1, 1)
    height, width = mosaic.shape[-2:]
    odd_row = torch.arange(height)[:, None] % 2 == 1
    odd_column = torch.arange(width) % 2 == 1
    is_green = odd_row ^ odd_column
    in_row = torch.where(odd_row, along_column, along_row)
    in_column = torch.where(odd_row, along_row, along_column)
    red = torch.where(is_green, in_row, torch.where(odd_row, corners, mosaic))
    green = torch.where(is_green, mosaic, cross)
    blue = torch.where(is_green, in_column, torch.where(odd_row, mosaic, corners))
    return torch.cat([red, green, blue], 1)


def others() -> dict[str, tuple[str, Layer]]:
    """Of other libraries: what goes in, and the function; named after the stage to compare with."""
    found: dict[str, tuple[str, Layer]] = {"Demosaic malvar, convolution": ("mosaic", convolved)}
    try:
        import kornia
    except ImportError:
        return found
    matrix = torch.tensor(every_stage.MIX)
    found["Demosaic bilinear, kornia"] = (
        "mosaic",
        lambda picture: kornia.color.raw_to_rgb(picture, kornia.color.CFA.BG),
    )
    found["Sharpening, kornia"] = (
        "srgb",
        lambda picture: kornia.filters.unsharp_mask(picture, (5, 5), (0.8, 0.8)),
    )
    found["Gamma, kornia"] = ("rgb", kornia.color.linear_rgb_to_rgb)
    found["ColorMatrix, kornia's color"] = ("rgb", kornia.color.rgb_to_xyz)
    found["ColorMatrix, einsum"] = (
        "rgb",
        lambda picture: torch.einsum("ij,njhw->nihw", matrix, picture),
    )
    found["Saturation, kornia"] = ("rgb", lambda p: kornia.enhance.adjust_saturation(p, 0.7))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import colour_demosaicing as package
    except ImportError:
        return found
    for name in ("bilinear", "Malvar2004", "Menon2007"):
        function = getattr(package, f"demosaicing_CFA_Bayer_{name}")
        found[f"Demosaic {name.lower()}, colour-demosaicing"] = (
            "mosaic",
            lambda picture, function=function: torch.stack(
                [torch.as_tensor(function(one[0].numpy(), "RGGB")) for one in picture]
            ).movedim(-1, 1),
        )
    return found


def ours() -> dict[str, tuple[str, Layer]]:
    def layer(stages: Pipeline | Stage, taken: str, given: str) -> tuple[str, Layer]:
        pipeline = stages if isinstance(stages, Pipeline) else Pipeline([stages])
        return taken, TensorPipeline(pipeline, every_stage.CAMERA, taken, given).eval()

    found = {}
    for name in every_stage.EXAMPLES:
        stage = every_stage.make(name)
        methods = ("bilinear", "malvar", "menon") if name == "Demosaic" else ()
        for method in methods:
            found[f"Demosaic {method}"] = layer(Demosaic(method), "mosaic", "raw")
        if not methods:
            found[name] = layer(stage, min(stage.needs), min(stage.gives))
    for name in PRESETS:
        found[name] = layer(getattr(presets, name)(), "codes", "srgb")
    generator = torch.Generator().manual_seed(0)
    found["random, 32 pictures"] = layer(
        presets.random(generator, pictures=32, jpeg="differentiable"), "codes", "srgb"
    )
    return found


def measure(layer: Layer, picture: Tensor, runs: int) -> dict[str, float]:
    seconds, clock, memory = [], [], []
    for _ in range(runs):
        watch = Stopwatch(Frame(raw=picture))
        before = _held()
        begun, started = _processor(), time.perf_counter()
        layer(picture)
        seconds.append(_processor() - begun)
        clock.append(time.perf_counter() - started)
        watch.lap([every_stage.make("Gamma")], [1.0])
        memory.append((watch.times[-1].peak_bytes or 0) - before)
    return {
        "seconds": round(min(seconds), 4),
        "clock": round(min(clock), 4),
        "megabytes": round(min(memory) / 1e6),
    }


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _held() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description="Stages as layers, beside other libraries.")
    parser.add_argument("names", nargs="*", help="beginnings of rows; by default all")
    parser.add_argument("--compiled", action="store_true", help="compile each for each size first")
    parser.add_argument("--sizes", nargs="*", default=list(SIZES), choices=SIZES)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    where = machine()
    print(describe(where))
    layers = dict(sorted((ours() | others()).items()))
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for size in arguments.sizes:
        number, height, width = SIZES[size]
        print(f"\n{size:44}{'seconds':>10}{'clock':>10}{'MB':>8}")
        frame = every_stage.frame_of(height, width, batch=(number,))
        for name, (taken, layer) in layers.items():
            if not name.startswith(tuple(arguments.names)) and arguments.names:
                continue
            if "32 pictures" in name and number != 32:
                continue
            run = torch.compile(layer, dynamic=False) if arguments.compiled else layer
            picture = frame.require(taken, "benchmark")
            run(picture)
            found = measure(run, picture, arguments.runs)
            rows.setdefault(name, {})[size] = found
            print(f"{name:44}{found['seconds']:10.3f}{found['clock']:10.3f}{found['megabytes']:8}")
            sys.stdout.flush()
    if arguments.json:
        result = {"machine": where, "compiled": arguments.compiled, "layers": rows}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
