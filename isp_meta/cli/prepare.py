"""``isp-meta prepare``: folders of pictures to a training set."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated, cast

import typer

from .console import errors, progress, say

__all__ = ["command"]


def command(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR", help="Raw files, linear 16-bit PNG or TIFF, 8-bit sRGB pictures."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="SET", help="Folder to make.")],
    renderings: Annotated[int, typer.Option(min=1, help="Of each scene.")] = 8,
    crop: Annotated[int, typer.Option(min=1, help="Side of the stored crops, pixels.")] = 192,
    crops: Annotated[int, typer.Option(min=1, help="At most so many of one rendering.")] = 16,
    share_val: Annotated[
        float, typer.Option(min=0, max=0.99, help="Share of the scenes for validation.")
    ] = 0.0,
    val: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A scene for validation; * and ? stand for anything."),
    ] = None,
    input_kind: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="KIND", help="16bit, 8bit or jpeg; by default all three."),
    ] = None,
    preset: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Camera, or a pipeline's .toml; by default random."),
    ] = None,
    exposure: Annotated[tuple[float, float], typer.Option(metavar="LOW HIGH", help="Stops.")] = (
        -1.0,
        1.0,
    ),
    shrink: Annotated[int, typer.Option(min=1, help="Average raw over blocks first.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is random.")] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; by default one a core.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing training set.")] = False,
) -> None:
    """Render the pictures in DIR many times; store crops of sRGB and raw to train on.

    \b
    Examples:
      isp-meta prepare photos/ -o set
      isp-meta prepare photos/ -o set --share-val 0.1 --input jpeg
    """
    from ..training.prepare import prepare
    from ..training.renderings import InputKind

    start = time.perf_counter()
    with errors(output), progress(output.name) as step:
        made = prepare(
            folders,
            output,
            renderings=renderings,
            crop=crop,
            crops=crops,
            share_val=share_val,
            val=val or (),
            inputs=cast(list[InputKind], input_kind or ["16bit", "8bit", "jpeg"]),
            preset=preset or "random",
            exposure=exposure,
            shrink=shrink,
            seed=seed,
            workers=workers or len(os.sched_getaffinity(0)),
            overwrite=overwrite,
            progress=step,
        )
    for name, reason in made.skipped.items():
        typer.echo(f"skipped: {name}: {' '.join(reason.splitlines())}", err=True)
    say(
        f"{output}: {made.scenes['train']} + {made.scenes['val']} scenes, "
        f"{made.crops['train']} + {made.crops['val']} crops to train + validate, "
        f"{made.size / 1e6:.0f} MB, {time.perf_counter() - start:.0f} s"
    )
