"""The commands, and a group that imports one when it is asked for, not before."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["COMMANDS", "Commands", "load"]

COMMANDS: dict[str, dict[str, str]] = {
    "Raw in pictures": {
        "embed": "Render RAW files to JPEGs that carry their raw (photo.dng -> photo.jpg).",
        "recover": "Rebuild the linear raw of JPEGs (photo.jpg -> photo-recovered.dng).",
        "inspect": "Show what a JPEG carries.",
        "verify": (
            "Check JPEGs. Exit code: 0 exact, 3 no metadata, 4 corrupt, 5 picture changed since."
        ),
        "extract": "Copy the metadata into a sidecar (photo.jpg -> photo.jpg.ispmeta).",
        "attach": (
            "Put metadata into a PICTURE, if it was made for it (photo.jpg.ispmeta -> photo.jpg)."
        ),
        "strip": "Remove the metadata from PICTUREs; the picture and all else stay to the byte.",
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
        "compare": "Compare a recovered raw with the original: PSNR, SSIM, error map.",
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


def load(name: str) -> TyperCommand | TyperGroup:
    """The command of that name; imports its module."""
    module = import_module(f".{name.replace('-', '_')}", __package__)
    app = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(add_completion=False)
        app.command(name)(module.command)
    command = cast(TyperCommand | TyperGroup, typer.main.get_command(app))
    command.name = name
    return command


class _Unloaded(TyperCommand):
    """What the list of commands shows of one. Called, it makes way for the command itself."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **more: Any) -> Any:
        assert self.name is not None
        return load(self.name).make_context(info_name, args, *rest, **more)


class Commands(TyperGroup):
    """The group of all commands."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for heading, commands in COMMANDS.items():
            for name, line in commands.items():
                self.add_command(_Unloaded(name, help=line, rich_help_panel=heading))
