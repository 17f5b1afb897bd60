"""Raw files of the makers' own formats: what LibRaw decodes, what they say of the camera."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np
import rawpy
import torch

from ..camera import Camera
from ..carriers.directories import read_directory
from ..errors import CarrierError
from ..frame import Frame
from .dng.saturation import saturation_level
from .dng.tags import Tag, TiffTags, read_tags
from .exif import ratio_text, read_exif
from .libraw import LIBRAW, Unpacked, unpack
from .refusals import LINEAR_DNG, damaged, rendered_already, unsupported, without_layout
from .structure import as_tiff, check_whole, tiff_directories

__all__ = ["read_maker_raw"]

# LibRaw's flip: bit 0 mirrors columns, bit 1 rows, bit 2 swaps both axes first (LibRaw, "flip").
_FLIP_TO_ORIENTATION = {0: 1, 1: 2, 2: 4, 3: 3, 4: 5, 5: 8, 6: 6, 7: 7}
_COLORS = {
    "C": "cyan",
    "Y": "yellow",
    "M": "magenta",
    "E": "emerald",
    "W": "white",
    "R": "red",
    "G": "green",
    "B": "blue",
}
_MOST_DIRECTORIES = 64
_LEAF = 34310  # Leaf's own metadata, in which it names the camera
_FUJI_DIRECTORY, _FUJI_BLACK = 0xF000, 0xF00A


def read_maker_raw(data: bytes, kind: str, name: object, *, gps: bool = False) -> Frame:
    """Reads a raw file of a maker's own format by LibRaw.

    Args:
        data: the whole file.
        kind: as :func:`isp_meta.io.signatures.what_is` tells it.
        name: of the file, for errors.
        gps: whether the camera's ``exif`` may tell where the picture was taken.

    Returns:
        A Frame with ``codes`` (1, H, W) float32 and ``camera``, as :func:`read_raw` has them.

    Raises:
        RawFileDamaged: cut off, or not decoded wholly. RawFileUnsupported: of a kind, or of a
            camera, that is not read. NotARawFile: a TIFF without a camera or without a mosaic.
    """
    check_whole(data, kind, name)
    tags = read_tags(as_tiff(data, kind)) or TiffTags()
    if kind == "TIFF":
        _check_tiff(data, name)
    try:
        unpacked = unpack(data, kind, name)
    except rawpy.LibRawFileUnsupportedError as error:
        said = " ".join(filter(None, (tags.texts.get(Tag.MAKE), tags.texts.get(Tag.MODEL))))
        what = f"{kind} of {said or 'a camera'}, whose model or compression {LIBRAW} lacks"
        raise unsupported(name, what) from error
    cfa = _cfa(unpacked, name)
    try:
        camera = _camera(unpacked, tags, cfa, _fuji_black(data) if kind == "RAF" else ())
    except ValueError as error:
        raise damaged(name, f"its levels or colors make no sense ({error})") from error
    if gps:
        camera = camera.replace(exif={**camera.exif, **tags.gps})
    codes = unpacked.codes.astype(np.float32)[None]
    camera = camera.replace(white_level=saturation_level(codes, camera, camera.white_level))
    return Frame(camera=_with_exif(camera, data, gps), codes=torch.from_numpy(codes))


def _check_tiff(data: bytes, name: object) -> None:
    """LibRaw takes a TIFF that names no camera for a dump of one whose files have its size."""
    named = mosaic = False
    for directory in islice(tiff_directories(data), _MOST_DIRECTORIES):
        found = {entry.tag: entry for entry in directory.entries}
        named |= Tag.MAKE in found or _LEAF in found
        kind = found.get(Tag.PHOTOMETRIC)
        rgb = kind is not None and struct.unpack(directory.layout.order + "H", kind.value[:2]) == (
            2,
        )
        preview = Tag.NEW_SUBFILE_TYPE in found and any(found[Tag.NEW_SUBFILE_TYPE].value)
        mosaic |= not rgb and not preview
    if not mosaic:
        raise rendered_already(name, "TIFF")
    if not named:
        raise without_layout(name, "a TIFF that names no camera")


def _cfa(unpacked: Unpacked, name: object) -> str:
    """The letters of the mosaic's period."""
    if not unpacked.letters:
        return "W"
    cfa = "".join(unpacked.letters[index] for index in unpacked.pattern.ravel())
    if set(cfa) <= set("RGB"):
        return cfa
    colors = ", ".join(_COLORS.get(letter, letter) for letter in dict.fromkeys(unpacked.letters))
    raise unsupported(name, f"a mosaic of {colors} ({unpacked.letters})", LINEAR_DNG)


def _camera(unpacked: Unpacked, tags: TiffTags, cfa: str, fuji_black: tuple[float, ...]) -> Camera:
    black = tuple(unpacked.black[index] for index in unpacked.pattern.ravel())
    if len(fuji_black) == len(cfa):
        black = fuji_black
    measured: dict[str, Any] = {}
    if unpacked.matrix.any():
        # LibRaw's table of cameras holds the matrices for D65, Camera's default illuminant.
        measured["color_matrix"] = tuple(float(v) for v in unpacked.matrix.round(4).ravel())
    return Camera(
        make=tags.texts.get(Tag.MAKE, ""),
        model=tags.texts.get(Tag.MODEL, ""),
        cfa=cfa,
        black_level=black,
        white_level=unpacked.white,
        as_shot_neutral=_neutral(unpacked),
        orientation=_FLIP_TO_ORIENTATION.get(unpacked.flip, 1),
        crop=unpacked.crop,
        exif={**_exif_of_libraw(unpacked), **tags.exif},
        **measured,
    )


def _fuji_black(data: bytes) -> tuple[float, ...]:
    """Fujifilm's black levels, one for each place of the period; LibRaw passes their least on.

    Source: ExifTool, "FujiFilm RAF tags": directory 0xF000 of the TIFF that the header's offset
    100 points to.
    """
    try:
        (start,) = struct.unpack_from(">I", data, 100)
        tiff = data[start:]
        below = read_directory(tiff).numbers(tiff, _FUJI_DIRECTORY)
        if not below.size:
            return ()
        found = read_directory(tiff, int(below[0])).numbers(tiff, _FUJI_BLACK)
        return tuple(float(level) for level in found)
    except (CarrierError, struct.error):  # an older camera: no TIFF there
        return ()


def _neutral(unpacked: Unpacked) -> tuple[float, float, float]:
    if not unpacked.letters:
        return (1.0, 1.0, 1.0)
    for gains in unpacked.gains:
        if all(math.isfinite(gain) and gain > 0 for gain in gains):
            red, green, blue = gains
            return green / red, 1.0, green / blue
    return (1.0, 1.0, 1.0)


def _exif_of_libraw(unpacked: Unpacked) -> Mapping[str, str]:
    other = unpacked.other
    exif = {}
    # LibRaw gives single precision; the nearest simple ratio is what the camera had written.
    for name, value, denominator in (
        ("ExposureTime", other.shutter_speed, 16000),
        ("FNumber", other.aperture, 100),
        ("ISO", other.iso_speed, 1),
        ("FocalLength", other.focal_length, 100),
    ):
        if math.isfinite(value) and value > 0:
            exif[name] = ratio_text(Fraction(value).limit_denominator(denominator))
    if other.timestamp is not None and other.timestamp.year > 1970:
        exif["DateTimeOriginal"] = other.timestamp.strftime("%Y:%m:%d %H:%M:%S")
    if unpacked.lens.model:
        exif["LensModel"] = unpacked.lens.model
    return exif


def _with_exif(camera: Camera, data: bytes, gps: bool) -> Camera:
    """The camera's name and exposure from Exiv2, where the file's tags are none that we read."""
    if camera.make:
        return camera
    found = read_exif(data, gps=gps)
    make, model = found.pop("Make", ""), found.pop("Model", camera.model)
    return camera.replace(make=make, model=model, exif={**camera.exif, **found})
