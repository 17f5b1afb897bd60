"""``isp-meta evaluate``: methods compared on a folder of scenes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import complain, errors, progress, say, show, stop

if TYPE_CHECKING:
    from ..evaluation import Results

__all__ = ["command"]

_JSON, _MARKDOWN = "results.json", "results.md"

OverwriteOption = Annotated[bool, typer.Option(help="Replace existing results.")]


def command(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR", help="Scenes; with --merge, files of results.", readable=False
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder of the results.", readable=False)
    ],
    methods: Annotated[
        str, typer.Option(help="training-free, trained, [WEIGHTS:]SAMPLING+RECONSTRUCTION; ...")
    ] = "training-free",
    weights: Annotated[
        list[str] | None, typer.Option(metavar="NAME=FILE", help="Trained networks.")
    ] = None,
    inputs: Annotated[
        str, typer.Option("--input", help="16bit, 8bit, jpegQUALITY; several by comma.")
    ] = "8bit",
    rendering: Annotated[
        str, typer.Option(help="A preset or a .toml; several by comma.")
    ] = "karaimer-brown",
    fine_tune: Annotated[
        str, typer.Option(metavar="STEPS", help="Of networks, such as 0,10.")
    ] = "0",
    cell: Annotated[int, typer.Option(min=1, max=256, help="One sample in CELL² pixels.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Of the random sampler.")] = 0,
    bits: Annotated[int, typer.Option(min=8, max=16, help="Of a stored value.")] = 14,
    shrink: Annotated[int, typer.Option(min=1, help="Average N×N pixels of a scene first.")] = 1,
    note: Annotated[str, typer.Option(help="Kept with the results, such as the split.")] = "",
    maps: Annotated[bool, typer.Option("--maps", help="Draw samples and errors.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Measure only what is missing.")] = False,
    merge: Annotated[
        bool, typer.Option("--merge", help="Make one table of several results.json.")
    ] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Compare methods on every scene of a folder: PSNR, SSIM, bits, seconds.

    \b
    Examples:
      isp-meta evaluate photos/ -o results
      isp-meta evaluate photos/ -o results --input 8bit,jpeg90 --resume
      isp-meta evaluate --merge a/results.json b/results.json -o both
    """
    from .. import io
    from ..evaluation import Benchmark, benchmark, tables
    from ..evaluation.benchmark import made_folder
    from .methods import Methods, file_inputs, load_weights, renderings

    if merge:
        with errors(output):
            _merge(sources, output, overwrite)
        return
    if len(sources) != 1:
        stop("name one folder of scenes", 2)
    with errors(sources[0]):
        chosen = Methods(cell, seed, load_weights(weights or []))
        plan = Benchmark(
            chosen.of(methods),
            renderings(rendering),
            file_inputs(inputs),
            _steps(fine_tune),
            shrink=shrink,
            bits=bits,
            note=note,
            settings={"cell": cell, "seed": seed},
        )
        folder = made_folder(output)
        earlier = _earlier(folder / _JSON, resume, overwrite)
        charts = folder / "maps" if maps else None

        def write(results: Results) -> None:
            results.write(folder / _JSON)
            text = tables([results]).encode()
            io.write_atomic(folder / _MARKDOWN, text, overwrite=True)

        with progress("evaluate") as step:
            results = benchmark(
                sources[0], plan, results=earlier, done=write, maps=charts, progress=step
            )
    _report(folder, results)


def _merge(sources: list[Path], output: Path, overwrite: bool) -> None:
    from .. import io
    from ..evaluation import Results, tables
    from ..evaluation.benchmark import made_folder

    runs = [Results.read(path) for path in sources]
    for run, path in zip(runs[1:], sources[1:], strict=True):
        run.check_same(runs[0].settings, path, but=("seed", "weights"))
    path = made_folder(output) / _MARKDOWN
    io.write_atomic(path, tables(runs).encode(), overwrite=overwrite)
    say(str(path))


def _steps(text: str) -> list[int]:
    from .methods import split

    items = split(text)
    if not items or not all(item.isdecimal() for item in items):
        stop(f"--fine-tune {text}: must be numbers of steps, such as 0,10", 2)
    return [int(item) for item in items]


def _earlier(path: Path, resume: bool, overwrite: bool) -> Results | None:
    from .. import io
    from ..evaluation import Results

    if resume and path.exists():
        return Results.read(path)
    for each in (path, path.with_name(_MARKDOWN)):
        io.check_target(each, overwrite=overwrite or resume)
    return None


def _report(folder: Path, results: Results) -> None:
    show((folder / _MARKDOWN).read_text(encoding="utf-8").rstrip())
    for name in (_JSON, _MARKDOWN):
        say(str(folder / name))
    failed = [record for record in results.records if "error" in record]
    for record in failed:
        where = [record[name] for name in ("rendering", "input", "method") if name in record]
        complain(f"{', '.join([record['scene'], *where])}: {record['error']}")
    if failed:
        raise typer.Exit(1)
