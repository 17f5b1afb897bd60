"""``isp-meta prepare``: folders of pictures to a training set."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ..errors import TrainingError
from ..processors import available
from .console import errors, progress, say, stop

if TYPE_CHECKING:
    from ..training import TrainingConfig

__all__ = ["command"]

# What may be given beside a training's file, for the set does not depend on it.
_OF_THE_RUN = {"folders", "output", "workers", "overwrite", "quiet", "verbose"}


def command(
    context: typer.Context,
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR",
            help="Raw files, linear 16-bit PNG or TIFF, 8-bit sRGB pictures; or a CONFIG.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="SET", help="Folder to make.")
    ] = None,
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
    quality: Annotated[tuple[int, int], typer.Option(metavar="LOW HIGH", help="Of JPEGs.")] = (
        80,
        100,
    ),
    preset: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Camera, or a pipeline's .toml; by default random."),
    ] = None,
    camera: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Raw of 8-bit pictures is like that of those in DIR."),
    ] = None,
    exposure: Annotated[tuple[float, float], typer.Option(metavar="LOW HIGH", help="Stops.")] = (
        -1.0,
        1.0,
    ),
    noise: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LOW HIGH", help="Add noise of so many electrons at saturation."),
    ] = None,
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
      isp-meta prepare configs/imx135.toml
    """
    from ..training.prepare import prepare
    from ..training.renderings import InputKind

    start = time.perf_counter()
    with errors(folders[0]):
        plan = _plan(context, folders)
        output = output or (Path(plan.data.folder) if plan else None)
    if output is None:
        stop("name the set to make with -o", 2)
    run: dict[str, Any] = {
        "workers": workers or available(),
        "overwrite": overwrite,
    }
    with errors(output), progress(output.name) as step:
        if plan is not None:
            made = plan.prepare.make(output, **run, progress=step)
        else:
            made = prepare(
                folders,
                output,
                renderings=renderings,
                crop=crop,
                crops=crops,
                share_val=share_val,
                val=val or (),
                inputs=cast(list[InputKind], input_kind or ["16bit", "8bit", "jpeg"]),
                quality=quality,
                preset=preset or "random",
                camera=camera,
                exposure=exposure,
                noise=noise,
                shrink=shrink,
                seed=seed,
                **run,
                progress=step,
            )
    for name, reason in made.skipped.items():
        typer.echo(f"skipped: {name}: {' '.join(reason.splitlines())}", err=True)
    say(
        f"{output}: {made.scenes['train']} + {made.scenes['val']} scenes, "
        f"{made.crops['train']} + {made.crops['val']} crops to train + validate, "
        f"{made.size / 1e6:.0f} MB, {time.perf_counter() - start:.0f} s"
    )


def _plan(context: typer.Context, folders: list[Path]) -> TrainingConfig | None:
    """The training whose set is to be made; None where pictures are named."""
    from ..training import TrainingConfig

    if len(folders) != 1 or folders[0].suffix.lower() != ".toml":
        return None
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE" and name not in _OF_THE_RUN:
            stop(f"{parameter.opts[0]}: {folders[0].name} says of what the set is made", 2)
    plan = TrainingConfig.from_toml(folders[0])
    if not plan.prepare.pictures or not plan.data.folder:
        raise TrainingError(f"{folders[0]}: [prepare] pictures and [data] folder must be there")
    return plan
