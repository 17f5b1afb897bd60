"""Speed and PSNR of demosaicing: python benchmarks/demosaic.py [FOLDER] [--json FILE]

PSNR: sRGB pictures (TIFF, PNG; 8 bits) from the folder, or else the sample as `presets.minimal`
renders it, are made mosaics and demosaiced again; a border of 10 pixels does not count, and of
several pictures the mean does. Beside it the package colour-demosaicing, where it is installed, and
LibRaw. Seconds: the fastest of the runs on noise, without gradients; all methods take turns.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import rawpy
import torch
from machine import describe, machine
from torch import Tensor

from isp_meta import Frame, presets, read_raw, write_dng
from isp_meta.camera import Camera
from isp_meta.data import sample_path
from isp_meta.io import decode_image, remosaic
from isp_meta.stages import demosaic
from isp_meta.stages.demosaic import DemosaicMethod

CFA = "RGGB"
BORDER = 10
LIBRAW = ("LINEAR", "VNG", "PPG", "AHD", "DCB", "DHT", "AAHD")
TOP = 65535
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


def libraw(mosaic: Tensor, algorithm: str) -> Tensor:
    """By LibRaw, through a DNG of 16 bits; no white balance, no scaling, no color conversion."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mosaic.dng")
        frame = Frame(Camera(cfa=CFA), raw=mosaic.expand(3, -1, -1))
        write_dng(path, frame, cfa=True, compress="none")
        with rawpy.imread(str(path)) as raw:
            codes = raw.postprocess(
                demosaic_algorithm=rawpy.DemosaicAlgorithm[algorithm],
                output_color=rawpy.ColorSpace.raw,
                output_bps=16,
                gamma=(1, 1),
                user_wb=[1.0, 1.0, 1.0, 1.0],
                user_flip=0,
                user_black=0,
                user_sat=TOP,
                no_auto_bright=True,
                no_auto_scale=True,
                adjust_maximum_thr=0,
            )
    return torch.from_numpy(codes.astype(np.float32)).movedim(-1, 0).to(mosaic).div_(TOP)


def methods() -> dict[str, Method]:
    ours = {
        name: lambda mosaic, name=name: demosaic(mosaic, CFA, name)
        for name in get_args(DemosaicMethod)
    }
    theirs = {f"LibRaw {name}": lambda mosaic, name=name: libraw(mosaic, name) for name in LIBRAW}
    return ours | colour_demosaicing() | theirs


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
