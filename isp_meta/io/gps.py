"""Where a picture was taken: EXIF's GPS tags as text, and back. Nothing here passes unasked.

``Camera.exif`` holds them under the names of :data:`FIELDS`, ratios as EXIF has them, by spaces:
``52/1 30/1 1199/20``.

Source: CIPA DC-008 (Exif 2.32), section 4.6.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from PIL import ExifTags, TiffTags
from PIL.TiffImagePlugin import IFDRational

__all__ = ["FIELDS", "TYPES", "gps_directory", "gps_texts"]

_GPS = ExifTags.GPS
# Names to how many ratios they hold, or 0 for text.
_RATIOS = {
    _GPS.GPSLatitudeRef: 0,
    _GPS.GPSLatitude: 3,
    _GPS.GPSLongitudeRef: 0,
    _GPS.GPSLongitude: 3,
    _GPS.GPSAltitude: 1,
    _GPS.GPSTimeStamp: 3,
    _GPS.GPSImgDirectionRef: 0,
    _GPS.GPSImgDirection: 1,
    _GPS.GPSMapDatum: 0,
    _GPS.GPSDateStamp: 0,
}
FIELDS: Mapping[str, int] = {
    **{tag.name: int(tag) for tag in _RATIOS},
    "GPSAltitudeRef": int(_GPS.GPSAltitudeRef),
}
TYPES: Mapping[int, int] = {
    **{int(tag): TiffTags.RATIONAL if n else TiffTags.ASCII for tag, n in _RATIOS.items()},
    int(_GPS.GPSVersionID): TiffTags.BYTE,
    int(_GPS.GPSAltitudeRef): TiffTags.BYTE,
}
_LONGEST_TEXT = 64


def gps_texts(values: Mapping[str, object]) -> dict[str, str]:
    """Text of each tag of :data:`FIELDS`.

    Args:
        values: by name; ratios as numerator, denominator, numerator, ... in one tuple.
    """
    texts = {}
    for name in FIELDS.keys() & values.keys():
        value = values[name]
        if isinstance(value, tuple):
            pairs = zip(value[::2], value[1::2], strict=False)
            texts[name] = " ".join(f"{n}/{d}" for n, d in pairs)
        else:
            texts[name] = str(value[0] if isinstance(value, bytes) and value else value)
    return texts


def gps_directory(
    texts: Mapping[str, str],
) -> dict[int, int | str | bytes | IFDRational | tuple[IFDRational, ...]]:
    """The GPS directory (IFD) of a picture.

    Args:
        texts: by name; what does not read as its tag's type is left out.

    Returns:
        Tag code to value, in Pillow's types; empty without a latitude and a longitude.
    """
    directory: dict[int, int | str | bytes | IFDRational | tuple[IFDRational, ...]] = {}
    for tag, count in _RATIOS.items():
        text = texts.get(tag.name, "")
        ratios = _ratios(text) if count else ()
        if count and len(ratios) == count:
            directory[int(tag)] = ratios
        elif not count and text and text.isascii() and text.isprintable():
            directory[int(tag)] = text[:_LONGEST_TEXT]
    wanted = (_GPS.GPSLatitude, _GPS.GPSLatitudeRef, _GPS.GPSLongitude, _GPS.GPSLongitudeRef)
    if not all(int(tag) in directory for tag in wanted):
        return {}
    if texts.get("GPSAltitudeRef") in ("0", "1"):
        directory[int(_GPS.GPSAltitudeRef)] = int(texts["GPSAltitudeRef"])
    return {int(_GPS.GPSVersionID): b"\2\3\0\0", **directory}


def _ratios(text: str) -> tuple[IFDRational, ...]:
    try:
        ratios = [Fraction(part) for part in text.split()]
    except (ValueError, ZeroDivisionError):
        return ()
    if not all(0 <= r.numerator < 2**32 and r.denominator < 2**32 for r in ratios):
        return ()
    return tuple(IFDRational(ratio.numerator, ratio.denominator) for ratio in ratios)
