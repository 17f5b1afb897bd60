"""What it takes to keep a raw file's whole mosaic beside its JPEG, in bytes and in seconds.

``python benchmarks/lossless.py RAW... [--quality 95] [--noise E] [--layout TOML] [--json FOLDER]``

The JPEG with the mosaic in its metadata (``embed(..., lossless=True)``, its samples included)
against the same JPEG beside the mosaic as a DNG of lossless JPEG, and beside the mosaic in lossless
JPEG XL, effort 7, its four colors side by side as planes of half size, which compresses best there.
Each mosaic is read back and compared with the original's, that of the recovered DNG by LibRaw.
Seconds in the table are the processor's, of all threads together. ``--noise`` puts the shot noise
of so many electrons on the codes first: files that a lossy codec has cleaned flatter every coder.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import imagecodecs
import numpy as np
import torch
from machine import describe, machine
from numpy.typing import NDArray

import isp_meta
from isp_meta import Frame, codec, io
from isp_meta.data import sample_path
from isp_meta.stages import noisy_codes

Result = TypeVar("Result")
Codes = NDArray[np.uint16]


def timed(work: Callable[[], Result]) -> tuple[Result, dict[str, float]]:
    wall, processor = time.perf_counter(), time.process_time()
    result = work()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return result, {"wall": round(wall, 2), "cpu": round(processor, 2)}


def planes(mosaic: Codes) -> Codes:
    """The four colors side by side; mosaics of an odd side lose their last row or column."""
    height, width = (side // 2 * 2 for side in mosaic.shape)
    even = mosaic[:height, :width]
    rows = [np.concatenate([even[y::2, 0::2], even[y::2, 1::2]], 1) for y in (0, 1)]
    return np.ascontiguousarray(np.concatenate(rows, 0))


def measure(truth: Frame, quality: int, folder: Path) -> dict[str, object]:
    codes = truth.require("codes", "benchmark")
    mosaic = codes[0].numpy().astype(np.uint16)
    jpeg, dng = folder / "a.jpg", folder / "a.dng"
    made, embed_seconds = timed(
        lambda: isp_meta.embed(
            truth, jpeg, isp_meta.CaptureOptions(quality=quality, lossless=True), overwrite=True
        )
    )
    metadata = isp_meta.read_metadata(jpeg)
    stored = metadata.payload.mosaic
    assert stored is not None
    frame, recover_seconds = timed(lambda: isp_meta.recover(jpeg))
    _, dng_seconds = timed(lambda: io.write_mosaic(dng, frame, overwrite=True))
    again, read_seconds = timed(lambda: io.read_raw(dng))
    assert torch.equal(again.require("codes", "benchmark"), codes)
    pixels, cfa = metadata.pixels, truth.camera.cfa
    guided, encode_seconds = timed(lambda: codec.Mosaic.of(codes, cfa, pixels=pixels))
    assert guided.data == stored.data
    back, decode_seconds = timed(lambda: guided.codes(*mosaic.shape, pixels=pixels))
    assert torch.equal(back, codes)
    alone, alone_seconds = timed(lambda: codec.Mosaic.of(codes, cfa))
    assert torch.equal(alone.codes(*mosaic.shape), codes)
    xl, xl_seconds = timed(
        lambda: imagecodecs.jpegxl_encode(
            planes(mosaic), lossless=True, effort=7, numthreads=torch.get_num_threads()
        )
    )
    back_xl, xl_back_seconds = timed(lambda: imagecodecs.jpegxl_decode(xl))
    assert np.array_equal(back_xl, planes(mosaic))
    return {
        "width": mosaic.shape[1],
        "height": mosaic.shape[0],
        "codes": len(np.unique(mosaic)),
        "quality": quality,
        "bytes": {
            "jpeg": made.picture_bytes,
            "metadata": made.payload_bytes,
            "of it the mosaic": len(stored.data),
            "mosaic alone": len(alone.data),
            "dng": dng.stat().st_size,
            "jpeg xl": len(xl),
        },
        "seconds": {
            "embed": embed_seconds,
            "recover": recover_seconds,
            "encode": encode_seconds,
            "decode": decode_seconds,
            "encode alone": alone_seconds,
            "write dng": dng_seconds,
            "read dng": read_seconds,
            "encode jpeg xl": xl_seconds,
            "decode jpeg xl": xl_back_seconds,
        },
        "machine": machine(),
    }


def table(name: str, found: dict[str, object]) -> str:
    size, seconds = found["bytes"], found["seconds"]
    assert isinstance(size, dict)
    assert isinstance(seconds, dict)
    jpeg, pixels = size["jpeg"], int(str(found["width"])) * int(str(found["height"]))
    rows = [
        ("JPEG that carries the mosaic", size["metadata"], "encode", "decode"),
        ("JPEG + lossless JPEG XL", size["jpeg xl"], "encode jpeg xl", "decode jpeg xl"),
        ("JPEG + lossless-JPEG DNG", size["dng"], "write dng", "read dng"),
    ]
    lines = [f"{name}: {found['width']}x{found['height']}, JPEG of {jpeg:,} bytes"]
    for label, extra, writes, reads in rows:
        work, back = seconds[writes]["cpu"], seconds[reads]["cpu"]
        lines.append(
            f"  {label:<29} {jpeg + extra:>11,} bytes, beside the JPEG {extra:>11,} "
            f"({8 * extra / pixels:.2f} bits a pixel), {work} s there, {back} s back"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("raw", nargs="*", type=Path)
    parser.add_argument("--quality", type=int, default=95)
    parser.add_argument("--noise", type=float, help="electrons of a saturated pixel")
    parser.add_argument("--layout", type=Path, help="TOML of raws without a header")
    parser.add_argument("--json", type=Path, help="folder for one file a RAW")
    options = parser.parse_args()
    print(describe(machine()))
    with tempfile.TemporaryDirectory() as folder:
        for source in options.raw or [sample_path()]:
            layout = io.read_layout(options.layout) if options.layout else None
            truth, name = io.read_raw(source, layout=layout), source.stem
            if options.noise:
                truth, name = noisy_codes(truth, options.noise), f"{name}-{options.noise:g}"
            found = measure(truth, options.quality, Path(folder))
            print(table(name, found))
            if options.json:
                options.json.mkdir(parents=True, exist_ok=True)
                suffix = "" if options.quality == 95 else f"-q{options.quality}"
                path = options.json / f"{name}{suffix}.json"
                path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
