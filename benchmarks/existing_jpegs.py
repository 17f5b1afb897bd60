"""How well a raw comes back from the JPEG of another converter, embedded into by default settings.

    python benchmarks/existing_jpegs.py RAW [RAW ...] [--json FILE]

Each converter at hand develops each raw file by its own defaults, with settings of a fresh
installation: RawTherapee and darktable by their command lines, LibRaw by rawpy, and that once more
turned a quarter, three times as bright and cropped. Last is the JPEG that isp_meta renders itself.
docs/existing-jpegs.md shows the table.
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
from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "scripts"))
from programs import DARKTABLE, RAWTHERAPEE, Program

import isp_meta
from isp_meta.capture.embed import Embedded
from isp_meta.comparison import compare

# Of a turned picture: rows at the top and bottom, columns at the left and right.
CROP = np.s_[37:-20, 13:-50]


def rawtherapee(raw: Path, jpeg: Path) -> None:
    command = [RAWTHERAPEE.path(), "-d", "-j95", "-js3", "-Y", "-o", jpeg, "-c", raw]
    home = str(jpeg.parent / "rt")
    fresh = {**os.environ, "RT_SETTINGS": home, "RT_CACHE": home}
    subprocess.run(command, check=True, capture_output=True, env=fresh)


def darktable(raw: Path, jpeg: Path) -> None:
    folder = jpeg.parent / "dt"
    core = ["--core", "--configdir", folder, "--cachedir", folder, "--library", ":memory:"]
    command = [DARKTABLE.path(), raw, jpeg, *core]
    subprocess.run(command, check=True, capture_output=True)


def libraw(raw: Path, jpeg: Path, *, brightness: float = 1.0, turned: bool = False) -> None:
    with rawpy.imread(str(raw)) as file:
        rgb = file.postprocess(bright=brightness)
    picture = np.rot90(rgb)[CROP] if turned else rgb
    Image.fromarray(np.ascontiguousarray(picture)).save(jpeg, quality=92, subsampling="4:2:0")


def libraw_turned(raw: Path, jpeg: Path) -> None:
    libraw(raw, jpeg, brightness=3.0, turned=True)


CONVERTERS: dict[str, tuple[Program | None, Callable[[Path, Path], None]]] = {
    "RawTherapee": (RAWTHERAPEE, rawtherapee),
    "darktable": (DARKTABLE, darktable),
    "LibRaw": (None, libraw),
    "LibRaw, turned, brighter, cropped": (None, libraw_turned),
}


def figures(raw: Path, made: Embedded) -> dict[str, object]:
    found, _, _ = compare(raw, made.path, "malvar")
    row: dict[str, object] = {"width": found.width, "height": found.height}
    if made.registration is not None:
        place = made.registration.placement
        row |= {"turn": place.turn, "top": place.top, "left": place.left}
        row["share"] = round(made.registration.share, 4)
    row["bits_per_pixel"] = round(made.bits_per_pixel, 3)
    row["psnr"], row["psnr_unclipped"] = round(found.psnr, 2), round(found.psnr_unclipped, 2)
    return row


def measure(raw: Path, folder: Path) -> dict[str, dict[str, object]]:
    """Converter to figures, for the converters that are here."""
    rows = {}
    for name, (program, develop) in CONVERTERS.items():
        if program is not None and program.find() is None:
            continue
        picture, both = folder / "picture.jpg", folder / "both.jpg"
        picture.unlink(missing_ok=True)
        develop(raw, picture)
        rows[name] = figures(raw, isp_meta.embed(raw, both, existing=picture, overwrite=True))
        print(raw.name, name, rows[name], flush=True)
    rows["isp_meta"] = figures(raw, isp_meta.embed(raw, folder / "own.jpg", overwrite=True))
    print(raw.name, "isp_meta", rows["isp_meta"], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raws", nargs="+", type=Path, metavar="RAW")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    print(describe(machine()))
    rows = {}
    for raw in options.raws:
        with tempfile.TemporaryDirectory() as folder:
            rows[raw.stem] = measure(raw, Path(folder))
    if options.json:
        result = {"machine": machine(), "pictures": rows}
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
