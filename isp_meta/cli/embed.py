"""``isp-meta embed``: raw files to JPEGs that carry their raw."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..capture import CaptureOptions
from ..errors import ImageFileError
from .console import each, errors, progress, say, stop
from .files import PICTURES, Files
from .layouts import Layout, takes_layout
from .options import takes_capture_options
from .pipelines import PipelineOption, PresetOption, choose_for
from .pipes import DASH, source

if TYPE_CHECKING:
    from ..capture.embed import Embedded
    from ..registration import Registration

__all__ = ["command"]

_FILES = Files("embed", "raw", PICTURES, into="--jpeg", batch=True)


@takes_capture_options()
@takes_layout
def command(
    *,
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
    options: CaptureOptions,
    layout: Layout,
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
      isp-meta embed frame.raw --raw-size 2592x1536 --bits 8 --cfa GRBG --black 12.5
    """
    from .. import io
    from ..capture.embed import embed as embed_file

    if jpeg is not None and len(raws) > 1:
        stop("--jpeg takes one RAW", 2)
    if options.carrier == "sidecar" and output == DASH:
        stop("standard output takes one file; --carrier sidecar makes two", 2)
    sidecars = options.carrier == "sidecar"
    if jpeg is not None:
        with errors(jpeg):
            io.check_source(jpeg, ImageFileError)
    files = _FILES if layout is None else dataclasses.replace(_FILES, takes="codes")
    paths = files.targets(raws, output, ".jpg", sidecars=sidecars)
    with errors(pipeline or "embed"):
        chosen = choose_for(paths[0], options, pipeline, preset)

    def work(item: tuple[Path, Path]) -> None:
        raw, path = source(item[0]), item[1]
        with progress(raw.name) as step:
            made = embed_file(
                raw,
                path,
                options,
                pipeline=chosen,
                existing=jpeg,
                layout=layout,
                overwrite=overwrite,
                progress=step,
            )
        if as_json:
            say(json.dumps(_described(made)))
            return
        _report(made)
        if made.registration is not None:
            say(f"{jpeg}: {_fit(made.registration)}")

    each(zip(raws, paths, strict=True), work)


def _fit(found: Registration) -> str:
    """How an existing picture lies in its raw."""
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
