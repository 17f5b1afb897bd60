"""``isp-meta fit``: a pipeline calibrated to a finished picture."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ImageFileError, PictureMismatch
from .console import errors, progress, say
from .files import check_name
from .layouts import Layout, takes_layout
from .pipelines import PipelineOption, PresetOption, choose
from .pipes import target

if TYPE_CHECKING:
    from ..presets.fit import Fit

__all__ = ["command"]


@takes_layout
def command(
    *,
    raw: Annotated[Path, typer.Argument(metavar="RAW", help="Raw file.", readable=False)],
    picture: Annotated[
        Path,
        typer.Argument(
            metavar="PICTURE", help="What a camera or program made of it.", readable=False
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Pipeline to write, .toml.", readable=False),
    ],
    pipeline: PipelineOption = None,
    preset: PresetOption = None,
    learn: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Fit this stage, or STAGE.PARAMETER, and no other."),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of gradient descent.")] = 400,
    layout: Layout,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
) -> None:
    """Find how PICTURE was rendered from RAW; write the camera as a pipeline.

    \b
    Examples:
      isp-meta fit photo.dng photo.jpg -o camera.toml
      isp-meta fit photo.dng photo.jpg -o - --learn ToneCurve
    """
    from .. import io
    from ..presets.fit import fit as fit_pipeline

    start = time.perf_counter()
    named = output
    output = target(output, ".toml", text=True)
    with errors(picture), progress(output.name) as step:
        io.check_target(output, overwrite=overwrite, sources=[raw, picture])
        check_name(named, (".toml",))
        chosen = choose(pipeline, preset)
        step("reading")
        data = io.read_bytes(picture, ImageFileError)
        srgb = io.decode_image(data, str(picture)).float().div_(255)
        frame = io.read_raw(raw, layout=layout)
        step("rendering")

        def show(done: int, loss: float) -> None:
            step(f"step {done} of {steps}, off by {255 * loss:.1f} of 255")

        try:
            found = fit_pipeline(chosen, frame, srgb, learn=learn or (), steps=steps, progress=show)
        except PictureMismatch as error:
            raise PictureMismatch(f"{picture}: {error}") from error
        io.write_atomic(output, found.pipeline.to_toml().encode(), overwrite=overwrite)
    _report(output, found, time.perf_counter() - start)


def _report(output: Path, found: Fit, seconds: float) -> None:
    say(f"{output}: {found.before:.2f} dB before, {found.after:.2f} dB after, {seconds:.0f} s")
