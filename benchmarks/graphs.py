"""Every stage and preset compiled and as ONNX: python benchmarks/graphs.py [NAME ...]

Each is compiled by inductor as one graph and exported with batch, height and width free, and run at
sizes that neither has seen. The record in results/graphs/stages.json, to which the named are added,
is what the table of docs/stages.md says of them. The examples are those of tests/every_stage.py.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import sys
from pathlib import Path

import torch
from machine import describe, machine

from isp_meta import Pipeline, presets
from isp_meta.export import TensorPipeline, graph
from isp_meta.export.pipelines import with_convolution

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import every_stage

RECORD = Path(__file__).resolve().parent / "results" / "graphs" / "stages.json"
PRESETS = ("minimal", "karaimer_brown", "local_tone", "camera")
# (pictures, height, width): the first is traced or compiled, the others are not.
SIZES = ((2, 34, 50), (3, 42, 38), (1, 96, 130))


def module(name: str, *, onnx: bool = False) -> TensorPipeline:
    """A preset whole, or a stage alone, from the one field that goes in to what comes out."""
    camera = every_stage.CAMERA
    if name in PRESETS:
        pipeline, taken, given = getattr(presets, name)(), "codes", "srgb"
    else:
        stage = every_stage.make(name)
        pipeline, taken, given = Pipeline([stage]), min(stage.needs), min(stage.gives)
    if onnx:
        pipeline = with_convolution(pipeline, camera.cfa)
    return TensorPipeline(pipeline, camera, taken, given).eval()


def picture(part: TensorPipeline, size: tuple[int, int, int]) -> torch.Tensor:
    frame = every_stage.frame_of(*size[1:], batch=size[:1])
    return frame.require(part.takes, "benchmark")


def seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def levels(found: torch.Tensor, true: torch.Tensor) -> float:
    """The largest difference, in 8-bit levels of the value 1."""
    return round(float((found - true).abs().max()) * 255, 4)


@torch.no_grad()
def compiled(name: str) -> dict[str, float]:
    """Processor seconds until the first picture is there, and what others differ by."""
    torch._dynamo.reset()
    part, begun = module(name), seconds()
    program = torch.compile(part, fullgraph=True, dynamic=True)
    program(picture(part, SIZES[0]))
    spent = seconds() - begun
    off = max(levels(program(picture(part, s)), part(picture(part, s))) for s in SIZES[1:])
    return {"compile_seconds": round(spent, 1), "compiled_levels": off}


@torch.no_grad()
def exported(name: str) -> dict[str, float]:
    part, begun = module(name), seconds()
    pictures = [picture(part, size) for size in SIZES]
    program = graph.traced(module(name, onnx=True), pictures[:1], dims=(0, 2, 3))
    traced = seconds()
    data = graph.onnx_bytes(program, ["picture"], ["result"])
    done = seconds()
    scale = 1 / every_stage.CAMERA.white_level if part.gives == "codes" else 1
    off = max(levels(graph.run(data, {"picture": p}) * scale, part(p) * scale) for p in pictures)
    return {
        "export": round(traced - begun, 1),
        "onnx": round(done - traced, 1),
        "onnx_bytes": len(data),
        "onnx_levels": off,
    }


def refusal(error: Exception) -> str:
    return str(error.__cause__ or error).splitlines()[0][:200]


def measure(name: str) -> dict[str, float | str]:
    found: dict[str, float | str] = {}
    for what, run in (("compile", compiled), ("onnx", exported)):
        try:
            found |= run(name)
        except Exception as error:  # exporters' and compilers' errors have no common type
            found[f"{what}_refused"] = refusal(error)
    return found


def main() -> None:
    names = [name for name in every_stage.EXAMPLES if not every_stage.excuse(name, "traced")]
    parser = argparse.ArgumentParser(description="Every stage compiled and as ONNX.")
    parser.add_argument("names", nargs="*", help="of stages and presets; by default all")
    parser.add_argument("--json", type=Path, default=RECORD, help="record that is added to")
    arguments = parser.parse_args()
    where = machine()
    print(describe(where))
    record = json.loads(arguments.json.read_text("utf-8")) if arguments.json.exists() else {}
    for name in arguments.names or [*names, *PRESETS]:
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
            found = measure(name)
        print(
            f"{name:26}" + ", ".join(f"{key} {value}" for key, value in found.items()), flush=True
        )
        record = {"machine": where, "opset": graph.OPSET} | record
        record.setdefault("graphs", {})[name] = found
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
