"""What metadata take and what recovery makes of them: cells, steps and codings.

``python benchmarks/rate.py PICTURE... --name NAME [--preset camera] [--cells N ...]``

Each picture is rendered by a preset to a JPEG of quality 95, 4:4:4, and sampled from what that
decodes to. Bits are of whole payloads, as coded; PSNR is over linear raw-RGB, peak 1, from
LocalRBFReconstructor on what the payload decodes to, which is the same for every coding. Results
go to benchmarks/results/rate/NAME.json, ``--table`` prints such a file.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import torch

from isp_meta import codec, io, presets, reconstruct, samplers, scenes
from isp_meta.carriers import jpeg as jpeg_carrier
from isp_meta.frame import Frame
from isp_meta.metrics import psnr
from isp_meta.samples import Samples

RESULTS = Path(__file__).parent / "results" / "rate"
SAMPLERS = {"superpixel": samplers.SuperpixelSampler, "uniform": samplers.UniformSampler}

Row = dict[str, Any]


def rendered(path: Path, preset: str) -> tuple[Frame, torch.Tensor, bytes]:
    """A picture with the sRGB of its JPEG, those pixels, and the JPEG's bytes."""
    pipeline = getattr(presets, preset)()
    if path.suffix.lower() in (".png", ".tif", ".tiff"):
        frame = scenes.render_scene(scenes.read_scene(path), scenes.without_file(pipeline))
    else:
        frame = pipeline(io.read_raw(path), keep=("raw", "srgb"))
        frame = frame.replace(raw=frame.raw.clamp(0, 1))
    data = io.encode_jpeg(
        frame.srgb, quality=95, subsampling="4:4:4", camera=frame.camera, space=frame.space
    )
    pixels = io.decode_image(data, str(path))
    return frame.replace(srgb=pixels.float().div_(255)), pixels, data


def measured(
    frame: Frame, pixels: torch.Tensor, data: bytes, samples: Samples, steps: codec.Steps
) -> Row:
    """Bits of every coding, seconds of each, and the PSNR of what they lead to."""
    binding = codec.Binding.of(pixels, jpeg_carrier.scan_digest(data))
    payload = codec.Payload(samples, frame.camera, binding, steps)
    row: Row = {
        "samples": len(samples),
        "levels": steps.levels,
        "slope": steps.slope,
        "codings": {},
    }
    for coding in get_args(codec.Coding):
        start = time.process_time()
        packed = codec.encode(payload, coding=coding, pixels=pixels)
        middle = time.process_time()
        payload_again = codec.decode(packed, lambda: pixels)
        end = time.process_time()
        row["codings"][coding] = {
            "bits_per_pixel": round(8 * len(packed) / (samples.height * samples.width), 5),
            "bits_per_sample": round(8 * len(packed) / len(samples), 3),
            "encode_seconds": round(middle - start, 3),
            "decode_seconds": round(end - middle, 3),
        }
    kept = frame.replace(raw=None, samples=payload_again.samples)
    row["psnr"] = round(psnr(reconstruct.LocalRBFReconstructor()(kept), frame.raw), 3)
    return row


def rows(path: Path, preset: str, cells: list[int], levels: list[int]) -> Iterator[Row]:
    """Cells at the default steps, then other steps at cells of 8 pixels."""
    frame, pixels, data = rendered(path, preset)
    about = {"picture": path.name, "preset": preset}
    for name, sampler in SAMPLERS.items():
        for cell in cells:
            samples = sampler(cell)(frame)
            steps = codec.Steps()
            yield {**about, "sampler": name, "cell": cell} | measured(
                frame, pixels, data, samples, steps
            )
    samples = samplers.SuperpixelSampler(8)(frame)
    others = [codec.Steps(n) for n in levels if n != codec.Steps().levels]
    for steps in (*others, codec.Steps.linear(14), codec.Steps.linear(16)):
        yield {**about, "sampler": "superpixel", "cell": 8} | measured(
            frame, pixels, data, samples, steps
        )


def table(results: list[Row]) -> str:
    """Markdown, a line for each row."""
    codings = get_args(codec.Coding)
    head = ["picture", "preset", "sampler", "cell", "steps", "PSNR, dB"]
    lines = [
        " | ".join(["", *head, *(f"{c}, bits a pixel (a sample)" for c in codings), ""]).strip(),
        "| " + " | ".join(["---"] * (len(head) + len(codings))) + " |",
    ]
    for row in results:
        linear = row["slope"] == 64
        steps = f"{(row['levels'] + 1).bit_length() - 1} bits" if linear else row["levels"]
        bits = (row["codings"][c] for c in codings)
        cells = [row["picture"], row["preset"], row["sampler"], row["cell"], steps, row["psnr"]]
        cells += [f"{b['bits_per_pixel']:.3f} ({b['bits_per_sample']:.1f})" for b in bits]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measures, or prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="*", type=Path)
    parser.add_argument("--name", help="of the file of results")
    parser.add_argument(
        "--preset", default="minimal", choices=["minimal", "karaimer_brown", "camera"]
    )
    parser.add_argument("--cells", nargs="+", type=int, default=[4, 6, 8, 12, 16, 24, 32])
    parser.add_argument("--levels", nargs="+", type=int, default=[80, 113, 160, 226, 320, 453, 640])
    parser.add_argument("--table", type=Path, help="prints this file of results instead")
    options = parser.parse_args()
    if options.table:
        print(table(json.loads(options.table.read_text(encoding="utf-8"))))
        return
    if not options.pictures or not options.name:
        parser.error("pictures and --name are needed")
    results: list[Row] = []
    RESULTS.mkdir(parents=True, exist_ok=True)
    for path in options.pictures:
        with torch.no_grad():
            for row in rows(path, options.preset, options.cells, options.levels):
                results.append(row)
                print(table([row]).splitlines()[-1], flush=True)
                text = json.dumps(results, indent=1) + "\n"
                (RESULTS / f"{options.name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
