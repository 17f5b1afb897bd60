"""Exposure tags of a photograph: their names, their codes in EXIF, their form as text.

``Camera.exif`` holds text under the names of :data:`FIELDS`. Serial numbers are not among them and
so never pass; where the picture was taken passes only when asked for, see :mod:`.gps`.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from PIL import ExifTags, TiffTags
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from ..camera import Camera
from . import gps as gps_tags

__all__ = [
    "FIELDS",
    "exif_directory",
    "exif_segment",
    "pack_directory",
    "plain_text",
    "ratio_text",
    "read_exif",
]

FIELDS: Mapping[str, int] = {
    "ExposureTime": ExifTags.Base.ExposureTime,
    "FNumber": ExifTags.Base.FNumber,
    "ISO": ExifTags.Base.ISOSpeedRatings,
    "ExposureProgram": ExifTags.Base.ExposureProgram,
    "ExposureBiasValue": ExifTags.Base.ExposureBiasValue,
    "MeteringMode": ExifTags.Base.MeteringMode,
    "Flash": ExifTags.Base.Flash,
    "DateTimeOriginal": ExifTags.Base.DateTimeOriginal,
    "OffsetTimeOriginal": ExifTags.Base.OffsetTimeOriginal,
    "SubSecTimeOriginal": ExifTags.Base.SubsecTimeOriginal,
    "FocalLength": ExifTags.Base.FocalLength,
    "FocalLengthIn35mmFilm": ExifTags.Base.FocalLengthIn35mmFilm,
    "LensMake": ExifTags.Base.LensMake,
    "LensModel": ExifTags.Base.LensModel,
    "Software": ExifTags.Base.Software,
    "Artist": ExifTags.Base.Artist,
    "Copyright": ExifTags.Base.Copyright,
}
Value = int | str | bytes | IFDRational | tuple[IFDRational, ...]
Directory = Mapping[int, Value]

_HEADER = b"II*\0\x08\0\0\0"  # little-endian TIFF, first directory behind these eight bytes
_RATIONAL = ("ExposureTime", "FNumber", "FocalLength", "ExposureBiasValue")
_SHORT = ("ISO", "ExposureProgram", "MeteringMode", "Flash", "FocalLengthIn35mmFilm")
_MAIN = ("Software", "Artist", "Copyright")  # live in the main directory, not in the EXIF one
# Types that Pillow would guess otherwise.
_TYPES = {
    int(ExifTags.Base.ExposureBiasValue): TiffTags.SIGNED_RATIONAL,
    int(ExifTags.Base.Flash): TiffTags.SHORT,
}
_LONGEST_TEXT = 256


def ratio_text(value: Fraction) -> str:
    """A rational tag as text that ``Fraction`` reads back: 1/455, 2.8, 30."""
    decimal = f"{float(value):g}"
    if value.numerator != 1 and Fraction(decimal) == value:
        return decimal
    return str(value)


def plain_text(value: object) -> str:
    """Text that a 7-bit EXIF string can hold: printable ASCII, at most 256 characters."""
    text = str(value).split("\0")[0].strip()
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:_LONGEST_TEXT]


def read_exif(data: bytes, *, gps: bool = False) -> dict[str, str]:
    """Make, Model and :data:`FIELDS` of a raw file that is not TIFF-based (CR3, RAF, RW2).

    Args:
        data: the whole file.
        gps: the names of :data:`.gps.FIELDS` too.

    Returns:
        Text by name; nothing without the ``exif`` extra, or where Exiv2 does not know the file.
    """
    try:
        import pyexiv2
    except ImportError:
        return {}
    pyexiv2.set_log_level(4)  # it would print to standard output
    try:
        with pyexiv2.ImageData(data) as image:
            found = image.read_exif()
    except (RuntimeError, UnicodeDecodeError):
        return {}
    keys = {name: f"Exif.Photo.{name}" for name in FIELDS} | {"ISO": "Exif.Photo.ISOSpeedRatings"}
    keys |= {name: f"Exif.GPSInfo.{name}" for name in gps_tags.FIELDS} if gps else {}
    keys |= {name: f"Exif.Image.{name}" for name in ("Make", "Model", *_MAIN)}
    texts = {name: plain_text(found[key]) for name, key in keys.items() if key in found}
    for name in texts.keys() & set(_RATIONAL):
        try:
            texts[name] = ratio_text(Fraction(texts[name]))
        except (ValueError, ZeroDivisionError):
            del texts[name]
    return texts


def exif_directory(camera: Camera) -> dict[int, Value]:
    """The EXIF directory (IFD) of a picture.

    Args:
        camera: its ``exif`` is passed through; what does not read as its tag's type is left out.

    Returns:
        Tag code to value, in Pillow's types; ``ExifVersion`` is always there.

    Source: CIPA DC-008 (Exif 2.32), section 4.6.5.
    """
    directory: dict[int, Value] = {ExifTags.Base.ExifVersion: b"0232"}
    for name, code in FIELDS.items():
        text = camera.exif.get(name)
        if not text or name in _MAIN:
            continue
        try:
            if name in _RATIONAL:
                ratio = Fraction(text).limit_denominator(10**6)
                least = -1000 if name == "ExposureBiasValue" else Fraction(1, 10**6)
                if not least <= ratio < 2**31 // ratio.denominator:
                    continue
                directory[code] = IFDRational(ratio.numerator, ratio.denominator)
            elif name in _SHORT:
                # Of an ISO beyond 65534 the tag says 65535: see the other sensitivity tags (2.3).
                directory[code] = max(0, min(round(Fraction(text)), 65535))
            else:
                directory[code] = plain_text(text)
        except (ValueError, ZeroDivisionError):
            continue
    return directory


def pack_directory(directory: Directory, offset: int, types: Mapping[int, int] = _TYPES) -> bytes:
    """A little-endian TIFF directory and its values, to stand at ``offset`` of a file.

    Args:
        types: of the tags that Pillow does not know or guesses wrong.
    """
    packed = ImageFileDirectory_v2(_HEADER)
    for code, value in directory.items():
        if isinstance(value, bytes):
            packed.tagtype[code] = TiffTags.UNDEFINED  # Pillow guesses BYTE for some
        if code in types:
            packed.tagtype[code] = types[code]
        packed[code] = value
    return packed.tobytes(offset)


def exif_segment(camera: Camera, width: int, height: int, space: str = "srgb") -> bytes:
    """Body of a JPEG's APP1 segment: who took the picture, how, and which way is up.

    Args:
        camera: make, model, orientation and ``exif`` are passed on, with a place where it has one.
        width, height: of the picture, pixels.
        space: of its colors; EXIF knows sRGB alone and leaves others to an ICC profile.

    Source: CIPA DC-008 (Exif 2.32), sections 4.5 and 4.6.
    """
    base = ExifTags.Base
    main: dict[int, Value] = {
        code: plain_text(text)
        for code, text in (
            (base.Make, camera.make),
            (base.Model, camera.model),
            *((FIELDS[name], camera.exif.get(name, "")) for name in _MAIN),
        )
        if text
    }
    main |= {
        base.Orientation: camera.orientation,
        base.XResolution: IFDRational(72),
        base.YResolution: IFDRational(72),
        base.ResolutionUnit: 2,  # inch
        base.YCbCrPositioning: 1,  # centered, as libjpeg subsamples
        base.ExifOffset: 0,
    }
    below = {
        **exif_directory(camera),
        base.ComponentsConfiguration: b"\1\2\3\0",  # Y, Cb, Cr
        base.FlashPixVersion: b"0100",
        base.ColorSpace: 1 if space == "srgb" else 0xFFFF,  # sRGB, or uncalibrated
        base.ExifImageWidth: width,
        base.ExifImageHeight: height,
    }
    place = gps_tags.gps_directory(camera.exif)
    main |= {base.GPSInfo: 0} if place else {}
    # The length does not depend on the offsets' values, so a first packing tells it.
    offset = len(_HEADER) + len(pack_directory(main, len(_HEADER)))
    exif = pack_directory(below, offset)
    main[base.ExifOffset] = offset
    if place:
        main[base.GPSInfo] = offset + len(exif)
    gps = pack_directory(place, offset + len(exif), gps_tags.TYPES) if place else b""
    return b"Exif\0\0" + _HEADER + pack_directory(main, len(_HEADER)) + exif + gps
