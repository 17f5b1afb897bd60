"""The command line: ``isp-meta COMMAND``.

A command is a line in ``commands.COMMANDS`` and a file. Its function imports what it works with
when it runs, so that help and completion need not wait for it.
"""

from __future__ import annotations

import gc
import io
import os
import sys
from typing import Annotated

import typer

from .. import __version__, processors
from .commands import Commands, QuietOption, ThreadsOption, VerboseOption
from .console import show

__all__ = ["app", "main"]

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(chosen: bool) -> None:
    if chosen:
        show(f"isp-meta {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", help="Show the version.", callback=_version, expose_value=False
        ),
    ] = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    threads: ThreadsOption = None,
) -> None:
    """A JPEG that still carries its raw.

    \b
    isp-meta embed photo.dng        # photo.jpg, rendered, with the raw inside
    isp-meta recover photo.jpg      # photo-recovered.dng
    isp-meta COMMAND --help         # with examples
    """


def main() -> None:
    """Entry point of ``isp-meta``."""
    processors.prepare()
    # Importing makes a million objects of which few are garbage; by default each 700 are searched.
    gc.set_threshold(50_000)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files need not fit the terminal's encoding, nor be Unicode at all.
        # What cannot be written is to be known here, and not when Python ends.
        sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)
    try:
        app()
    except OSError as error:  # those of files are caught where the file is known
        # Python would write at its end what is still held back, and fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(f"error: standard output: {error.strerror or error}")
