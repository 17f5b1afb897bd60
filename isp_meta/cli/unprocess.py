"""``isp-meta unprocess``: a finished picture to a raw file that could have been its own."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ImageFileError, RawFileError
from .console import errors, progress, say, stop
from .files import check_name
from .pipes import source, target

if TYPE_CHECKING:
    from ..camera import Camera

__all__ = ["command"]

_LEAST_SIDE = 32  # LibRaw reads nothing of 16 pixels or less.


def command(
    picture: Annotated[
        Path, typer.Argument(metavar="PICTURE", help="JPEG, PNG or TIFF, 8 bits.", readable=False)
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="DNG to write.", readable=False),
    ],
    camera: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help='Make and model, as in "SONY SLT-A57"; by default one that never was.',
        ),
    ] = None,
    cfa: Annotated[
        str | None,
        typer.Option(
            metavar="LETTERS",
            help="Color filter: RGGB … of a square period, xtrans, quad, W or RGB.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is random.")] = 0,
    no_noise: Annotated[bool, typer.Option("--no-noise", help="As of a sensor without.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
) -> None:
    """Make plausible raw of a PICTURE: a DNG with the mosaic that a sensor might have seen.

    \b
    Examples:
      isp-meta unprocess picture.png -o picture.dng
      isp-meta unprocess picture.jpg -o picture.dng --camera "SONY SLT-A57" --seed 3
      isp-meta unprocess picture.jpg -o picture.dng --cfa xtrans
    """
    import torch

    from .. import io
    from ..presets.random_cameras import random_camera
    from ..presets.unprocess import unprocess

    check_name(output, (".dng",))
    output = target(output, ".dng")
    with errors(picture), progress(picture.name) as step:
        picture = source(picture)
        io.check_target(output, overwrite=overwrite, sources=[picture])
        known = None if camera is None else _find(camera)
        step("reading")
        data = io.read_bytes(picture, ImageFileError)
        srgb = io.decode_image(data, str(picture)).float().div_(255)
        if min(srgb.shape[1:]) < _LEAST_SIDE:
            raise ImageFileError(
                f"{picture}: has {srgb.shape[2]}x{srgb.shape[1]} pixels; raw files have at least "
                f"{_LEAST_SIDE} a side"
            )
        step("unprocessing")
        generator = torch.Generator().manual_seed(seed)
        known = random_camera(generator) if known is None else known
        if cfa is not None:
            known = known.replace(cfa=_letters(cfa), black_level=known.black_level[:1])
        frame = unprocess(srgb, known, generator, noise=None if no_noise else "random")
        step("writing")
        camera_of_file = frame.camera.replace(orientation=_orientation(data))
        io.write_mosaic(output, frame.replace(camera=camera_of_file), overwrite=overwrite)
    say(f"{output}: {srgb.shape[2]}x{srgb.shape[1]}, {_described(frame.camera)}")


def _find(name: str) -> Camera:
    """The camera of that name, wherever in it the make ends and the model begins."""
    from .. import io

    words = name.split()
    for end in range(1, len(words)):
        try:
            return io.known_camera(" ".join(words[:end]), " ".join(words[end:]))
        except RawFileError:
            continue
    raise RawFileError(f"{name!r}: LibRaw knows no color matrix of such a camera")


def _letters(cfa: str) -> str:
    from ..camera import QUAD_BAYER, XTRANS, check_cfa

    letters = {"xtrans": XTRANS, "quad": QUAD_BAYER}.get(cfa.lower(), cfa.upper())
    try:
        check_cfa(letters)
    except ValueError as error:
        stop(f"--{error}", 2)
    return letters


def _orientation(data: bytes) -> int:
    from PIL import ExifTags, Image

    try:
        with Image.open(BytesIO(data)) as picture:
            orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a picture can be whole and its EXIF broken in any way
        return 1
    return orientation if orientation in range(1, 9) else 1


def _described(camera: Camera) -> str:
    neutral = ", ".join(f"{value:.3f}" for value in camera.as_shot_neutral)
    noise = "none" if camera.noise is None else "shot {:.2g}, read {:.2g}".format(*camera.noise)
    return f"{camera.make} {camera.model}, {camera.cfa}, neutral {neutral}, noise {noise}"
