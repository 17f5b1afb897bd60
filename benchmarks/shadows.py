"""What lifted shadows show: python benchmarks/shadows.py [RAW...] [--noise E,R] [--presets A,B]
[--options "--effort 2;--bpp 0.1"] [--json FILE] [--crops FOLDER]

Each raw file goes through the command line as anybody's would: ``isp-meta embed`` and back. Of the
values that the sensor measured:

- dB, linear, peak 1, and the metadata's bits a pixel;
- the error of means over 16x16 of a color against what white noise of its size would leave there,
  by their level: below 0.6, 2, 6 and 18 % of white, and above;
- specks: values below a quarter of the median of the 5x5 around them, in the raw and in the result;
- blotches: CIEDE2000 of means over 8x8 pixels of display light, as ``isp-meta compare --edits`` has
  it, as shot and lifted by 2 and 4 stops;
- processor seconds of embedding.

``--noise 6000,3`` puts shot noise of a full well of 6000 electrons and read noise of 3 on the codes
first, the same at every call. The GoPro files of the documentation were decoded from a lossy codec,
which took their own noise away. ``--crops`` writes a dark part, lifted by 5 stops: the raw, and the
result of each setting.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe, machine
from PIL import Image
from torch import Tensor
from torch.nn import functional

from isp_meta import Camera, compare, read_raw, recover
from isp_meta.comparison import Edit
from isp_meta.comparison.edits import develop
from isp_meta.data import sample_path
from isp_meta.io import remosaic, write_mosaic
from isp_meta.stages import noisy_codes, srgb_encode

LIFTS = [Edit(f"+{stops} EV", exposure=stops) for stops in (0, 2, 4)]
LEVELS = (0, 0.006, 0.02, 0.06, 0.18, 1)
SQUARE = 16
CROP, CROP_LIFT, ZOOM = 96, 5, 4
COMMAND = [sys.executable, "-c", "from isp_meta.cli import main; main()"]


def embedded(raw: Path, jpeg: Path, options: list[str]) -> float:
    """Embeds; processor seconds of all threads."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [*COMMAND, "embed", str(raw), "-o", str(jpeg), "--overwrite", *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def times_white(got: Tensor, truth: Tensor) -> list[float]:
    """Error of means over squares against that of white noise, at each of LEVELS."""
    planes = [(y, x) for y in (0, 1) for x in (0, 1)]
    parts = []
    for y, x in planes:
        true = truth[:, y::2, x::2]
        error = (got[:, y::2, x::2] - true)[None]
        means = (true[None], error, error.square())
        parts.append([functional.avg_pool2d(part, SQUARE).flatten() for part in means])
    level, mean, square = (torch.cat(part) for part in zip(*parts, strict=True))
    found = []
    for low, high in pairwise(LEVELS):
        here = (level >= low) & (level < high)
        white = square[here].mean().sqrt() / SQUARE
        found.append(float(mean[here].square().mean().sqrt() / white))
    return found


def lifted(raw: Tensor, camera: Camera) -> Tensor:
    return develop(raw, camera, Edit("crop", exposure=CROP_LIFT))


def crop(shown: Tensor, at: tuple[int, int]) -> Image.Image:
    top, left = at
    part = shown[:, top : top + CROP, left : left + CROP]
    codes = (srgb_encode(part) * 255).round().byte().movedim(0, -1).numpy()
    return Image.fromarray(codes).resize((CROP * ZOOM, CROP * ZOOM), Image.Resampling.NEAREST)


def darkest(shown: Tensor) -> tuple[int, int]:
    """Where a crop is darkest that still has something to see: about 1/100 of white."""
    means = functional.avg_pool2d(shown.mean(0)[None], CROP)[0]
    place = int((means.log() - torch.tensor(0.25).log()).abs().argmin())
    return place // means.shape[1] * CROP, place % means.shape[1] * CROP


def figures(raw: Path, jpeg: Path) -> tuple[dict[str, Any], tuple[Tensor, Tensor]]:
    frame = recover(jpeg)
    compared, got, true = compare(raw, jpeg, estimate=frame, edits=LIFTS)
    measured = [remosaic(picture, frame.camera.cfa) for picture in (got, true)]
    lit = [lifted(picture, frame.camera) for picture in (got, true)]
    return {**compared.as_dict(), "times_white": times_white(*measured)}, (lit[0], lit[1])


def shown(row: dict[str, Any]) -> str:
    white = " ".join(f"{v:.1f}" for v in row["times_white"])
    blotchy = " ".join(f"{v:.2f}" for v in (edit["blotches"] for edit in row["edits"]))
    return (
        f"{row['psnr_mosaic']:6.2f} {row['bits_per_pixel']:.4f} | {white} | {row['specks']} "
        f"({row['specks_of_raw']}) | {blotchy} | {row['cpu_seconds']:.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("raws", nargs="*", type=Path)
    parser.add_argument("--noise", help="full well and read noise, electrons")
    parser.add_argument("--presets", default="minimal,camera")
    parser.add_argument("--options", default="", help="of embed, several separated by semicolons")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--crops", type=Path)
    given = parser.parse_args()
    torch.set_grad_enabled(False)
    found: list[dict[str, Any]] = []
    print(describe(machine()))
    print("picture preset options | dB bits | times white | specks (raw) | blotches | embed s")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for raw in given.raws or [Path(sample_path())]:
            name = raw.stem
            if given.noise:
                name += f" {given.noise} e"
                electrons, read = map(float, given.noise.split(","))
                frame = noisy_codes(read_raw(raw), electrons, read)
                raw = work / raw.with_suffix(".dng").name
                write_mosaic(raw, frame, overwrite=True)
            crops: list[Image.Image] = []
            for preset in given.presets.split(","):
                for options in given.options.split(";"):
                    jpeg = work / "picture.jpg"
                    seconds = embedded(raw, jpeg, ["--preset", preset, *options.split()])
                    row, (result, original) = figures(raw, jpeg)
                    row["cpu_seconds"] = seconds
                    print(name, preset, options or "default", "|", shown(row), flush=True)
                    found.append({"picture": name, "preset": preset, "options": options, **row})
                    at = darkest(original)
                    crops += [crop(result, at)] if crops else [crop(original, at), crop(result, at)]
            if given.crops:
                given.crops.mkdir(parents=True, exist_ok=True)
                strip = Image.fromarray(np.concatenate([np.asarray(c) for c in crops], 1))
                strip.save(given.crops / f"{name.replace(' ', '-').replace(',', '-')}.png")
    if given.json:
        record = {"machine": machine(), "noise": given.noise, "rows": found}
        given.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).resolve().parents[1]))
    main()
