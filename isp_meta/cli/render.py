"""``isp-meta render``: raw files to pictures, without metadata."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ..errors import OutputError, RawFileError
from .choices import DisplaySpace
from .console import each, errors, out, progress, say, stop
from .files import PICTURES, TIFF, Files, is_folder
from .layouts import Layout, takes_layout
from .pipelines import PipelineOption, PresetOption, choose, in_space, with_bits, with_look
from .pipes import DASH, source

if TYPE_CHECKING:
    from ..frame import Frame
    from ..pipeline import Pipeline
    from ..pipeline.stopwatch import StageTime

__all__ = ["command"]

# What a stage gives that a picture can be made of, the most finished first.
_SHOWN = ("srgb", "rgb", "raw", "mosaic", "codes")
_CODES = 65535.0
_SHEET_WIDTH, _SHEET_COLUMNS = 1600, 4

SheetOption = Annotated[
    Path | None,
    typer.Option(
        "--contact-sheet",
        metavar="JPEG",
        help="Write only this: what leaves each stage, side by side.",
        readable=False,
    ),
]


@takes_layout
def command(
    *,
    raws: Annotated[
        list[Path] | None, typer.Argument(metavar="RAW", help="Raw files.", readable=False)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help=".jpg, .png, 16-bit .tif; or a folder.", readable=False
        ),
    ] = None,
    pipeline: PipelineOption = None,
    preset: PresetOption = None,
    space: Annotated[DisplaySpace | None, typer.Option(help="Color space of the picture.")] = None,
    lut: Annotated[
        Path | None,
        typer.Option(metavar="CUBE", help="Apply this look, a 3-D .cube file.", readable=False),
    ] = None,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of a JPEG.")] = 95,
    until: Annotated[
        str | None,
        typer.Option(metavar="STAGE", help="Stop after this stage; write what it gives as TIFF."),
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Print seconds and memory of each stage.")
    ] = False,
    sheet: SheetOption = None,
    print_pipeline: Annotated[
        bool, typer.Option("--print-pipeline", help="Print the pipeline as TOML; render nothing.")
    ] = False,
    layout: Layout,
    overwrite: Annotated[bool, typer.Option(help="Replace existing files.")] = False,
) -> None:
    """Render RAW files (photo.dng -> photo.jpg).

    \b
    Examples:
      isp-meta render photo.dng --preset camera
      isp-meta render photo.dng --preset camera --lut look.cube
      isp-meta render photo.dng --until Demosaic
      isp-meta render photo.dng --contact-sheet stages.jpg
      isp-meta render - -o - < photo.dng > photo.jpg
    """
    from .. import io

    raws = raws or []
    if not raws and not print_pipeline:
        stop("name a RAW", 2)
    if sheet is not None and (len(raws) > 1 or output is not None or profile):
        stop("--contact-sheet takes one RAW, and neither -o nor --profile", 2)
    ending = ".tif" if until else ".jpg"
    files = Files("render", "raw" if layout is None else "codes", TIFF if until else PICTURES)
    paths = files.targets(raws, output, ending, also=[pipeline, lut]) if raws else []
    file = None if output is None or output == DASH or is_folder(output) else output.suffix.lower()
    with errors(pipeline or "render"):
        chosen = _prepare(pipeline, preset, space, lut, until, file or ending)
        if print_pipeline:
            typer.echo(chosen.to_toml(), nl=False)
            return
    if sheet is not None:
        with errors(raws[0]):
            _write_sheet(raws[0], layout, sheet, chosen, quality, overwrite)
        return

    def work(item: tuple[Path, Path]) -> None:
        raw, path = source(item[0]), item[1]
        io.check_target(path, overwrite=overwrite, sources=[raw])
        with progress(raw.name) as step:
            laps, times = _render(raw, layout, path, chosen, quality, overwrite, step)
        if profile:
            _print_profile(raw, times, laps)

    each(zip(raws, paths, strict=True), work)


def _prepare(
    pipeline: Path | None,
    preset: str | None,
    space: DisplaySpace | None,
    lut: Path | None,
    until: str | None,
    ending: str,
) -> Pipeline:
    chosen = choose(pipeline, preset)
    if pipeline is None and ending in TIFF:
        chosen = with_bits(chosen, 16)
    if space is not None:
        chosen = in_space(chosen, space)
    if lut is not None:
        chosen = with_look(chosen, lut)
    if until is not None:
        chosen = chosen.until(int(until) if until.lstrip("-").isdigit() else until)
    return chosen


def _render(
    raw: Path,
    layout: Layout,
    path: Path,
    pipeline: Pipeline,
    quality: int,
    overwrite: bool,
    step: Callable[[str], None],
) -> tuple[dict[str, float], list[StageTime]]:
    import torch

    from .. import io

    clock = [time.perf_counter()]
    step("reading raw")
    frame = io.read_raw(raw, layout=layout)
    clock.append(time.perf_counter())
    step("rendering")
    field = next(name for name in _SHOWN if name in pipeline.gives)
    try:
        with torch.no_grad():
            frame, times = pipeline.profile(frame, keep=(field,))
    except ValueError as error:
        # A file's calibration may be such that no stage can work with it.
        raise RawFileError(f"{raw}: cannot be rendered, {error}") from error
    clock.append(time.perf_counter())
    step("writing")
    size = _write(path, frame, field, quality, overwrite)
    clock.append(time.perf_counter())
    height, width = getattr(frame, field).shape[-2:]
    say(f"{path}: {width}x{height}, {size:,} bytes")
    return {"read": clock[1] - clock[0], "write": clock[3] - clock[2]}, times


def _write_sheet(
    raw: Path, layout: Layout, path: Path, pipeline: Pipeline, quality: int, overwrite: bool
) -> None:
    from .. import io
    from ..pictures import contact_sheet, stage_pictures

    if path.suffix.lower() not in (".jpg", ".jpeg"):
        stop(f"{path}: name it .jpg", 2)
    io.check_target(path, overwrite=overwrite, sources=[raw])
    with progress(raw.name) as step:
        step("reading raw")
        frame = io.read_raw(raw, layout=layout)
        step("rendering")
        try:
            pictures = stage_pictures(pipeline, frame, _SHEET_WIDTH // _SHEET_COLUMNS)
        except ValueError as error:
            raise RawFileError(f"{raw}: cannot be rendered, {error}") from error
        picture = contact_sheet(pictures, _SHEET_COLUMNS, _SHEET_WIDTH)
        io.write_atomic(
            path,
            lambda file: picture.save(file, format="JPEG", quality=quality),
            overwrite=overwrite,
        )
    say(f"{path}: {picture.width}x{picture.height}, {path.stat().st_size:,} bytes")


def _write(path: Path, frame: Frame, field: str, quality: int, overwrite: bool) -> int:
    from .. import io

    picture, camera = getattr(frame, field), frame.camera
    if field == "codes":
        picture = picture / _CODES
    if path.suffix.lower() in TIFF:
        space = frame.space if field == "srgb" else None
        data = io.encode_tiff(picture, camera=camera, space=space)
    elif field != "srgb":
        raise OutputError(f"{path}: the pipeline gives no finished picture (srgb); write a .tif")
    elif path.suffix.lower() == ".png":
        data = io.encode_png(picture, camera=camera, space=frame.space)
    else:
        data = io.encode_jpeg(picture, quality=quality, camera=camera, space=frame.space)
    io.write_atomic(path, data, overwrite=overwrite)
    return len(data)


def _print_profile(raw: Path, times: list[StageTime], laps: dict[str, float]) -> None:
    total = sum(time.seconds for time in times) + sum(laps.values())
    table = Table(raw.name, "seconds", "share", "peak MB", box=None)
    for column in table.columns[1:]:
        column.justify = "right"

    def row(name: str, seconds: float, peak: int | None = None) -> None:
        memory = "" if peak is None else f"{peak / 1e6:,.0f}"
        table.add_row(name, f"{seconds:.3f}", f"{seconds / total:.0%}", memory)

    row("(reading)", laps["read"])
    for time_ in times:
        row(type(time_.stage).__name__, time_.seconds, time_.peak_bytes)
    row("(writing)", laps["write"])
    row("total", total, max((t.peak_bytes for t in times if t.peak_bytes), default=None))
    out.print(table)
