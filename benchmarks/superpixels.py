"""Superpixels of one picture, ours and those of others: python benchmarks/superpixels.py [RAW]

Without an argument it takes the sample that comes with the package, tiled to a megapixel. Each is
asked for as many superpixels, one in 64 pixels, of the same sRGB, in the rounds that it has by
default. "explained": the share of the picture's variance that is left when every superpixel is its
mean (Moore et al., CVPR 2008). scikit-image's SLIC (Achanta et al., 2012) is measured where it is
installed, and so is fast-slic: pip install scikit-image fast-slic. Ours need not be connected.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import Others, describe, machine
from torch import Tensor

from isp_meta import presets
from isp_meta.data import sample_path
from isp_meta.frame import Frame
from isp_meta.io import read_raw
from isp_meta.samplers import SuperpixelSampler

CELL, ROUNDS = 8, 5
Labels = Callable[[], Any]


def picture(path: Path, megapixels: float) -> Frame:
    """Its middle, whole cells of it, or as often as it takes side by side."""
    frame = presets.minimal()(read_raw(path))
    side = int((1e6 * megapixels) ** 0.5) // CELL * CELL

    def cut(image: Tensor) -> Tensor:
        times = [-(-side // length) for length in image.shape[-2:]]
        return image.tile(1, *times)[:, :side, :side].contiguous()

    return Frame(camera=frame.camera, raw=cut(frame.raw), srgb=cut(frame.srgb))


def explained(srgb: np.ndarray, labels: np.ndarray) -> float:
    """Share of the variance that superpixels' means hold, of (H, W, 3) by (H, W) labels."""
    _, index = np.unique(labels, return_inverse=True)
    index, flat = index.ravel(), srgb.reshape(-1, 3).astype(np.float64)
    mass = np.bincount(index)
    means = np.stack([np.bincount(index, flat[:, c]) / mass for c in range(3)], 1)
    return float(1 - np.square(flat - means[index]).sum() / np.square(flat - flat.mean(0)).sum())


def methods(frame: Frame) -> dict[str, Labels]:
    srgb = frame.srgb.permute(1, 2, 0).contiguous().numpy()
    eight_bit = np.rint(255 * srgb).astype(np.uint8)
    count = srgb.shape[0] * srgb.shape[1] // CELL**2
    ours = SuperpixelSampler(CELL, alpha=1.0)
    found: dict[str, Labels] = {"isp_meta, soft SLIC": lambda: ours.superpixels(frame).numpy()}
    if importlib.util.find_spec("skimage"):
        from skimage.segmentation import slic

        found["scikit-image SLIC"] = lambda: slic(srgb, n_segments=count, start_label=0)
    if importlib.util.find_spec("fast_slic"):
        from fast_slic import Slic

        found["fast-slic"] = lambda: Slic(num_components=count, compactness=10).iterate(eight_bit)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Superpixels, ours and those of others.")
    parser.add_argument("raw", type=Path, nargs="?", help="a raw file; the sample by default")
    parser.add_argument("--megapixels", type=float, default=1.0)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    given = parser.parse_args()
    others = Others()
    frame = picture(given.raw or sample_path(), given.megapixels)
    srgb = frame.srgb.permute(1, 2, 0).numpy()
    print(describe(machine()))
    print(f"{srgb.shape[0]}x{srgb.shape[1]}, medians of {ROUNDS}")
    rows = []
    for name, run in methods(frame).items():
        labels = run()
        seconds = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
        row = {"method": name, "seconds": statistics.median(seconds)}
        row |= {"superpixels": len(np.unique(labels)), "explained": explained(srgb, labels)}
        rows.append(row)
        print(f"{name:22}{row['seconds']:8.3f} s{row['superpixels']:8}{row['explained']:8.4f}")
    if given.json:
        if others.busy():
            sys.exit(f"NOT RECORDED: others used {others.cores():.2f} cores meanwhile")
        result = {"machine": machine() | {"others": others.cores()}, "rows": rows}
        given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
