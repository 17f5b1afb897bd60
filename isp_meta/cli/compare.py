"""``isp-meta compare``: how near a recovered raw comes to the true one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from .choices import DemosaicMethod
from .console import errors, out, print_json, progress
from .files import check_name
from .layouts import Layout, takes_layout

if TYPE_CHECKING:
    from ..comparison import Comparison

__all__ = ["command"]


@takes_layout
def command(
    *,
    raw: Annotated[
        Path, typer.Argument(metavar="RAW", help="The original raw file.", readable=False)
    ],
    recovered: Annotated[
        Path,
        typer.Argument(
            metavar="JPEG", help="Its JPEG, or a recovered DNG, TIFF or NPY.", readable=False
        ),
    ],
    picture: Annotated[
        Path | None, typer.Option("--map", help="Write the error map here, as PNG.", readable=False)
    ] = None,
    demosaic: Annotated[
        DemosaicMethod, typer.Option(help="Of the truth; a JPEG's metadata says so itself.")
    ] = "malvar",
    stops: Annotated[
        bool,
        typer.Option(
            "--stops",
            help="Tell the error stop by stop, beside the raw's grain: noise and finest texture.",
        ),
    ] = False,
    edits: Annotated[
        bool,
        typer.Option("--edits", help="Develop both: what is left of the error after each edit."),
    ] = False,
    layout: Layout,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing error map.")] = False,
) -> None:
    """Compare a recovered raw with the original: PSNR, SSIM, error map.

    \b
    Examples:
      isp-meta compare photo.dng photo.jpg --map error.png
      isp-meta compare photo.dng photo.jpg --stops --edits
      isp-meta compare photo.dng photo-recovered.dng --json
    """
    from .. import io
    from ..comparison import EDITS
    from ..comparison import compare as compare_files
    from ..pictures import error_map

    with errors(recovered), progress(recovered.name) as step:
        if picture is not None:
            io.check_target(picture, overwrite=overwrite, sources=[raw, recovered])
            check_name(picture, (".png",))
        step("comparing")
        figures, estimate, truth = compare_files(
            raw, recovered, demosaic, layout=layout, edits=EDITS if edits else ()
        )
        if picture is not None:
            shown = error_map(estimate, truth)
            io.write_atomic(
                picture, lambda file: shown.save(file, format="PNG"), overwrite=overwrite
            )
    if as_json:
        print_json(figures.as_dict())
    else:
        out.print(_table(figures))
        if stops and figures.stops:
            out.print(_stops(figures))
        if figures.edits:
            out.print(_edits(figures))


def _table(figures: Comparison) -> Table:
    table = Table(show_header=False, box=None)
    table.add_row("PSNR, all pixels", f"{figures.psnr:.2f} dB")
    share = f"{100 * figures.unclipped:.1f} % of the pixels"
    table.add_row("PSNR, unclipped", f"{figures.psnr_unclipped:.2f} dB ({share})")
    table.add_row("PSNR, sensor's own pixels", f"{figures.psnr_mosaic:.2f} dB")
    table.add_row("SSIM", f"{figures.ssim:.4f}")
    table.add_row("dark specks", f"{figures.specks:,} (the raw has {figures.specks_of_raw:,})")
    if figures.bits_per_pixel is not None:
        table.add_row("metadata", f"{figures.bits_per_pixel:.3f} bits a pixel")
    return table


def _stops(figures: Comparison) -> Table:
    columns = "brightness", "share", "error", "in 16x16 pixels", "x white noise", "error / grain"
    table = Table(*columns, box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for stop in figures.stops:
        middle = 0.75 * 2.0**-stop.below
        table.add_row(
            f"{-stop.below} to {-stop.below - 1} EV",
            f"{100 * stop.share:.1f} %",
            f"{100 * stop.error / middle:.2f} %",
            "-" if stop.mottle is None else f"{100 * stop.mottle / middle:.2f} %",
            "-" if stop.clumping is None else f"{stop.clumping:.1f}",
            f"{stop.error / stop.grain:.1f}" if stop.grain else "-",
        )
    return table


def _edits(figures: Comparison) -> Table:
    columns = "both developed", "sRGB PSNR", "CIEDE2000", "of 8x8 means"
    table = Table(*columns, box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for edit in figures.edits:
        table.add_row(
            edit.name, f"{edit.psnr:.2f} dB", f"{edit.delta_e:.2f}", f"{edit.blotches:.2f}"
        )
    return table
