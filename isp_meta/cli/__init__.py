"""The command line: ``isp-meta COMMAND``, one file a command."""

from __future__ import annotations

import io
import os
import sys

import typer

from . import (
    attach,
    compare,
    demo,
    embed,
    evaluate,
    export,
    extract,
    fit,
    inspect,
    prepare,
    recover,
    render,
    stages,
    strip,
    train,
    unprocess,
    verify,
)

__all__ = ["app", "main"]

app = typer.Typer(
    help="A JPEG that still carries its raw.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    embed,
    recover,
    inspect,
    verify,
    extract,
    attach,
    strip,
    compare,
    evaluate,
    render,
    fit,
    unprocess,
    prepare,
    train,
    stages,
    export,
    demo,
):
    app.command(module.__name__.rpartition(".")[2])(module.command)


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
