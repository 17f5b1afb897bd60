"""The commands, and a group that imports one when it is asked for, not before."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Annotated, Any, cast

import typer
from typer.core import TyperCommand, TyperGroup

from .. import processors
from . import pipes
from .console import INTERRUPTED, Volume, set_flags, set_volume

__all__ = ["COMMANDS", "Commands", "QuietOption", "ThreadsOption", "VerboseOption", "load"]

COMMANDS: dict[str, dict[str, str]] = {
    "Raw in pictures": {
        "embed": "Render RAW files to JPEGs that carry their raw (photo.dng -> photo.jpg).",
        "recover": "Rebuild the raw of JPEGs (photo.jpg -> photo-recovered.dng).",
        "inspect": "Show what a JPEG carries.",
        "verify": (
            "Check JPEGs. Exit code: 0 exact, 3 no metadata, 4 corrupt, 5 edited, 9 recompressed."
        ),
        "extract": "Copy the metadata into a sidecar (photo.jpg -> photo.jpg.ispmeta).",
        "attach": (
            "Put metadata into a PICTURE, if it was made for it (photo.jpg.ispmeta -> photo.jpg)."
        ),
        "strip": "Remove the metadata from PICTUREs; the picture and all else stay to the byte.",
        "batch": "Embed, recover or verify every file of a tree, and go on if stopped.",
    },
    "Bits in pictures": {
        "bit-depth": "Take low bits from pictures, keep 1.5 % of them, put them all back.",
    },
    "Pipelines": {
        "render": "Render RAW files (photo.dng -> photo.jpg).",
        "fit": "Find how PICTURE was rendered from RAW; write the camera as a pipeline.",
        "unprocess": (
            "Make plausible raw of a PICTURE: a DNG with the mosaic that a sensor might have seen."
        ),
        "stages": "List the stages that a pipeline may use.",
        "export": "Write a pipeline as ONNX, with the calibration of RAW's camera as constants.",
    },
    "Figures and training": {
        "noise": "Put shot and read noise on RAW files (photo.dng -> photo-noisy.dng).",
        "compare": "Compare a recovered raw with the original: PSNR, SSIM, error map.",
        "report": ("Write a page to look at: picture, raw, samples, error (-> photo-report.html)."),
        "evaluate": "Compare methods on every scene of a folder: PSNR, SSIM, bits, seconds.",
        "prepare": (
            "Render the pictures in DIR many times; store crops of sRGB and raw to train on."
        ),
        "train": "Train a sampler and a reconstructor as CONFIG says.",
    },
    "This program": {
        "doctor": "Tell what of this installation works: versions, native code, CUDA, weights.",
        "demo": "Embed, recover and compare a raw file; write the pictures; say where.",
    },
}
"""What there is to call: heading, command, and the first line of its help.

A command ``some-name`` is the function ``command``, or the Typer ``app`` with commands of its own,
of the module ``isp_meta.cli.some_name``; its help starts with the line that stands here.
"""


def _quiet(chosen: bool) -> None:
    if chosen:
        set_volume(Volume.QUIET)


def _verbose(chosen: bool) -> None:
    if chosen:
        set_volume(Volume.VERBOSE)


def _compute_with(threads: int | None) -> None:
    if threads is not None:
        processors.prepare(threads)


QuietOption = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Report nothing but errors.", callback=_quiet, expose_value=False
    ),
]
VerboseOption = Annotated[
    bool,
    typer.Option(
        *("--verbose", "-v"),
        help="Tell each step and its time.",
        callback=_verbose,
        expose_value=False,
    ),
]


ThreadsOption = Annotated[
    int | None,
    typer.Option(
        help="To compute with; by default as many as there are processors.",
        min=1,
        callback=_compute_with,
        expose_value=False,
    ),
]


def _for_all(
    quiet: QuietOption = False, verbose: VerboseOption = False, threads: ThreadsOption = None
) -> None:
    """What every command takes."""


def load(name: str) -> TyperCommand | TyperGroup:
    """The command of that name; imports its module."""
    module = import_module(f".{name.replace('-', '_')}", __package__)
    app = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(add_completion=False)
        app.command(name)(module.command)
    app.rich_markup_mode = None
    command = cast(TyperCommand | TyperGroup, typer.main.get_command(app))
    command.name = name
    common = typer.Typer(add_completion=False)
    common.command()(_for_all)
    _extend(command, typer.main.get_command(common).params)
    return command


def _extend(command: Any, options: list[Any]) -> None:
    """Gives a command, or a group and those in it, further options."""
    command.params += options
    for member in getattr(command, "commands", {}).values():
        _extend(member, options)


def _flags(command: Any) -> Iterator[str]:
    """Of a command, or of all in a group."""
    for option in command.params:
        yield from option.opts
    for member in getattr(command, "commands", {}).values():
        yield from _flags(member)


class _Unloaded(TyperCommand):
    """What the list of commands shows of one. Called, it makes way for the command itself."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **more: Any) -> Any:
        assert self.name is not None
        command = load(self.name)
        set_flags(frozenset(_flags(command)))
        return command.make_context(info_name, args, *rest, **more)


class Commands(TyperGroup):
    """The group of all commands."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for commands in COMMANDS.values():
            for name, line in commands.items():
                self.add_command(_Unloaded(name, help=line))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list, under its headings."""
        width = max(len(name) for name in self.commands)
        for heading, commands in COMMANDS.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), line) for name, line in commands.items()])

    def invoke(self, ctx: Any) -> Any:
        """Runs one command; Ctrl-C ends it in one line."""
        try:
            with pipes.session():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("interrupted; no file is left half done", err=True)
            raise typer.Exit(INTERRUPTED) from None
        finally:
            set_volume(Volume.NORMAL)
            set_flags(frozenset())
