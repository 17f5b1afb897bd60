"""Seconds of each stage: python benchmarks/stages.py [RAW] [--pipeline TOML | --preset NAME]

The picture is tiled or cut to 1 and 12 megapixels. Each pipeline runs as `isp-meta embed` runs it,
without gradients, consecutive pointwise stages band by band; and once more stage by stage. Of three
runs the fastest counts.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from machine import describe, machine

import isp_meta
from isp_meta import Frame, Pipeline, presets
from isp_meta.data import sample_path

RUNS = 3


def resized(frame: Frame, megapixels: float) -> Frame:
    codes = frame.require("codes", "benchmark")
    _, height, width = codes.shape
    codes = codes[:, : height // 2 * 2, : width // 2 * 2]
    scale = (megapixels * 1e6 / (height * width)) ** 0.5
    bottom, right = round(height * scale / 2) * 2, round(width * scale / 2) * 2
    times = -(-bottom // codes.shape[1]), -(-right // codes.shape[2])
    return frame.replace(codes=codes.tile(1, *times)[:, :bottom, :right].contiguous())


@torch.no_grad()
def stage_by_stage(pipeline: Pipeline, frame: Frame) -> list[float]:
    taps = [pipeline.tap(position, lambda _frame: None) for position in range(len(pipeline))]
    _, times = pipeline.profile(frame, keep=("raw", "srgb"))
    for tap in taps:
        tap.remove()
    return [time.seconds for time in times]


@torch.no_grad()
def in_bands(pipeline: Pipeline, frame: Frame) -> list[float]:
    _, times = pipeline.profile(frame, keep=("raw", "srgb"))
    return [time.seconds for time in times]


def measure(pipeline: Pipeline, frame: Frame) -> list[dict[str, str | float]]:
    columns = [
        min((run(pipeline, frame) for _ in range(RUNS)), key=sum)
        for run in (in_bands, stage_by_stage)
    ]
    return [
        {"stage": type(stage).__name__, "seconds": round(bands, 4), "apart": round(apart, 4)}
        for stage, bands, apart in zip(pipeline, *columns, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds of each stage.")
    parser.add_argument("raw", type=Path, nargs="?", help="by default the sample")
    parser.add_argument("--pipeline", type=Path, help="a file; by default a preset")
    parser.add_argument("--preset", default="minimal", choices=presets.__all__)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()

    where = machine()
    print(describe(where))
    frame = isp_meta.read_raw(arguments.raw or sample_path())
    made = arguments.pipeline and Pipeline.from_toml(arguments.pipeline)
    pipeline = (made or getattr(presets, arguments.preset)()).bind(frame.camera)
    tables = {}
    for megapixels in (1, 12):
        rows = measure(pipeline, resized(frame, megapixels))
        tables[megapixels] = rows
        print(f"\n{f'{megapixels} megapixels':24}{'seconds':>10}{'stage by stage':>16}")
        for row in rows:
            print(f"{row['stage']:24}{row['seconds']:>10.3f}{row['apart']:>16.3f}")
        total, apart = (sum(float(row[key]) for row in rows) for key in ("seconds", "apart"))
        print(f"{'all':24}{total:>10.3f}{apart:>16.3f}")
    if arguments.json:
        result = {"machine": where, "megapixels": tables}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
