"""Speed and PSNR of demosaicing: python benchmarks/demosaic.py [FOLDER] [--json FILE]

PSNR: sRGB pictures (TIFF, PNG; 8 bits) from the folder, or else the sample as `presets.minimal`
renders it, are made mosaics and demosaiced again; a border of 10 pixels does not count, and of
several pictures the mean does. Beside it the package colour-demosaicing, where it is installed, and
LibRaw. Seconds: the fastest of the runs on noise, without gradients; all methods take turns.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import torch
from machine import describe, machine
from torch import Tensor

from isp_meta import presets, read_raw
from isp_meta.camera import Camera
from isp_meta.data import sample_path
from isp_meta.io import decode_image, remosaic
from isp_meta.io.libraw_demosaic import LibRawAlgorithm, libraw_demosaic
from isp_meta.stages import demosaic
from isp_meta.stages.demosaic import DemosaicMethod

CFA = "RGGB"
BORDER = 10
Method = Callable[[Tensor], Tensor]


def colour_demosaicing() -> dict[str, Method]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import colour_demosaicing as package
    except ImportError:
        return {}
    functions = {
        "bilinear": package.demosaicing_CFA_Bayer_bilinear,
        "malvar": package.demosaicing_CFA_Bayer_Malvar2004,
        "menon": package.demosaicing_CFA_Bayer_Menon2007,
    }

    def method(function: Callable[..., object]) -> Method:
        return lambda mosaic: torch.as_tensor(function(mosaic[0].numpy(), CFA)).movedim(-1, 0)

    return {f"colour-demosaicing {name}": method(f) for name, f in functions.items()}


def methods() -> dict[str, Method]:
    ours = {
        name: lambda mosaic, name=name: demosaic(mosaic, CFA, name)
        for name in get_args(DemosaicMethod)
    }
    libraw = {
        f"LibRaw {name}": lambda mosaic, name=name: libraw_demosaic(mosaic, Camera(cfa=CFA), name)
        for name in get_args(LibRawAlgorithm)
    }
    return ours | colour_demosaicing() | libraw


def pictures(folder: Path | None) -> list[Tensor]:
    if folder is None:
        return [presets.minimal()(read_raw(sample_path())).srgb.double()]
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in {".tif", ".tiff", ".png"})
    return [decode_image(file.read_bytes(), file.name).double() / 255 for file in files]


def psnr(method: Method, truths: list[Tensor]) -> float:
    values = []
    for truth in truths:
        error = (method(remosaic(truth, CFA)) - truth)[:, BORDER:-BORDER, BORDER:-BORDER]
        values.append(-10 * float(error.square().mean().log10()))
    return sum(values) / len(values)


def seconds(every: dict[str, Method], mosaic: Tensor, runs: int) -> dict[str, float]:
    fastest = dict.fromkeys(every, float("inf"))
    for _ in range(runs):
        for name, method in every.items():
            start = time.perf_counter()
            method(mosaic)
            fastest[name] = min(fastest[name], time.perf_counter() - start)
    return fastest


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description="Speed and PSNR of demosaicing.")
    parser.add_argument("folder", type=Path, nargs="?", help="of sRGB pictures; else the sample")
    parser.add_argument("--megapixels", type=float, default=12.0, help="of the timed mosaic")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()

    where = machine()
    print(describe(where))
    truths, every = pictures(arguments.folder), methods()
    side = round((arguments.megapixels * 1e6) ** 0.5 / 2) * 2
    times = seconds(every, torch.rand(1, side, side), arguments.runs)
    rows = [
        {
            "method": name,
            "psnr": round(psnr(method, truths), 3),
            "seconds": round(times[name], 4),
            "seconds_per_megapixel": round(times[name] / (side * side / 1e6), 5),
        }
        for name, method in every.items()
    ]
    print(f"PSNR of {len(truths)} pictures; seconds for {side}x{side} pixels")
    print(f"{'method':30}{'PSNR dB':>9}{'seconds':>10}{'a megapixel':>13}")
    for row in rows:
        print("{method:30}{psnr:>9.3f}{seconds:>10.3f}{seconds_per_megapixel:>13.4f}".format(**row))
    if arguments.json:
        result = {"machine": where, "pictures": len(truths), "methods": rows}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
