"""What all commands share: one-line errors, exit codes, volume, progress."""

from __future__ import annotations

import json
import os
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from ..errors import (
    CarrierWarning,
    IspMetaError,
    NotARawFile,
    PayloadCorrupt,
    PayloadMissing,
    PictureMismatch,
    PictureRecompressed,
    RawFileDamaged,
    RawFileUnsupported,
)
from . import pipes

__all__ = [
    "EXIT",
    "INTERRUPTED",
    "Volume",
    "advised",
    "complain",
    "each",
    "errors",
    "exit_code",
    "out",
    "print_json",
    "progress",
    "say",
    "set_flags",
    "set_volume",
    "show",
    "stop",
]

EXIT: dict[type[IspMetaError], int] = {
    PayloadMissing: 3,
    PayloadCorrupt: 4,
    PictureRecompressed: 9,
    PictureMismatch: 5,
    RawFileDamaged: 6,
    RawFileUnsupported: 7,
    NotARawFile: 8,
}
"""Exit code of an error, subclasses first; any other error's is 1, and 2 is a wrong call."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

out = Console(highlight=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False, soft_wrap=True)

Item = TypeVar("Item")


def exit_code(error: BaseException) -> int:
    """The exit code that an error stands for."""
    return next((code for kind, code in EXIT.items() if isinstance(error, kind)), 1)


def _severity(code: int) -> float:
    """Of several files the worst tells how a command ends; to be compressed again is the least."""
    return 0.5 if code == EXIT[PictureRecompressed] else code


class Volume(IntEnum):
    """How much a command says."""

    QUIET = -1
    NORMAL = 0
    VERBOSE = 1


_volume = Volume.NORMAL


def set_volume(volume: Volume) -> None:
    """From now on, commands say so much."""
    global _volume
    _volume = volume


_flags: frozenset[str] = frozenset()
# In place of a flag, those that people use more.
_EXAMPLES = {"--layout": "--raw-size 4000x3000 --bits 12 --cfa RGGB"}


def set_flags(flags: frozenset[str]) -> None:
    """From now on, what goes wrong may be remedied by one of these flags."""
    global _flags
    _flags = flags


def advised(text: str, remedy: str) -> str:
    """An error's text, and the flag that stands for its remedy, if the command has it.

    Args:
        remedy: see :class:`isp_meta.IspMetaError`.
    """
    flag = f"--{remedy.partition('=')[0].replace('_', '-')}"
    return f"{text}; use {_EXAMPLES.get(flag, flag)}" if flag in _flags else text


def say(text: str) -> None:
    """One line of report on standard output; names of files appear as they are.

    Nothing with ``--quiet``, nor where standard output is for a file's contents.
    """
    if _volume > Volume.QUIET and not pipes.piped():
        show(text)


def show(text: str) -> None:
    """One line of what was asked for, on standard output."""
    typer.echo(pipes.named(text))


def complain(text: str, kind: str = "error", color: str = "red") -> None:
    """One line on standard error."""
    label = f"{kind}: " if os.environ.get("NO_COLOR") else typer.style(f"{kind}: ", fg=color)
    typer.echo(label + " ".join(pipes.named(text).splitlines()), err=True)


def stop(text: str, code: int = 1) -> NoReturn:
    """Prints one line and ends the command."""
    complain(text)
    raise typer.Exit(code)


@contextmanager
def errors(name: object) -> Iterator[None]:
    """Turns an error that a user can do something about into one line and an exit code.

    Args:
        name: of the file at work, for errors that do not know it.
    """
    try:
        with _traced(), _warned():
            yield
    except IspMetaError as error:
        stop(advised(error.text, error.remedy), exit_code(error))
    except OSError as error:
        stop(f"{error.filename or name}: {error.strerror or error}")
    except ValueError as error:
        stop(f"{name}: {error}")
    except (MemoryError, RuntimeError) as error:
        # PyTorch has no error of its own for the memory of the CPU.
        if isinstance(error, RuntimeError) and "can't allocate memory" not in str(error):
            raise
        stop(f"{name}: not enough memory for this picture")


@contextmanager
def _warned() -> Iterator[None]:
    """Shows a warning of ours as one line, when the work is done that it warns of."""
    with warnings.catch_warnings(record=True) as caught:
        # All others as they were asked for; recorded ones are shown at the end.
        warnings.simplefilter("always", CarrierWarning)
        yield
    for warning in caught:
        if isinstance(warning.message, CarrierWarning):
            complain(str(warning.message), "warning", "yellow")
        else:
            warnings.showwarning(
                warning.message, warning.category, warning.filename, warning.lineno
            )


@contextmanager
def _traced() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if _volume >= Volume.VERBOSE and not isinstance(error, typer.Exit):
            typer.echo("".join(traceback.format_exception(error)), nl=False, err=True)
        raise


def each(items: Iterable[Item], work: Callable[[Item], None]) -> None:
    """Works through several files; one that fails does not keep the others from being done.

    Args:
        items: files, or tuples that start with one.
    """
    worst = 0
    for item in items:
        try:
            with errors(item[0] if isinstance(item, tuple) else item):
                work(item)
        except typer.Exit as end:
            worst = max(worst, end.exit_code, key=_severity)
    if worst:
        raise typer.Exit(worst)


@contextmanager
def progress(name: str) -> Iterator[Callable[[str], None]]:
    """A spinner that shows the step at work and the seconds so far; on stderr, if a terminal.

    With ``--verbose`` a line for each step, wherever stderr goes; nothing with ``--quiet``.
    """
    start = time.perf_counter()

    def spin(text: str) -> None:
        status.update(
            f"{escape(name)}: {text} [dim]({time.perf_counter() - start:.0f} s so far)[/]"
        )

    def log(text: str) -> None:
        typer.echo(f"{time.perf_counter() - start:7.2f} s  {name}: {text}", err=True)

    name = pipes.named(name)
    if _volume >= Volume.VERBOSE:
        yield log
        log("done")
    elif _volume <= Volume.QUIET:
        yield lambda text: None
    else:
        with _err.status(f"{escape(name)}: starting") as status:
            yield spin


def print_json(value: Any) -> None:
    """JSON on standard output, for programs; infinities and NaN as null."""
    show(json.dumps(_finite(value), indent=2))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not abs(value) < float("inf") else value
