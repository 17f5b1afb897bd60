"""``isp-meta export``: a pipeline as an ONNX model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import errors, progress, say
from .files import check_name
from .layouts import Layout, takes_layout
from .pipelines import PipelineOption, PresetOption, choose

if TYPE_CHECKING:
    from ..pipeline import Pipeline

__all__ = ["command"]


@takes_layout
def command(
    *,
    raw: Annotated[
        Path,
        typer.Argument(metavar="RAW", help="Of the camera to build in.", readable=False),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Named .onnx.", readable=False),
    ],
    pipeline: PipelineOption = None,
    preset: PresetOption = None,
    takes: Annotated[str, typer.Option(help="Field that goes in: codes, mosaic, raw, rgb.")] = (
        "codes"
    ),
    gives: Annotated[str, typer.Option(help="Field that comes out.")] = "srgb",
    layout: Layout,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
) -> None:
    """Write a pipeline as ONNX, with the calibration of RAW's camera as constants.

    \b
    Examples:
      isp-meta export photo.dng -o camera.onnx --preset camera
      isp-meta export photo.dng -o tones.onnx --takes raw
    """
    from .. import io
    from ..export import OPSET, onnx

    check_name(output, (".onnx",))
    with errors(output), progress(output.name) as step:
        io.check_target(output, overwrite=overwrite, sources=[raw])
        chosen = _between(choose(pipeline, preset), takes, gives)
        step("reading raw")
        camera = io.read_raw(raw, layout=layout).camera
        step("tracing")
        onnx(chosen, camera, output, takes=takes, gives=gives, overwrite=overwrite)
    size = output.stat().st_size
    say(f"{output}: ONNX, opset {OPSET}, {takes} to {gives}, {size:,} bytes")


def _between(pipeline: Pipeline, takes: str, gives: str) -> Pipeline:
    """The stages from the first that needs the one field to the last that gives the other."""
    first = next((i for i, stage in enumerate(pipeline) if takes in stage.needs), 0)
    last = max((i for i, stage in enumerate(pipeline) if gives in stage.gives), default=-1)
    return pipeline[first : last + 1] if last >= first else pipeline
