"""``isp-meta noise``: raw files with the shot and read noise of a sensor put on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import each, progress, say, stop
from .files import Files
from .layouts import Layout, takes_layout
from .pipes import source

__all__ = ["command"]


@takes_layout
def command(
    *,
    raws: Annotated[list[Path], typer.Argument(metavar="RAW", help="Raw files.", readable=False)],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The DNG, or a folder for several.", readable=False),
    ] = None,
    electrons: Annotated[
        float, typer.Option(min=1, help="Of a saturated pixel: the fewer, the noisier.")
    ] = 6000,
    read: Annotated[
        float, typer.Option("--read", min=0, help="Read noise, electrons; at most all of those.")
    ] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is random.")] = 0,
    layout: Layout,
    overwrite: Annotated[bool, typer.Option(help="Replace existing files.")] = False,
) -> None:
    """Put shot and read noise on RAW files (photo.dng -> photo-noisy.dng).

    \b
    Examples:
      isp-meta noise photo.dng
      isp-meta noise photo.dng --electrons 800 -o dusk.dng
    """
    if read > electrons:
        stop(f"--read {read:g} must be at most --electrons {electrons:g}", 2)
    files = Files("noise", "raw" if layout is None else "codes", (".dng",))
    paths = files.targets(raws, output, "-noisy.dng")

    def work(item: tuple[Path, Path]) -> None:
        from .. import io
        from ..stages import noisy_codes

        raw, path = source(item[0]), item[1]
        io.check_target(path, overwrite=overwrite, sources=[raw])
        with progress(raw.name) as step:
            step("reading raw")
            frame = io.read_raw(raw, layout=layout)
            step("adding noise")
            frame = noisy_codes(frame, electrons, read, seed)
            step("writing")
            io.write_mosaic(path, frame, overwrite=overwrite)
        say(f"{path}: {path.stat().st_size:,} bytes")

    each(zip(raws, paths, strict=True), work)
