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
from machine import describe, machine
from numpy.typing import NDArray
from PIL import Image

from isp_meta import CaptureOptions, embed, recover, write_dng
from isp_meta.data import sample_path

sys.path.append(str(Path(__file__).parents[1] / "scripts"))
from programs import DARKTABLE, RAWTHERAPEE

Picture = NDArray[np.float64]
# XYZ of linear sRGB (IEC 61966-2-1), over its white.
TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
) / np.array([[0.9505], [1.0], [1.089]])


def lab(levels: NDArray[np.uint8]) -> Picture:
    """CIELAB of 8-bit sRGB."""
    value = np.arange(256) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)[levels]
    xyz = linear @ TO_XYZ.T
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def ciede2000(one: Picture, other: Picture) -> Picture:
    """Difference of CIELAB values, (..., 3): Sharma, Wu, Dalal, Color Res. Appl. 30, 2005."""
    (l1, a1, b1), (l2, a2, b2) = (np.moveaxis(v, -1, 0) for v in (one, other))
    mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 1.5 - 0.5 * np.sqrt(mean**7 / (mean**7 + 25.0**7))
    a1, a2 = g * a1, g * a2
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.arctan2(b1, a1) % (2 * np.pi), np.arctan2(b2, a2) % (2 * np.pi)
    gray = c1 * c2 == 0
    turn = np.where(gray, 0, (h2 - h1 + np.pi) % (2 * np.pi) - np.pi)
    light, chroma, hue = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(turn / 2)
    middle_l, middle_c = (l1 + l2) / 2, (c1 + c2) / 2
    middle_h = np.where(gray, h1 + h2, h1 + turn / 2)
    t = (
        1
        - 0.17 * np.cos(middle_h - np.pi / 6)
        + 0.24 * np.cos(2 * middle_h)
        + 0.32 * np.cos(3 * middle_h + np.pi / 30)
        - 0.20 * np.cos(4 * middle_h - 63 * np.pi / 180)
    )
    degrees = np.degrees(middle_h) % 360
    rotation = np.radians(60 * np.exp(-(((degrees - 275) / 25) ** 2)))
    seventh = np.sqrt(middle_c**7 / (middle_c**7 + 25.0**7))
    s_l = 1 + 0.015 * (middle_l - 50) ** 2 / np.sqrt(20 + (middle_l - 50) ** 2)
    chroma, hue = chroma / (1 + 0.045 * middle_c), hue / (1 + 0.015 * middle_c * t)
    square = (light / s_l) ** 2 + chroma**2 + hue**2 - np.sin(rotation) * 2 * seventh * chroma * hue
    return np.sqrt(np.maximum(square, 0))


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
        "lossless, mosaic": (CaptureOptions(lossless=True), True),
        "default, mosaic": (CaptureOptions(), True),
        "default, linear": (CaptureOptions(), False),
    }
    files = {}
    for kind, (options, cfa) in kinds.items():
        files[kind] = folder / f"{raw.stem}-{kind.replace(', ', '-')}.dng"
        if not files[kind].exists():
            jpeg = folder / f"{raw.stem}-{kind.partition(',')[0]}.jpg"
            if not jpeg.exists():
                embed(raw, jpeg, options)
            write_dng(files[kind], recover(jpeg), cfa=cfa)
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
            if found.shape == wanted.shape:
                bands = range(
                    0, len(wanted), 256
                )  # of rows: in double precision all takes a gigabyte
                error = np.concatenate(
                    [ciede2000(lab(wanted[t : t + 256]), lab(found[t : t + 256])) for t in bands]
                )
                row["ΔE2000 mean"], row["ΔE2000 99 %"] = error.mean(), np.percentile(error, 99)
                row["largest"] = int(abs(wanted.astype(int) - found).max())
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
            f"ΔE2000 {row.get('ΔE2000 mean', np.nan):.3f}, "
            f"99 %: {row.get('ΔE2000 99 %', np.nan):.2f}; "
            f"largest {row.get('largest', 'another size')}; "
            f"magenta {row['magenta of the original']:.2%} -> {row['magenta']:.2%}"
        )
    if options.json is not None:
        text = json.dumps({"machine": known, "rows": rows}, indent=1, ensure_ascii=False)
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
