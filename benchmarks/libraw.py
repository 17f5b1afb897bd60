"""Our rendering against LibRaw's: python benchmarks/libraw.py [RAW...] [--json FILE]

Levels, demosaic, as-shot white balance, color matrix and gamma, nothing else: no tone curve, no
automatic brightness, no lens shading; LibRaw gives 16 bits. PSNR over all pixels; over those at
least 8 pixels from the border; of these, over those with nothing within 4 pixels that white balance
clips, and over the others. The rows below the first take one difference after the other away.
Menon's method and AHD are not meant to agree; the last row has two of LibRaw's own.

A headerless file (.raw, 16 bits, little-endian, RGGB) takes --size and --levels; it gets a known
camera's color matrix and a gray world's white balance, and both read the same DNG.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import rawpy
import torch
from machine import describe, machine
from torch import Tensor
from torch.nn import functional

from isp_meta import Frame, Pipeline, Stage, read_raw, write_dng
from isp_meta.data import sample_path
from isp_meta.io import known_camera
from isp_meta.metrics import psnr
from isp_meta.stages import BlackLevel, ColorMatrix, Demosaic, Gamma, WhiteBalance, gray_world
from isp_meta.stages.demosaic import DemosaicMethod
from isp_meta.stages.white_balance import as_shot_gains

SRGB, LINEAR_LIGHT = (2.4, 12.92), (1, 1)
BORDER, REACH = 8, 4
KNOWN = ("Canon", "EOS 5D Mark III")


class GainsBeforeDemosaic(Stage):
    """White balance of the mosaic, clipped: the place where LibRaw has it."""

    needs = gives = frozenset({"mosaic"})

    def forward(self, frame: Frame) -> Frame:
        """Replaces ``mosaic``."""
        gains = as_shot_gains(frame.camera.as_shot_neutral).float()
        balanced = frame.require("mosaic", by="GainsBeforeDemosaic").clone()
        for place, color in enumerate(frame.camera.cfa):
            balanced[:, place // 2 :: 2, place % 2 :: 2] *= gains["RGB".index(color)]
        return frame.replace(mosaic=balanced.clamp(0, 1))


def libraw(
    raw: rawpy.RawPy, algorithm: str, gamma: tuple[float, float] = SRGB
) -> tuple[Tensor, Tensor]:
    """(3, H, W) in [0, 1], and the (3, 3) matrix that LibRaw applies."""
    codes = raw.postprocess(
        demosaic_algorithm=rawpy.DemosaicAlgorithm[algorithm],
        output_color=rawpy.ColorSpace.sRGB,
        output_bps=16,
        gamma=gamma,
        use_camera_wb=True,
        user_flip=0,
        no_auto_bright=True,
        highlight_mode=rawpy.HighlightMode.Clip,
        adjust_maximum_thr=0,
    )
    picture = torch.from_numpy(codes.astype(np.float32)).movedim(-1, 0) / 65535
    return picture, torch.tensor(raw.color_matrix[:, :3])


def ours(
    method: DemosaicMethod, matrix: Tensor | None = None, first: bool = False, gamma: bool = True
) -> Pipeline:
    """The same steps; ``first``: the gains before the demosaic."""
    balance = WhiteBalance([1.0, 1.0, 1.0]) if first else WhiteBalance()
    return Pipeline(
        [
            BlackLevel(),
            *([GainsBeforeDemosaic()] if first else []),
            Demosaic(method),
            balance,
            ColorMatrix(matrix),
            *([Gamma()] if gamma else []),
        ]
    )


def compare(path: Path) -> list[dict[str, str | float]]:
    frame = read_raw(path)
    clipped = Pipeline([BlackLevel(), GainsBeforeDemosaic()])(frame).mosaic >= 1
    near = functional.max_pool2d(clipped.float(), 2 * REACH + 1, 1, REACH)[0] > 0
    inside = torch.zeros_like(near)
    inside[BORDER:-BORDER, BORDER:-BORDER] = True
    near &= inside
    rows: list[dict[str, str | float]] = []

    def row(name: str, one: Tensor, other: Tensor) -> None:
        parts = {"all": None, "inside": inside, "unclipped": inside & ~near, "clipped": near}
        figures = {part: round(psnr(one, other, where), 2) for part, where in parts.items()}
        rows.append({"compared": name, **figures})

    with rawpy.imread(str(path)) as raw:
        theirs, matrix = libraw(raw, "LINEAR")
        row("bilinear - LINEAR", ours("bilinear")(frame).srgb, theirs)
        row("  with LibRaw's matrix", ours("bilinear", matrix)(frame).srgb, theirs)
        row("  and gains before it", ours("bilinear", matrix, first=True)(frame).srgb, theirs)
        theirs, _ = libraw(raw, "LINEAR", LINEAR_LIGHT)
        row("  and no gamma", ours("bilinear", matrix, first=True, gamma=False)(frame).rgb, theirs)
        ahd, _ = libraw(raw, "AHD")
        row("menon - AHD", ours("menon")(frame).srgb, ahd)
        row("  and both as above", ours("menon", matrix, first=True)(frame).srgb, ahd)
        row("LibRaw: DCB - AHD", libraw(raw, "DCB")[0], ahd)
    return rows


def wrapped(path: Path, size: tuple[int, int], levels: tuple[float, float], folder: str) -> Path:
    """The DNG that holds a headerless file."""
    width, height = size
    codes = torch.from_numpy(np.fromfile(path, "<u2").reshape(1, height, width).astype(np.float32))
    camera = known_camera(*KNOWN).replace(black_level=levels[:1] * 4, white_level=levels[1])
    frame = Pipeline([BlackLevel(), Demosaic("bilinear")])(Frame(camera, codes=codes))
    gains = gray_world(frame.raw)
    camera = camera.replace(as_shot_neutral=tuple((gains[1] / gains).tolist()))
    target = Path(folder, path.with_suffix(".dng").name)
    write_dng(target, Frame(camera, raw=frame.mosaic.expand(3, -1, -1)))
    return target


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description="Our rendering against LibRaw's.")
    parser.add_argument("raws", type=Path, nargs="*", help="by default the sample")
    parser.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--levels", type=float, nargs=2, metavar=("BLACK", "WHITE"))
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    headerless = [raw for raw in arguments.raws if raw.suffix == ".raw"]
    if headerless and not (arguments.size and arguments.levels):
        parser.error(f"{headerless[0]}: takes --size and --levels")

    where = machine() | {
        "rawpy": rawpy.__version__,
        "libraw": ".".join(map(str, rawpy.libraw_version)),
    }
    print(describe(where).splitlines()[0])
    print(f"LibRaw {where['libraw']}, rawpy {where['rawpy']}")
    tables = {}
    with tempfile.TemporaryDirectory() as folder:
        for raw in arguments.raws or [sample_path()]:
            is_headerless = raw in headerless
            path = (
                wrapped(raw, arguments.size, tuple(arguments.levels), folder)
                if is_headerless
                else raw
            )
            tables[raw.name] = rows = compare(path)
            print(f"\n{raw.name:24}{'PSNR, dB':>10}{'inside':>10}{'unclipped':>11}{'clipped':>9}")
            for row in rows:
                print(
                    "{compared:24}{all:>10.2f}{inside:>10.2f}{unclipped:>11.2f}"
                    "{clipped:>9.2f}".format(**row)
                )
    if arguments.json:
        result = {"machine": where, "pictures": tables}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
