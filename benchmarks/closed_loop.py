"""What effort at capture brings: decibels, coded bits a pixel and seconds, by effort.

``python benchmarks/closed_loop.py PICTURES... [--presets A,B] [--inputs 8bit,jpeg95]
[--samplers uniform,superpixel] [--efforts 0,1,2] [--json FILE]``

PICTURES are what ``isp-meta evaluate`` reads: raw files, linear 16-bit PNG, folders of them. Beside
the efforts 0 to 2 there is ``model``: effort 1 with every sample where the sampler put it. What is
stored is coded in default steps, and decoded, as a JPEG would carry it. Seconds are by the clock,
CPU seconds are those of all threads: on a busy machine, only these say what an idle one takes.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import torch
from machine import machine

from isp_meta import codec, io
from isp_meta.capture.loop import close_loop
from isp_meta.capture.loop.fit import fit_model
from isp_meta.cli.methods import file_inputs, renderings, split
from isp_meta.decoder import Guide
from isp_meta.frame import Frame, Sampler
from isp_meta.metrics import psnr
from isp_meta.reconstruct import LocalRBFReconstructor
from isp_meta.samplers import SuperpixelSampler, UniformSampler
from isp_meta.samples import Samples
from isp_meta.scenes import find_scenes, read_scene, render_scene

COLUMNS = ("psnr", "bits_per_pixel", "seconds", "cpu_seconds", "recover_cpu_seconds")


def samplers(text: str, cell: int) -> dict[str, Sampler]:
    known = {"uniform": UniformSampler(cell), "superpixel": SuperpixelSampler(cell)}
    return {name: known[name] for name in split(text)}


def stored(frame: Frame, samples: Samples) -> tuple[Frame, int]:
    """What recovery gets, and the bits of the whole payload."""
    binding = codec.Binding.of(io.to_uint8(frame.srgb), bytes(32))
    data = codec.encode(codec.Payload(samples, frame.camera, binding))
    decoded = codec.decode(data).samples
    return Frame(frame.camera, srgb=frame.srgb, samples=decoded), 8 * len(data)


def model_alone(frame: Frame) -> Samples:
    model = fit_model(Guide(frame.srgb), frame.raw, frame.samples, 36)
    return replace(frame.samples, model=model)


def tried(frame: Frame, effort: str) -> dict[str, float]:
    """Figures of one effort, of a frame with ``raw``, ``srgb`` as in the file, and ``samples``."""
    wall, cpu = time.perf_counter(), time.process_time()
    samples = model_alone(frame) if effort == "model" else close_loop(frame, int(effort))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    kept, bits = stored(frame, samples)
    start = time.process_time()
    estimate = LocalRBFReconstructor()(kept)
    return {
        "psnr": psnr(estimate, frame.raw),
        "bits_per_pixel": bits / (samples.height * samples.width),
        "seconds": wall,
        "cpu_seconds": cpu,
        "recover_cpu_seconds": time.process_time() - start,
    }


def mean(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: sum(row[name] for row in rows) / len(rows) for name in COLUMNS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--presets", default="minimal,camera")
    parser.add_argument("--inputs", default="jpeg95")
    parser.add_argument("--samplers", default="uniform,superpixel")
    parser.add_argument("--efforts", default="0,model,1,2")
    parser.add_argument("--cell", type=int, default=8)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_grad_enabled(False)
    scenes = [scene for path in options.pictures for scene in find_scenes(path)]
    ways, files = renderings(options.presets), file_inputs(options.inputs)
    found: list[dict[str, object]] = []
    print("rendering input sampler effort pictures", *COLUMNS)
    for way in ways:
        frames = {scene: render_scene(read_scene(scene), way.pipeline) for scene in scenes}
        for file in files:
            shown = {scene: f.replace(srgb=file(f.srgb)) for scene, f in frames.items()}
            for name, sampler in samplers(options.samplers, options.cell).items():
                sampled = {s: f.replace(samples=sampler(f)) for s, f in shown.items()}
                for effort in split(options.efforts):
                    rows = {scene.name: tried(f, effort) for scene, f in sampled.items()}
                    labels = way.name, file.name, name, effort
                    figures = mean(list(rows.values()))
                    print(*labels, len(rows), *(f"{v:.3f}" for v in figures.values()), flush=True)
                    keys = ("rendering", "input", "sampler", "effort")
                    found.append({**dict(zip(keys, labels, strict=True)), "pictures": rows})
                    if options.json:
                        result = {"machine": machine(), "cell": options.cell, "rows": found}
                        text = json.dumps(result, indent=1) + "\n"
                        options.json.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
