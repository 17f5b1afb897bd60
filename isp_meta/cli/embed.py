"""``isp-meta embed``: raw files to JPEGs that carry their raw."""

from __future__ import annotations

import math
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from .. import samplers
from ..capture import Embedded
from ..capture import embed as embed_file
from ..frame import Sampler
from ..registration import Registration
from .console import each, errors, progress, say, stop, targets
from .pipelines import PipelineOption, PresetOption, choose

__all__ = ["command"]


class SamplerName(str, Enum):
    """Samplers by their command-line names."""

    superpixel = "superpixel"
    uniform = "uniform"
    random = "random"


class CarrierName(str, Enum):
    """Places for the metadata by their command-line names."""

    app11 = "app11"
    com = "com"
    chunk = "chunk"
    tag = "tag"
    sidecar = "sidecar"


def make_sampler(name: SamplerName, cell: int, seed: int) -> Sampler:
    """The sampler that a command-line name stands for."""
    if name is SamplerName.superpixel:
        return samplers.SuperpixelSampler(cell)
    if name is SamplerName.uniform:
        return samplers.UniformSampler(cell)
    return samplers.RandomSampler(seed, 1 / cell**2)


def command(
    raws: Annotated[
        list[Path], typer.Argument(metavar="RAW...", help="Raw files.", readable=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help=".jpg, .png or .tif; or a folder for several.", readable=False
        ),
    ] = None,
    jpeg: Annotated[
        Path | None,
        typer.Option(
            help="Embed into this JPEG (PNG, TIFF) of the RAW; renders none.", readable=False
        ),
    ] = None,
    pipeline: PipelineOption = None,
    preset: PresetOption = None,
    sampler: Annotated[
        SamplerName, typer.Option(help="How pixels are chosen.")
    ] = SamplerName.superpixel,
    cell: Annotated[
        int, typer.Option(min=1, max=256, help="One sample in cell x cell pixels.")
    ] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Of the random sampler.")] = 0,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of the JPEG.")] = 95,
    bits: Annotated[int, typer.Option(min=8, max=16, help="Depth of a stored value.")] = 14,
    carrier: Annotated[
        CarrierName | None,
        typer.Option(help="Where the metadata goes: app11 or com of a JPEG, chunk of a PNG ..."),
    ] = None,
    depth: Annotated[
        int | None, typer.Option(help="Bits of a PNG (default 8) or TIFF (default 16).")
    ] = None,
    gps: Annotated[bool, typer.Option("--gps", help="Copy where it was taken, too.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Go on although --jpeg does not seem to fit the RAW.")
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace existing files.")] = False,
) -> None:
    """Render RAW files to JPEGs that carry their raw (photo.dng -> photo.jpg)."""
    if jpeg is not None and len(raws) > 1:
        stop("--jpeg takes one RAW", 2)
    with errors(pipeline or "embed"):
        chosen = choose(pipeline, preset)

    def work(item: tuple[Path, Path]) -> None:
        raw, path = item
        with progress(raw.name) as step:
            made = embed_file(
                raw,
                path,
                pipeline=chosen,
                sampler=make_sampler(sampler, cell, seed),
                quality=quality,
                jpeg_in=jpeg,
                bits=bits,
                carrier=None if carrier is None else carrier.value,
                depth=depth,
                gps=gps,
                force=force,
                overwrite=overwrite,
                progress=step,
            )
        _report(made)
        if made.registration is not None:
            say(f"{jpeg}: {_fit(made.registration)}")

    each(zip(raws, targets(raws, output, ".jpg"), strict=True), work)


def _fit(found: Registration) -> str:
    """How an existing JPEG lies in its raw."""
    place = found.placement
    turned = "pixels as the sensor's" if place.turn == 1 else f"turned as Orientation {place.turn}"
    measured = "" if math.isnan(found.likeness) else f", gradients alike by {found.likeness:.2f}"
    if not math.isnan(found.median_residual):
        measured += (
            f", off by {found.median_residual:.2f} pixels in the median, "
            f"{found.largest_residual:.2f} at most"
        )
    return (
        f"{turned}, from row {place.top}, column {place.left}{measured}; "
        f"{100 * (1 - found.share):.1f} % without samples, showing something else than the raw"
    )


def _report(made: Embedded) -> None:
    samples = made.frame.require("samples", "embed")
    where = f" in {made.sidecar}" if made.sidecar else ""
    say(
        f"{made.path}: {samples.width}x{samples.height}, {_kind(made.path)} "
        f"{made.jpeg_bytes:,} bytes + metadata {made.payload_bytes:,} bytes "
        f"({made.bits_per_pixel:.3f} bits a pixel, "
        f"{len(samples):,} samples){where}"
    )


def _kind(path: Path) -> str:
    return {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF"}.get(path.suffix.lower(), "JPEG")
