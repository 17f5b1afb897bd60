"""``-`` in place of a file: standard input and standard output, by way of temporary files.

What a command writes goes to standard output when the command has ended well, and not before.
"""

from __future__ import annotations

import errno
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

__all__ = ["DASH", "named", "piped", "session", "source", "target"]

DASH = Path("-")

_PREFIX = "isp-meta-"


class _Session:
    """The temporary files of one command; the folder is made when there is one."""

    def __init__(self) -> None:
        self.folder: TemporaryDirectory[str] | None = None
        self.target: Path | None = None

    def file(self, name: str) -> Path:
        self.folder = self.folder or TemporaryDirectory(prefix=_PREFIX)
        return Path(self.folder.name, name)


_session = _Session()


@contextmanager
def session() -> Iterator[None]:
    """Around a command: what it wrote for standard output goes there, its files disappear."""
    global _session
    outer, _session = _session, _Session()
    try:
        yield
        if _session.target is not None:
            with _session.target.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
    finally:
        if _session.folder is not None:
            _session.folder.cleanup()
        _session = outer


def source(path: Path) -> Path:
    """The file to read: for ``-`` one that holds what standard input does.

    Raises:
        OSError: standard input cannot be read.
    """
    if path != DASH:
        return path
    if sys.stdin is None:
        raise OSError(errno.EBADF, "is closed", "standard input")
    kept = _session.file("stdin")
    if not kept.exists():
        with kept.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
    return kept


def target(path: Path, ending: str, *, text: bool = False) -> Path:
    """The file to write: for ``-`` one whose contents go to standard output.

    Args:
        ending: of that file's name, by which writers know the format.
        text: it may be shown on a terminal.

    Raises:
        typer.BadParameter: standard output is closed, or a terminal.
    """
    if path != DASH:
        return path
    if sys.stdout is None:
        raise typer.BadParameter("standard output is closed; name a file or use a pipe")
    if sys.stdout.isatty() and not text:
        raise typer.BadParameter("standard output is a terminal; name a file or use a pipe")
    _session.target = _session.file(f"stdout{ending}")
    return _session.target


def piped() -> bool:
    """Whether standard output is for a file's contents, and so not for reports."""
    return _session.target is not None


def named(text: str) -> str:
    """The text with the temporary files called stdin and stdout."""
    return text if _session.folder is None else text.replace(f"{_session.folder.name}/", "")
