"""Speed and PSNR of demosaicing: python benchmarks/demosaic.py [FOLDER] [--json FILE]

PSNR: sRGB pictures (TIFF, PNG; 8 bits) from the folder, or else the sample as `presets.minimal`
renders it, are made mosaics and demosaiced again; a border of 10 pixels does not count, and of
several pictures the mean does. Once as they are and once in linear light, which sensors see.
Mosaics are Bayer's, X-Trans and Quad Bayer. Beside it the package colour-demosaicing, where it is
installed, and LibRaw, which takes X-Trans of 512 pixels a side or more and no Quad Bayer. Seconds:
the fastest of the runs on noise, without gradients; all methods take turns.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rawpy
import torch
from machine import describe, machine
from torch import Tensor

from isp_meta import Frame, presets, read_raw, write_dng
from isp_meta.camera import QUAD_BAYER, XTRANS, Camera
from isp_meta.data import sample_path
from isp_meta.io import decode_image, remosaic
from isp_meta.stages import demosaic, srgb_decode
from isp_meta.stages.demosaic import METHODS, method_for
from isp_meta.stages.periodic import surrounded

FILTERS = {"Bayer": "RGGB", "X-Trans": XTRANS, "Quad Bayer": QUAD_BAYER}
CFA = FILTERS["Bayer"]
BORDER = 10
# What LibRaw has for X-Trans: Markesteijn's method in one pass, and in three.
LIBRAW_XTRANS = {"LINEAR": "linear", "PPG": "1 pass", "AHD": "3 passes"}
LEAST_XTRANS = 516
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


def libraw(mosaic: Tensor, algorithm: str, cfa: str = CFA) -> Tensor:
    """By LibRaw, through a DNG of 16 bits; no white balance, no scaling, no color conversion."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mosaic.dng")
        frame = Frame(Camera(cfa=cfa), raw=mosaic.expand(3, -1, -1))
        write_dng(path, frame, compress="none")
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


def libraw_xtrans(mosaic: Tensor, algorithm: str) -> Tensor:
    """By LibRaw, from a mosaic that goes on beyond its edges as far as LibRaw needs."""
    height, width = mosaic.shape[1:]
    rows, columns = (max(LEAST_XTRANS - side, 0) for side in (height, width))
    whole = surrounded(mosaic, XTRANS, (0, rows), (0, columns))
    return libraw(whole, algorithm, XTRANS)[:, :height, :width]


def methods() -> dict[str, dict[str, Method]]:
    """By the mosaic's name."""
    every: dict[str, dict[str, Method]] = {}
    for filter_name, cfa in FILTERS.items():
        chosen = [name for name in METHODS if method_for(cfa, name) == name]
        every[filter_name] = {
            name: lambda mosaic, name=name, cfa=cfa: demosaic(mosaic, cfa, name) for name in chosen
        }
    every["Bayer"] |= colour_demosaicing() | {
        f"LibRaw {name}": lambda mosaic, name=name: libraw(mosaic, name) for name in LIBRAW
    }
    every["X-Trans"] |= {
        f"LibRaw {shown}": lambda mosaic, name=name: libraw_xtrans(mosaic, name)
        for name, shown in LIBRAW_XTRANS.items()
    }
    return every


def pictures(folder: Path | None) -> list[Tensor]:
    if folder is None:
        return [presets.minimal()(read_raw(sample_path())).srgb.double()]
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in {".tif", ".tiff", ".png"})
    return [decode_image(file.read_bytes(), file.name).double() / 255 for file in files]


def psnr(method: Method, cfa: str, truths: list[Tensor]) -> float:
    values = []
    for truth in truths:
        error = (method(remosaic(truth, cfa)).clamp(0, 1) - truth)[
            :, BORDER:-BORDER, BORDER:-BORDER
        ]
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
    truths = pictures(arguments.folder)
    linear = [srgb_decode(truth) for truth in truths]
    side = round((arguments.megapixels * 1e6) ** 0.5 / 12) * 12
    mosaic = torch.rand(1, side, side)
    rows = []
    print(f"PSNR of {len(truths)} pictures; seconds for {side}x{side} pixels")
    print(f"{'mosaic':12}{'method':30}{'PSNR dB':>9}{'linear':>9}{'seconds':>10}")
    for name, every in methods().items():
        cfa = FILTERS[name]
        times = seconds(every, mosaic, arguments.runs)
        for method, function in every.items():
            row = {
                "mosaic": name,
                "method": method,
                "psnr": round(psnr(function, cfa, truths), 3),
                "psnr_linear": round(psnr(function, cfa, linear), 3),
                "seconds": round(times[method], 4),
                "seconds_per_megapixel": round(times[method] / (side * side / 1e6), 5),
            }
            rows.append(row)
            print(
                "{mosaic:12}{method:30}{psnr:>9.3f}{psnr_linear:>9.3f}{seconds:>10.3f}".format(
                    **row
                )
            )
    if arguments.json:
        result = {"machine": where, "pictures": len(truths), "methods": rows}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
