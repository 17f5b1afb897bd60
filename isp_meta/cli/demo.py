"""``isp-meta demo``: the whole way on the sample raw file, with pictures to look at."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ..data import sample_path
from .console import errors, out, progress, say

if TYPE_CHECKING:
    from PIL import Image

    from ..capture.embed import Embedded
    from ..comparison import Comparison
    from ..frame import Sampler

__all__ = ["command"]


def command(
    raw: Annotated[
        Path | None,
        typer.Argument(metavar="RAW", help="By default the sample that ships.", readable=False),
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for what it makes.", readable=False)
    ] = Path("demo-output"),
) -> None:
    """Embed, recover and compare a raw file; write the pictures; say where.

    \b
    Examples:
      isp-meta demo
      isp-meta demo photo.dng -o demo
    """
    from ..samplers import SuperpixelSampler, UniformSampler

    source = raw or sample_path()
    table = Table("sampling", "metadata", "PSNR", "unclipped", "SSIM", "embed", "recover")
    with errors(source), progress(source.name) as step:
        output.mkdir(parents=True, exist_ok=True)
        for sampler in (UniformSampler(), SuperpixelSampler()):
            name = type(sampler).__name__.removesuffix("Sampler").lower()
            step(f"{name} sampling")
            table.add_row(name, *_run(source, output / f"{source.stem}-{name}", sampler))
    out.print(table)
    out.print("JPEG that carries its raw, recovered DNG, samples and error map (white: 2 %):")
    for path in sorted(output.glob(f"{source.stem}-*")):
        say(f"  {path}")


def _run(source: Path, stem: Path, sampler: Sampler) -> tuple[str, ...]:
    from .. import io
    from ..capture.embed import embed
    from ..comparison import compare
    from ..pictures import error_map, sample_overlay
    from ..recovery import read_metadata
    from ..recovery.recover import recover

    jpeg = stem.with_suffix(".jpg")
    start = time.perf_counter()
    made = embed(source, jpeg, sampler=sampler, overwrite=True)
    embedded = time.perf_counter()
    metadata = read_metadata(jpeg)
    frame = recover(metadata)
    recovered = time.perf_counter()
    io.write_dng(stem.with_suffix(".dng"), frame, overwrite=True)
    figures, estimate, truth = compare(source, metadata, estimate=frame)
    samples = made.frame.require("samples", "demo")
    overlay = sample_overlay(made.frame.require("srgb", "demo"), samples)
    _save(overlay, stem.with_name(f"{stem.name}-samples.png"))
    _save(error_map(estimate, truth), stem.with_name(f"{stem.name}-error.png"))
    return _cells(made, figures, embedded - start, recovered - embedded)


def _cells(
    made: Embedded, figures: Comparison, embed_s: float, recover_s: float
) -> tuple[str, ...]:
    return (
        f"{made.bits_per_pixel:.3f} bit/px",
        f"{figures.psnr:.2f} dB",
        f"{figures.psnr_unclipped:.2f} dB",
        f"{figures.ssim:.4f}",
        f"{embed_s:.1f} s",
        f"{recover_s:.1f} s",
    )


def _save(picture: Image.Image, path: Path) -> None:
    from .. import io

    io.write_atomic(path, lambda file: picture.save(file, format="PNG"), overwrite=True)
