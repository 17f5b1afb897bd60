"""Raw editors on the original and on what comes back: python benchmarks/editors.py [RAW...]

Each raw file is embedded twice, by default and without loss, recovered, and rendered by every
editor that is installed, with its own defaults, and by LibRaw. Beside the original: mean and 99th
percentile of CIEDE2000, the largest difference in 8-bit levels, the share of magenta pixels (red
and blue more than 30 levels above green), where clipped light that was corrected wrongly shows.

--folder keeps the recovered files and the renderings as PNG, and takes those that it has.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rawpy
import torch
from machine import describe, machine
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from isp_meta import CaptureOptions, embed, recover, write_dng
from isp_meta.colorimetry import SPACES, rgb_to_xyz, xy_to_xyz
from isp_meta.data import sample_path
from isp_meta.metrics import delta_e_2000, xyz_to_lab

sys.path.append(str(Path(__file__).parents[1] / "scripts"))
from programs import DARKTABLE, RAWTHERAPEE

WHITE = xy_to_xyz(torch.tensor(SPACES["srgb"].white, dtype=torch.float64))
# Rows at a time: in double precision a whole picture takes a gigabyte.
BAND = 256


def lab(levels: NDArray[np.uint8]) -> Tensor:
    """(3, H, W) CIELAB of 8-bit sRGB."""
    value = torch.arange(256, dtype=torch.float64) / 255
    linear = torch.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    rgb = linear[torch.from_numpy(levels.astype(np.int64))]
    return xyz_to_lab((rgb @ rgb_to_xyz("srgb").T).movedim(-1, 0), WHITE)


def middle(levels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The picture without what it has more at its edges: editors cut off what demosaicing needs."""
    top, left = ((n - m) // 2 for n, m in zip(levels.shape, size, strict=False))
    return levels[top : top + size[0], left : left + size[1]]


def run(command: list[object], home: Path) -> None:
    # With several threads RawTherapee makes another picture each time.
    alone = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "OMP_NUM_THREADS": "1"}
    environment = {**os.environ, **alone}
    subprocess.run(
        [str(part) for part in command], env=environment, capture_output=True, check=True
    )


def darktable(raw: Path, png: Path) -> None:
    home = png.parent / "darktable"
    run([DARKTABLE.path(), raw, png, "--core", "--configdir", home, "--library", ":memory:"], home)


def rawtherapee(raw: Path, png: Path) -> None:
    home = png.parent / "rawtherapee"
    home.mkdir(exist_ok=True)
    run([RAWTHERAPEE.path(), "-q", "-Y", "-n", "-d", "-o", png, "-c", raw], home)


def libraw(raw: Path, png: Path) -> None:
    with rawpy.imread(str(raw)) as opened:
        levels = opened.postprocess(use_camera_wb=True, no_auto_bright=True)
    Image.fromarray(levels).save(png)


def renderers() -> dict[str, Callable[[Path, Path], None]]:
    found: dict[str, Callable[[Path, Path], None]] = {}
    if DARKTABLE.find() is not None:
        found["darktable"] = darktable
    if RAWTHERAPEE.find() is not None:
        found["RawTherapee"] = rawtherapee
    return {**found, "LibRaw": libraw}


def recovered(raw: Path, folder: Path) -> dict[str, Path]:
    """What comes back of a raw file, by what it is."""
    kinds = {
        "lossless, mosaic": (CaptureOptions(lossless=True), False),
        "default, mosaic": (CaptureOptions(), False),
        "default, linear": (CaptureOptions(), True),
    }
    files = {}
    for kind, (options, linear) in kinds.items():
        files[kind] = folder / f"{raw.stem}-{kind.replace(', ', '-')}.dng"
        if not files[kind].exists():
            jpeg = folder / f"{raw.stem}-{kind.partition(',')[0]}.jpg"
            if not jpeg.exists():
                embed(raw, jpeg, options)
            write_dng(files[kind], recover(jpeg), linear=linear)
    return files


def levels_of(renderer: Callable[[Path, Path], None], raw: Path, png: Path) -> NDArray[np.uint8]:
    if not png.exists():
        renderer(raw, png)
    with Image.open(png) as picture:
        return np.asarray(picture.convert("RGB"))


def magenta(levels: NDArray[np.uint8]) -> float:
    red, green, blue = np.moveaxis(levels.astype(int), -1, 0)
    return float(((red > green + 30) & (blue > green + 30)).mean())


def measure(raw: Path, folder: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    files = recovered(raw, folder)
    for name, renderer in renderers().items():
        wanted = levels_of(renderer, raw, folder / f"{raw.stem}-{name}.png")
        for kind, file in files.items():
            found = levels_of(renderer, file, folder / f"{file.stem}-{name}.png")
            row: dict[str, object] = {"raw": raw.stem, "editor": name, "recovered": kind}
            row["magenta of the original"] = magenta(wanted)
            row["magenta"] = magenta(found)
            height, width = map(min, wanted.shape[:2], found.shape[:2])
            one, other = middle(wanted, (height, width)), middle(found, (height, width))
            bands = [slice(top, top + BAND) for top in range(0, height, BAND)]
            error = torch.cat([delta_e_2000(lab(one[b]), lab(other[b])).ravel() for b in bands])
            row["ΔE2000 mean"] = float(error.mean())
            row["ΔE2000 99 %"] = float(np.percentile(error.numpy(), 99))
            row["largest"] = int(abs(one.astype(int) - other).max())
            rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("raws", nargs="*", type=Path, default=[sample_path()], metavar="RAW")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    known = machine()
    print(describe(known))
    with tempfile.TemporaryDirectory() as own:
        folder = options.folder or Path(own)
        folder.mkdir(exist_ok=True, parents=True)
        rows = [row for raw in options.raws for row in measure(raw, folder)]
    for row in rows:
        print(
            f"{row['raw']:14} {row['editor']:12} {row['recovered']:17} "
            f"ΔE2000 {row['ΔE2000 mean']:.3f}, 99 %: {row['ΔE2000 99 %']:.2f}; "
            f"largest {row['largest']}; "
            f"magenta {row['magenta of the original']:.2%} -> {row['magenta']:.2%}"
        )
    if options.json is not None:
        text = json.dumps({"machine": known, "rows": rows}, indent=1, ensure_ascii=False)
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
