"""``isp-meta batch``: whole trees, by many processes or machines."""

from __future__ import annotations

import inspect
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from ..capture import CaptureOptions
from .choices import Engine, Format
from .console import advised, complain, errors, print_json, say, stop
from .layouts import Layout, takes_layout
from .options import takes_capture_options
from .pipelines import PipelineOption, PresetOption, choose_for
from .recover import CompressOption, ForceOption, LinearOption, make_job

if TYPE_CHECKING:
    from ..batch import Job, Row, Summary

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="""Embed, recover or verify every file of a tree, and go on if stopped.

    \b
    Examples:
      isp-meta batch embed photos/ -o jpegs/
      isp-meta batch COMMAND --help
    """,
)


def _whole_tree(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Folder, or URL (s3://...).")],
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="DIR", help="Folder or URL of the results.")
    ],
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes, or actors; default: one a core.")
    ] = None,
    engine: Annotated[
        Engine, typer.Option(help="Processes of this machine, or Ray (RAY_ADDRESS).")
    ] = "local",
    gpus: Annotated[float, typer.Option(min=0, help="GPUs of an actor, such as 0.25.")] = 0.0,
    overwrite: Annotated[bool, typer.Option(help="Replace files that no batch made.")] = False,
    json: Annotated[bool, typer.Option("--json", help="The summary for programs.")] = False,
) -> None:
    """The options that all of them have."""


def _command(name: str, text: str) -> Callable[[Callable[..., Job]], None]:
    """Adds a command: with the options that all have, and those that its job is made of."""

    def add(make: Callable[..., Job]) -> None:
        shared = inspect.signature(_whole_tree, eval_str=True).parameters
        own = inspect.signature(make, eval_str=True).parameters

        def command(**options: Any) -> None:
            _run({key: options.pop(key) for key in shared}, lambda: make(**options))

        parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in (*shared.values(), *own.values())]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        app.command(name, help=text)(command)

    return add


@_command(
    "embed",
    """Render raw files to pictures that carry their raw.

    \b
    Examples:
      isp-meta batch embed photos/ -o jpegs/
      isp-meta batch embed photos/ -o jpegs/ --jobs 8 --quality 90
      isp-meta batch embed photos/ -o jpegs/ --engine ray
    """,
)
@takes_capture_options("force")
@takes_layout
def _embed(
    *,
    pipeline: PipelineOption = None,
    preset: PresetOption = None,
    options: CaptureOptions,
    layout: Layout,
    picture: Annotated[
        Literal["jpg", "png", "tif"], typer.Option("--format", help="Of the pictures.")
    ] = "jpg",
) -> Any:
    from ..batch import Embed

    suffix = f".{picture}"
    with errors(pipeline or "embed"):
        chosen = choose_for(Path(f"picture{suffix}"), options, pipeline, preset)
    return Embed(options, chosen.to_toml(), suffix, layout)


@_command(
    "recover",
    """Rebuild the linear raw of pictures.

    \b
    Examples:
      isp-meta batch recover jpegs/ -o raws/
      isp-meta batch recover jpegs/ -o raws/ --format tiff --json
    """,
)
def _recover(
    format: Annotated[Format, typer.Option(help="DNG, 16-bit TIFF or float array.")] = "dng",
    linear: LinearOption = False,
    compress: CompressOption = "lossless-jpeg",
    force: ForceOption = False,
) -> Any:
    return make_job(format, linear, compress, force)


@_command(
    "verify",
    """Check pictures: a row for each in the manifest.

    \b
    Examples:
      isp-meta batch verify jpegs/ -o checked/
    """,
)
def _verify() -> Any:
    from ..batch import Verify

    return Verify()


def _run(shared: dict[str, Any], make: Callable[[], Job]) -> None:
    from .. import batch

    if shared["gpus"] and shared["engine"] != "ray":
        stop("--gpus goes with --engine ray", 2)
    job = make()
    folder, output, as_json = shared.pop("folder"), shared.pop("output"), shared.pop("json")
    latest: list[Summary] = []
    with _stopped(latest), errors(folder), _shown() as show:

        def report(row: Row | None, summary: Summary) -> None:
            latest[:] = [summary]
            show(row, summary)

        summary = batch.run(job, folder, output, report=report, **shared)
    if as_json:
        print_json(summary.to_dict())
    else:
        for row in summary.errors:
            complain(advised(row.error, row.remedy))
        say(_line(summary))
    if summary.failed:
        raise typer.Exit(1)


def _line(summary: Summary) -> str:
    failed = f", {summary.failed} failed ({summary.table})" if summary.failed else ""
    number, endings = sum(summary.passed_over.values()), sorted(filter(None, summary.passed_over))
    kinds = f" ({', '.join(endings)})" if endings else ""
    passed = f", {number} passed over{kinds}" if number else ""
    return (
        f"{summary.done} done, {summary.skipped} skipped{failed}{passed}; {summary.megapixels:.1f} "
        f"megapixels in {summary.seconds:.1f} s, {summary.rate:.2f} a second"
    )


@contextmanager
def _stopped(latest: list[Summary]) -> Iterator[None]:
    """An interruption, or the end that a system asks for, in one line; and its usual exit code."""

    def terminated(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, terminated)
    code = 0
    try:
        yield
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        signal.signal(signal.SIGTERM, before)
    if code:
        for summary in latest:
            left = summary.files - summary.done - summary.skipped - summary.failed
            complain(f"stopped with {left} of {summary.files} left; the same command goes on")
        sys.exit(code)


@contextmanager
def _shown() -> Iterator[Callable[[Row | None, Summary], None]]:
    """A bar with files, megapixels a second and the time left; on stderr, if a terminal."""
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as shown:
        bar = shown.add_task("starting", total=None)

        def show(_row: Row | None, summary: Summary) -> None:
            ended = summary.done + summary.skipped + summary.failed
            shown.update(bar, total=summary.files, completed=ended, description=_speed(summary))

        yield show


def _speed(summary: Summary) -> str:
    if summary.seconds_left == float("inf"):
        return "starting"
    left = timedelta(seconds=round(summary.seconds_left))
    failed = f", {summary.failed} failed" if summary.failed else ""
    return f"{summary.rate:.2f} MP/s, {left} left{failed}"
