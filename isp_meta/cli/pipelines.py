"""The camera of a command: one of our presets, or a file."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import PipelineFileError

if TYPE_CHECKING:
    from ..capture import CaptureOptions
    from ..pipeline import Pipeline

__all__ = [
    "DEFAULT_PRESET",
    "PipelineOption",
    "PresetOption",
    "choose",
    "choose_for",
    "in_space",
    "make_preset",
    "with_bits",
    "with_look",
]

DEFAULT_PRESET = "minimal"

PipelineOption = Annotated[
    Path | None,
    typer.Option("--pipeline", metavar="TOML", help="Render by this file.", readable=False),
]
PresetOption = Annotated[
    str | None,
    typer.Option("--preset", help=f"Render by this preset; by default {DEFAULT_PRESET}."),
]


def _presets() -> dict[str, Callable[[], Pipeline]]:
    """Presets by their command-line names: those that need no argument."""
    from .. import presets

    made = {name.replace("_", "-"): getattr(presets, name) for name in presets.__all__}
    return {name: make for name, make in made.items() if callable(make) and _is_ready(make)}


def _is_ready(make: Callable[..., object]) -> bool:
    arguments = inspect.signature(make).parameters.values()
    return all(a.default is not a.empty or a.kind in (a.VAR_KEYWORD,) for a in arguments)


def make_preset(name: str) -> Pipeline:
    """The preset of that name.

    Raises:
        PipelineFileError: there is none; lists those there are.
    """
    known = _presets()
    if name.replace("_", "-") not in known:
        raise PipelineFileError(f"there is no preset {name!r}, only {', '.join(sorted(known))}")
    return known[name.replace("_", "-")]()


def choose(pipeline: Path | None, preset: str | None) -> Pipeline:
    """The pipeline that the options name.

    Raises:
        PipelineFileError: the file is not right, there is no such preset, or both were given.
    """
    from ..pipeline import Pipeline

    if pipeline is not None and preset is not None:
        raise PipelineFileError("give --pipeline or --preset, not both")
    if pipeline is not None:
        return Pipeline.from_toml(pipeline)
    return make_preset(preset or DEFAULT_PRESET)


def choose_for(
    picture: Path, options: CaptureOptions, pipeline: Path | None, preset: str | None
) -> Pipeline:
    """The same for a capture into a file of that name: presets round to its depth.

    Raises:
        PipelineFileError: as of :func:`choose`.
        ValueError: depth or carrier do not go with that kind of file.
    """
    from ..capture.picture_file import PictureFile

    chosen = choose(pipeline, preset)
    if pipeline is not None:
        return chosen
    return with_bits(chosen, PictureFile.of(picture, options).depth)


def with_bits(pipeline: Pipeline, bits: int) -> Pipeline:
    """The pipeline with each Quantize at another depth."""
    from ..pipeline import Pipeline
    from ..stages import Quantize

    stages = (Quantize(bits) if isinstance(stage, Quantize) else stage for stage in pipeline)
    return Pipeline(stages)


def in_space(pipeline: Pipeline, space: str) -> Pipeline:
    """The pipeline with another display's color space.

    Raises:
        PipelineFileError: it has no stage that chooses one.
    """
    from ..stages import WorkingToDisplay

    place = [i for i, stage in enumerate(pipeline) if isinstance(stage, WorkingToDisplay)]
    if not place:
        raise PipelineFileError(
            "--space: the pipeline has no WorkingToDisplay stage and so renders sRGB alone"
        )
    arguments = pipeline[place[-1]].arguments() | {"space": space}
    return pipeline.replace(place[-1], WorkingToDisplay(**arguments))


def with_look(pipeline: Pipeline, look: Path) -> Pipeline:
    """The pipeline with a table of colors behind the stage that first gives the finished picture.

    Raises:
        PipelineFileError: there is no such stage, or the file cannot be read.
    """
    from ..pipeline import Pipeline
    from ..stages import Lut3D

    stages = list(pipeline)
    for place, stage in enumerate(stages):
        if "srgb" in stage.gives - stage.needs:
            return Pipeline([*stages[: place + 1], Lut3D(file=str(look)), *stages[place + 1 :]])
    raise PipelineFileError("--lut: the pipeline gives no finished picture (srgb)")
