"""``isp-meta recover``: JPEGs that carry their raw to DNG, TIFF or NumPy."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..lazily import load_torch_meanwhile
from .choices import Compression, Format
from .console import each, progress, say, stop
from .files import TIFF, Files, is_folder
from .pipes import DASH, source

if TYPE_CHECKING:
    from ..batch import Recover
    from ..frame import Reconstructor

__all__ = ["LinearOption", "CompressOption", "ForceOption", "command", "make_job"]


LinearOption = Annotated[bool, typer.Option("--linear", help="DNG with three colors a pixel.")]
CompressOption = Annotated[
    Compression,
    typer.Option(help="Of a DNG; jpegxl is smaller, and for new editors alone (DNG 1.7)."),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Go on although the picture was edited since.")
]

_ENDINGS: dict[Format, tuple[str, ...]] = {"dng": (".dng",), "tiff": TIFF, "npy": (".npy",)}
_NAMED: dict[str, Format] = {
    ending: format for format, endings in _ENDINGS.items() for ending in endings
}
_FILES = Files("recover", "picture", tuple(_NAMED), carrying=True, batch=True)


def command(
    jpegs: Annotated[
        list[Path], typer.Argument(metavar="JPEG", help="JPEG, PNG, TIFF.", readable=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File, or a folder for several.", readable=False),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(help="DNG, 16-bit TIFF or float array; by default as -o says, or dng."),
    ] = None,
    linear: LinearOption = False,
    compress: CompressOption = "lossless-jpeg",
    method: Annotated[
        Literal["local-rbf", "rbf"],
        typer.Option(help="How raw is rebuilt; rbf takes minutes a megapixel."),
    ] = "local-rbf",
    force: ForceOption = False,
    overwrite: Annotated[bool, typer.Option(help="Replace existing files.")] = False,
) -> None:
    """Rebuild the raw of JPEGs (photo.jpg -> photo-recovered.dng).

    \b
    Examples:
      isp-meta recover photo.jpg
      isp-meta recover *.jpg -o raws/ --format tiff
      isp-meta recover photo.jpg --linear --compress jpegxl
      isp-meta recover photo.jpg -o raw.npy
      isp-meta recover - -o - < photo.jpg > photo.dng
    """
    from .. import io
    from ..recovery import read_metadata

    named = output is not None and output != DASH and not is_folder(output)
    file = output if named and len(jpegs) == 1 else None
    chosen = format or _named_format(file)
    job = make_job(format=chosen, linear=linear, compress=compress, force=force)

    @cache
    def reconstructor() -> Reconstructor | None:
        from ..baselines import RBFReconstructor

        return RBFReconstructor() if method == "rbf" else None

    def work(item: tuple[Path, Path]) -> None:
        jpeg, path = source(item[0]), item[1]
        io.check_target(path, overwrite=overwrite, sources=[jpeg])
        with progress(jpeg.name) as step:
            step("reading")
            metadata = read_metadata(jpeg)
            from ..recovery.recover import recover as recover_file
            from ..recovery.write import write_recovered

            frame = recover_file(
                metadata, reconstructor=reconstructor(), force=force, progress=step
            )
            step("writing")
            write_recovered(path, frame, job.format, linear, compress, overwrite=overwrite)
        raw = frame.require("raw", "recover")
        exact = ", exact" if frame.codes is not None else ""
        say(f"{path}: {raw.shape[2]}x{raw.shape[1]}, {chosen}{exact}")

    # Where the format is given, a name may go without an ending, but not with one that lies.
    possible = (*_ENDINGS[format], "") if format else tuple(_NAMED)
    files = dataclasses.replace(_FILES, gives=possible)
    paths = files.targets(jpegs, output, job.ending)
    load_torch_meanwhile()
    each(zip(jpegs, paths, strict=True), work)


def make_job(format: Format, linear: bool, compress: Compression, force: bool) -> Recover:
    """What the options of ``recover`` stand for; ends the command where they exclude each other."""
    from ..batch import Recover

    try:
        return Recover(format, linear, compress, force)
    except ValueError as error:
        stop(str(error), 2)


def _named_format(file: Path | None) -> Format:
    """What the name of the file to write says."""
    if file is None:
        return "dng"
    if (named := _NAMED.get(file.suffix.lower())) is None:
        stop(f"{file}: name it .dng, .tif or .npy, or give --format", 2)
    return named
