"""Beside the same JPEG, in the same bits: what others would make of the raw.

``python benchmarks/rivals.py [RAW...] [--noise E] [--crop WxH] [--layout TOML] [--rates A,B]
[--methods A,B] [--again] [--folder FOLDER]``

A picture is rendered by the preset ``minimal`` to a JPEG of quality 95, 4:4:4, and each method gets
the same bits a photosite on top of that JPEG: ours by ``--bpp`` and with default settings, JPEG XL,
HTJ2K and AVIF of the mosaic's four color planes, JPEG XL of what a few of our samples leave, and
``miniraw``, where that is installed (``pip install miniraw``). Of each point:

- bits a photosite, beside the JPEG and with it;
- dB over photosites, linear and after the square root, peak 1;
- the error in deviations of the noise, where noise was added: median, 99.9 %, worst;
- the error of 16x16 means against that of white noise, at each stop;
- what is left after each edit: see ``isp-meta compare --edits``;
- processor seconds there and back, and memory beyond what the process held.

``--noise 6000`` puts noise of so many electrons on the codes first, ``--crop`` takes the middle.
Each point is written as soon as it is measured to FOLDER/PICTURE.json, by default in
``benchmarks/results/rivals``; a run that was stopped goes on there. ``benchmarks/draw_rivals.py``
makes chart and tables of it.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from machine import describe, machine
from rival_codecs import (
    CODECS,
    Codec,
    Fitted,
    Values,
    has_miniraw,
    lossless,
    miniraw_codec,
    mosaic_of,
    planes,
    residual_codec,
)
from torch import Tensor

from isp_meta import CaptureOptions, Frame, Pipeline, embed, io, recover
from isp_meta.comparison import edit_errors, stops
from isp_meta.data import sample_path
from isp_meta.errors import RateNotReached
from isp_meta.metrics import psnr
from isp_meta.stages import BlackLevel, Demosaic, noisy_codes

RESULTS = Path(__file__).resolve().parent / "results" / "rivals"
RATES = (0.03, 0.1, 0.2, 0.38, 0.84, 1.5, 2.5)
# Of the guess whose residual a codec gets: samples so sparse that they cost next to nothing.
GUESS = CaptureOptions(cell=32, enhancement=0)
RESIDUAL = "our samples, 1 in 32×32, and JPEG XL of the rest"
DEFAULTS = {f"isp_meta, --effort {effort}": effort for effort in (0, 1, 2)}
BPP = {"isp_meta, --bpp": 1, "isp_meta, --bpp --effort 2": 2}
EXACT = "exact"
METHODS = (EXACT, *DEFAULTS, *list(BPP)[:1], *CODECS, RESIDUAL, "miniraw", *list(BPP)[1:])

Result = TypeVar("Result")
Point = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Subject:
    """A picture that all are measured on.

    Attributes:
        frame: with ``codes``. mosaic: (1, H, W) in [0, 1], raw: (3, H, W), both of these codes.
        folder: of its files, among them ``raw.dng``. jpeg_bits: a photosite, of the bare JPEG.
        noisy: its camera states its noise.
    """

    frame: Frame
    mosaic: Tensor
    raw: Tensor
    folder: Path
    jpeg_bits: float
    noisy: bool

    @property
    def pixels(self) -> int:
        return self.mosaic.numel()


def demosaiced(frame: Frame) -> Tensor:
    raw: Tensor = Demosaic()(frame).require("raw", "rivals").clamp(0, 1)
    return raw


def subject(frame: Frame, noisy: bool, folder: Path) -> Subject:
    io.write_mosaic(folder / "raw.dng", frame, overwrite=True)
    made = embed(frame, folder / "plain.jpg", CaptureOptions(effort=0), overwrite=True)
    true = Pipeline([BlackLevel()])(frame)
    mosaic = true.require("mosaic", "rivals").clamp(0, 1)
    bits = 8 * made.picture_bytes / mosaic.numel()
    return Subject(frame, mosaic, demosaiced(true), folder, bits, noisy)


def cropped(frame: Frame, size: str | None) -> Frame:
    """The middle of it, at whole periods of the mosaic, and with even sides."""
    codes = frame.require("codes", "rivals")
    height, width = codes.shape[1:]
    wide, high = map(int, size.split("x")) if size else (width, height)
    wide, high = min(wide, width) // 2 * 2, min(high, height) // 2 * 2
    top, left = (height - high) // 4 * 2, (width - wide) // 4 * 2
    camera = frame.camera.replace(editing=None)
    return Frame(camera, codes=codes[:, top : top + high, left : left + wide].contiguous())


def measured(work: Callable[[], Result]) -> tuple[Result, float, float]:
    """A result, its processor seconds, and the memory that it took beyond what was held, MB."""
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    start = time.process_time()
    result = work()
    seconds = time.process_time() - start
    return result, round(seconds, 2), round((_memory("VmHWM") - before) / 1e3, 1)


def _memory(name: str) -> int:
    """Kilobytes of this process."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def quality(mosaic: Tensor, of: Subject) -> Point:
    """Figures of a recovered mosaic, (1, H, W), which is what everybody's DNG holds."""
    camera = of.frame.camera
    edits = edit_errors(demosaiced(Frame(camera, mosaic=mosaic)), of.raw, camera)
    found: Point = {
        "psnr": psnr(mosaic, of.mosaic),
        "psnr_sqrt": psnr(mosaic.sqrt(), of.mosaic.sqrt()),
        "clumping": [[stop.below, stop.clumping] for stop in stops(mosaic, of.mosaic)],
        "edits": {e.name: [e.psnr, e.delta_e, e.blotches] for e in edits},
    }
    if of.noisy and camera.noise is not None:
        shot, read = camera.noise
        sigmas = ((mosaic - of.mosaic).abs() / (shot * of.mosaic + read).sqrt()).flatten()
        marks = np.quantile(sigmas.numpy(), (0.5, 0.999, 1))
        found["sigmas"] = [round(float(mark), 3) for mark in marks]
    return found


def ours(options: CaptureOptions, of: Subject) -> Point | None:
    path = of.folder / "ours.jpg"
    try:
        made, there, memory = measured(lambda: embed(of.frame, path, options, overwrite=True))
    except RateNotReached:
        return None
    frame, back, memory_back = measured(lambda: recover(path))
    return {
        "bits": made.bits_per_pixel,
        "seconds": [there, back],
        "memory_mb": max(memory, memory_back),
        **quality(io.remosaic(frame.require("raw", "rivals"), of.frame.camera.cfa), of),
    }


def theirs(codec: Codec, of: Subject, rates: list[float], extra: float) -> Iterator[Point | None]:
    """A point for each rate, of which ``extra`` bits are not the codec's own."""
    values: Values = planes(of.mosaic[0].numpy())
    files = Fitted(codec, values)
    for rate in rates:
        size = (rate - extra) * of.pixels / 8
        number = files.number(size) if size > 0 else None
        yield None if number is None else coded(codec, of, values, number, extra)


def coded(codec: Codec, of: Subject, values: Values, number: float, extra: float) -> Point:
    data, there, memory = measured(lambda: codec.encode(values, number))
    back, seconds, memory_back = measured(lambda: codec.decode(data))
    mosaic = torch.from_numpy(mosaic_of(back)).float().clamp(0, 1)[None]
    return {
        "bits": 8 * len(data) / of.pixels + extra,
        "number": number,
        "seconds": [there, seconds],
        "memory_mb": max(memory, memory_back),
        **quality(mosaic, of),
    }


def residual(of: Subject) -> tuple[Codec, float]:
    """JPEG XL of what our sparsest samples leave, and these samples' bits."""
    made = embed(of.frame, of.folder / "guess.jpg", GUESS, overwrite=True)
    guess = io.remosaic(recover(made.path).require("raw", "rivals"), of.frame.camera.cfa)
    return residual_codec(planes(guess[0].numpy())), made.bits_per_pixel


def exact(of: Subject) -> Iterator[tuple[str, Point]]:
    codes = of.frame.require("codes", "rivals")
    path = of.folder / "exact.jpg"
    made = embed(of.frame, path, CaptureOptions(lossless=True, effort=0), overwrite=True)
    assert torch.equal(recover(path).require("codes", "rivals"), codes)
    yield "isp_meta, --lossless", {"bits": made.bits_per_pixel}
    sizes = lossless(codes[0].numpy().astype(np.uint16), of.folder / "raw.dng")
    for name, size in sizes.items():
        yield f"{name}, lossless", {"bits": 8 * size / of.pixels}


def points(method: str, of: Subject, rates: list[float]) -> Iterator[tuple[str, float | None, Any]]:
    """Name, rate that was asked for, and figures of each point; None: there is no file so small."""
    if method == EXACT:
        for name, point in exact(of):
            yield name, None, point
    elif method in DEFAULTS:
        yield method, None, ours(CaptureOptions(effort=DEFAULTS[method]), of)
    elif method in BPP:
        for rate in rates:
            yield method, rate, ours(CaptureOptions(bpp=rate, effort=BPP[method]), of)
    else:
        codec, extra = theirs_of(method, of)
        for rate, found in zip(rates, theirs(codec, of, rates, extra), strict=True):
            yield method, rate, found


def theirs_of(method: str, of: Subject) -> tuple[Codec, float]:
    """The codec of that name, and bits that must be there beside its own."""
    if method == RESIDUAL:
        return residual(of)
    if method == "miniraw":
        camera = of.frame.camera
        black = sum(camera.black_level) / len(camera.black_level)
        return miniraw_codec(of.folder / "raw.dng", camera.white_level, black), 0.0
    return CODECS[method], 0.0


def commit() -> str:
    folder = Path(__file__).resolve().parent
    call = ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"]
    return subprocess.run(call, capture_output=True, text=True, check=False).stdout.strip()


def run(source: Path, electrons: float | None, given: argparse.Namespace, folder: Path) -> None:
    layout = io.read_layout(given.layout) if given.layout else None
    frame = cropped(io.read_raw(source, layout=layout), given.crop)
    name = source.stem
    if electrons is not None:
        frame, name = noisy_codes(frame, electrons), f"{name}-{electrons:g}"
    file = given.folder / f"{name}.json"
    record: dict[str, Any] = {"points": []}
    if file.exists() and not given.again:
        record = json.loads(file.read_text(encoding="utf-8"))
    of = subject(frame, electrons is not None, folder)
    size = list(of.mosaic.shape[1:])
    if record.setdefault("size", size) != size:
        raise SystemExit(f"{file}: was measured on another part; --again measures anew")
    record |= {"picture": source.stem, "electrons": electrons, "jpeg_bits": of.jpeg_bits}
    done = {(point["method"], point["asked"]) for point in record["points"]}
    for method in given.methods.split("|"):
        rates: list[Any] = [
            r for r in map(float, given.rates.split(",")) if (method, r) not in done
        ]
        if (method, None) in done or (method == EXACT and ("JPEG XL, lossless", None) in done):
            continue
        for known, rate, point in points(method, of, rates):
            found: Point = {"method": known, "asked": rate, **(point or {"bits": None})}
            record["points"].append(found)
            record |= {"machine": machine(), "commit": commit()}
            file.write_text(json.dumps(_finite(record), indent=1) + "\n", encoding="utf-8")
            told = f"{found['bits'] or math.nan:.3f} bits, {found.get('psnr', math.nan):.2f} dB"
            print(f"{name}: {known}, {rate or ''}: {told}", flush=True)


def _finite(value: Any) -> Any:
    """For JSON: what is not finite becomes None, the rest has six figures."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("raws", nargs="*", type=Path)
    parser.add_argument("--noise", type=float, help="electrons of a saturated pixel")
    parser.add_argument("--crop", metavar="WxH", help="of the middle; default all of it")
    parser.add_argument("--layout", type=Path, help="TOML of raws without a header")
    parser.add_argument("--rates", default=",".join(map(str, RATES)), help="bits a photosite")
    parser.add_argument("--methods", default="|".join(METHODS), help="between bars")
    parser.add_argument("--again", action="store_true", help="forget what was measured")
    parser.add_argument("--folder", type=Path, default=RESULTS)
    given = parser.parse_args()
    torch.set_grad_enabled(False)
    given.folder.mkdir(parents=True, exist_ok=True)
    print(describe(machine()))
    if not has_miniraw():
        given.methods = "|".join(m for m in given.methods.split("|") if m != "miniraw")
    for source in given.raws or [sample_path()]:
        with tempfile.TemporaryDirectory() as folder:
            run(Path(source), given.noise, given, Path(folder))


if __name__ == "__main__":
    main()
