"""What all commands share: one-line errors, exit codes, progress, output names."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from ..errors import IspMetaError, PayloadCorrupt, PayloadMissing, PictureMismatch

__all__ = ["EXIT", "each", "errors", "out", "print_json", "progress", "stop", "target"]

EXIT: dict[type[IspMetaError], int] = {
    PayloadMissing: 3,
    PayloadCorrupt: 4,
    PictureMismatch: 5,
}
"""Exit code of an error; any other error's is 1, and 2 is a wrong call."""

out = Console(highlight=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False, soft_wrap=True)

Item = TypeVar("Item")


def _code(error: BaseException) -> int:
    return next((code for kind, code in EXIT.items() if isinstance(error, kind)), 1)


def _report(error: BaseException) -> int:
    text = "not enough memory for this picture" if isinstance(error, MemoryError) else str(error)
    _err.print(f"[red]error:[/] {escape(text)}")
    return _code(error)


def stop(text: str, code: int = 1) -> NoReturn:
    """Prints one line and ends the command."""
    _err.print(f"[red]error:[/] {escape(text)}")
    raise typer.Exit(code)


@contextmanager
def errors() -> Iterator[None]:
    """Turns an error that a user can do something about into one line and an exit code."""
    try:
        yield
    except (IspMetaError, MemoryError, OSError) as error:
        raise typer.Exit(_report(error)) from None


def each(items: Iterable[Item], work: Callable[[Item], None]) -> None:
    """Works through several files; one that fails does not keep the others from being done."""
    worst = 0
    for item in items:
        try:
            work(item)
        except (IspMetaError, MemoryError, OSError) as error:
            worst = max(worst, _report(error))
    if worst:
        raise typer.Exit(worst)


@contextmanager
def progress(name: str) -> Iterator[Callable[[str], None]]:
    """A spinner that shows the step at work and the seconds so far; on stderr, if a terminal."""
    start = time.perf_counter()
    with _err.status(f"{escape(name)}: starting") as status:

        def step(text: str) -> None:
            seconds = time.perf_counter() - start
            status.update(f"{escape(name)}: {text} [dim]({seconds:.0f} s so far)[/]")

        yield step


def target(source: Path, output: Path | None, name: str, several: bool) -> Path:
    """Where a command writes: beside its source, into the folder given, or to the file given."""
    if output is None:
        return source.with_name(name)
    if output.is_dir():
        return output / name
    if several:
        stop(f"{output}: is no folder; several files need one", 2)
    return output


def print_json(value: Any) -> None:
    """JSON on standard output, for programs; infinities and NaN as null."""
    finite = {
        key: None if isinstance(item, float) and not abs(item) < float("inf") else item
        for key, item in value.items()
    }
    sys.stdout.write(json.dumps(finite, indent=2) + "\n")
