"""The command line: ``isp-meta COMMAND``, one file a command.

A command is a line in ``commands.COMMANDS`` and a file.
"""

from __future__ import annotations

import io
import os
import sys

import typer

from .commands import Commands

__all__ = ["app", "main"]

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _options() -> None:
    """A JPEG that still carries its raw."""


def main() -> None:
    """Entry point of ``isp-meta``."""
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
