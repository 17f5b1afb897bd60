"""``isp-meta embed``: raw files to JPEGs that carry their raw."""

from __future__ import annotations

import json
import math
import re
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import each, errors, progress, say, stop, targets
from .pipelines import PipelineOption, PresetOption, choose
from .pipes import DASH, source

if TYPE_CHECKING:
    from ..batch import Embed
    from ..capture import Embedded
    from ..registration import Registration

__all__ = ["DEFAULT_EFFORT", "MOST_EFFORT", "command"]

# Those of capture and closed_loop, which the list of options need not wait for.
DEFAULT_EFFORT, MOST_EFFORT = 1, 9


class SamplerName(str, Enum):
    """Samplers by their command-line names."""

    superpixel = "superpixel"
    uniform = "uniform"
    random = "random"


class CodingName(str, Enum):
    """Codings of the stored values by their command-line names."""

    range = "range"
    predicted = "predicted"
    packed = "packed"


class CarrierName(str, Enum):
    """Places for the metadata by their command-line names."""

    app11 = "app11"
    com = "com"
    chunk = "chunk"
    tag = "tag"
    sidecar = "sidecar"


def _bytes(text: str) -> int:
    """Bytes of a size such as 300KB: thousands, millions, or none.

    Raises:
        ValueError: another text.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?) ?([km]?)b?", text.strip().lower())
    if match is None:
        raise ValueError(f"--size must be as 300KB or 1.5MB, not {text!r}")
    return int(float(match[1]) * {"": 1, "k": 1e3, "m": 1e6}[match[2]])


def command(
    raws: Annotated[list[Path], typer.Argument(metavar="RAW", help="Raw files.", readable=False)],
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
        SamplerName | None,
        typer.Option(help="How pixels are chosen: uniform; with effort 0 superpixel."),
    ] = None,
    cell: Annotated[
        int, typer.Option(min=1, max=256, help="One sample in cell x cell pixels.")
    ] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Of the random sampler.")] = 0,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of the JPEG.")] = 95,
    levels: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Steps from black to white of a stored value: 320."),
    ] = None,
    bits: Annotated[
        int | None,
        typer.Option(
            min=8, max=16, help="Store values evenly to this depth, in place of --levels."
        ),
    ] = None,
    coding: Annotated[
        CodingName,
        typer.Option(help="Of the values; predicted is smaller, lost once a pixel changes."),
    ] = CodingName.range,
    bpp: Annotated[
        float | None, typer.Option(help="Metadata of so many bits a pixel, in place of --cell.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Metadata of so many bytes (300KB, 1.5MB), likewise.")
    ] = None,
    psnr: Annotated[
        float | None, typer.Option(help="As few as recover raw to so many dB, likewise; slow.")
    ] = None,
    effort: Annotated[
        int,
        typer.Option(
            min=0,
            max=MOST_EFFORT,
            help="Search for what makes recovery best; from 2 on values are no longer measured.",
        ),
    ] = DEFAULT_EFFORT,
    enhancement: Annotated[
        float | None,
        typer.Option(
            help="Steps of what recovery still misses, in parts of full scale: 0.03; 0: none."
        ),
    ] = None,
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
    lossless: Annotated[
        bool, typer.Option("--lossless", help="Keep the whole mosaic, to the bit.")
    ] = False,
    alone: Annotated[
        bool,
        typer.Option(
            "--alone", help="With --lossless: larger, but outlives a JPEG that is encoded again."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Report for programs: one object a line.")
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace existing files.")] = False,
) -> None:
    """Render RAW files to JPEGs that carry their raw (photo.dng -> photo.jpg).

    \b
    Examples:
      isp-meta embed photo.dng
      isp-meta embed *.dng -o pictures/ --preset camera
      isp-meta embed photo.dng --jpeg camera.jpg -o both.jpg
      isp-meta embed photo.dng --size 200KB
      isp-meta embed photo.dng -o - > photo.jpg
      isp-meta embed *.dng --json
    """
    from ..capture import embed as embed_file

    if jpeg is not None and len(raws) > 1:
        stop("--jpeg takes one RAW", 2)
    if carrier is CarrierName.sidecar and output == DASH:
        stop("standard output takes one file; --carrier sidecar makes two", 2)
    job = make_job(
        pipeline=pipeline,
        preset=preset,
        sampler=sampler or "",
        cell=cell,
        seed=seed,
        quality=quality,
        levels=levels,
        bits=bits,
        coding=coding,
        bpp=bpp,
        size=size,
        psnr=psnr,
        effort=effort,
        enhancement=enhancement,
        carrier=carrier,
        depth=depth,
        gps=gps,
        lossless=lossless,
        alone=alone,
    )

    def work(item: tuple[Path, Path]) -> None:
        raw, path = source(item[0]), item[1]
        with progress(raw.name) as step:
            made = embed_file(
                raw,
                path,
                jpeg_in=jpeg,
                force=force,
                **job.arguments(),
                overwrite=overwrite,
                progress=step,
            )
        if as_json:
            say(json.dumps(_described(made)))
            return
        _report(made)
        if made.registration is not None:
            say(f"{jpeg}: {_fit(made.registration)}")

    each(zip(raws, targets(raws, output, ".jpg"), strict=True), work)


def make_job(
    *,
    pipeline: Path | None,
    preset: str | None,
    size: str | None,
    lossless: bool,
    alone: bool,
    **options: Any,
) -> Embed:
    """What the options of ``embed`` stand for; ends the command where they exclude each other."""
    from ..batch import Embed

    if alone and not lossless:
        stop("--alone goes with --lossless", 2)
    with errors(pipeline or "embed"):
        chosen = choose(pipeline, preset)
    plain = {key: v.value if isinstance(v, Enum) else v for key, v in options.items()}
    try:
        return Embed(
            pipeline=chosen.to_toml(),
            size=None if size is None else _bytes(size),
            lossless="alone" if alone else lossless,
            **plain,
        )
    except ValueError as error:
        stop(str(error), 2)


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


def _described(made: Embedded) -> dict[str, Any]:
    samples = made.frame.require("samples", "embed")
    return {
        "picture": str(made.path),
        "sidecar": str(made.sidecar) if made.sidecar else None,
        "width": samples.width,
        "height": samples.height,
        "samples": len(samples),
        "picture_bytes": made.picture_bytes,
        "metadata_bytes": made.payload_bytes,
        "bits_per_pixel": made.bits_per_pixel,
    }


def _report(made: Embedded) -> None:
    samples = made.frame.require("samples", "embed")
    where = f" in {made.sidecar}" if made.sidecar else ""
    say(
        f"{made.path}: {samples.width}x{samples.height}, {_kind(made.path)} "
        f"{made.picture_bytes:,} bytes + metadata {made.payload_bytes:,} bytes "
        f"({made.bits_per_pixel:.3f} bits a pixel, "
        f"{len(samples):,} samples){where}"
    )


def _kind(path: Path) -> str:
    return {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF"}.get(path.suffix.lower(), "JPEG")
