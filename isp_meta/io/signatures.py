"""What a file is, by its first bytes: no file is taken for raw because its size fits a camera."""

from __future__ import annotations

__all__ = ["RENDERED", "TIFF_STARTS", "has_mosaic_behind", "what_is"]

TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""Of TIFF and BigTIFF."""

_STARTS: dict[bytes, str] = {
    **dict.fromkeys(TIFF_STARTS, "TIFF"),
    # Olympus and Panasonic have their own number in place of TIFF's 42.
    **dict.fromkeys((b"IIRO", b"IIRS", b"MMOR"), "ORF"),
    b"IIU\0": "RW2",
    b"FUJIFILMCCD-RAW ": "RAF",
    b"\0MRM": "MRW",
    b"FOVb": "X3F",
    b"IIII": "Phase One",
    b"MMMM": "Phase One",
    b"ARRI\x12\x34\x56\x78": "ARRI",
    b"NOKIARAW": "Nokia",
    b"RED1": "R3D",
    b"RED2": "R3D",
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"8BPS": "Photoshop",
    b"%PDF": "PDF",
    b"PK\x03\x04": "ZIP archive",
    b"\x1f\x8b": "gzip archive",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL \r\n": "JPEG XL",
    b"\0\0\0\x0cjP  \r\n": "JPEG 2000",
    b"v/1\x01": "OpenEXR",
    b"SIMPLE  =": "FITS",
    b"\x93NUMPY": "NumPy array",
    b"<?xml": "XML text",
    b"<x:xmpmeta": "XMP sidecar",
    b"<!DOCTYPE": "web page",
    b"<html": "web page",
}
_BRANDS = {
    b"crx ": "CR3",
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}
_RASPBERRY_PI = b"BRCMo"  # behind a JPEG of its first camera modules, before their mosaic

RENDERED = frozenset(
    {"JPEG", "PNG", "GIF", "BMP", "WebP", "JPEG XL", "JPEG 2000", "HEIC", "AVIF", "PDF"}
)
"""Names of what is rendered already."""


def has_mosaic_behind(jpeg: bytes) -> bool:
    """Whether a raw picture follows a JPEG in its file, as those of Raspberry Pi have it."""
    return _RASPBERRY_PI in jpeg


def what_is(data: bytes) -> str:
    """A short name of what a file is; "" where no header says it.

    Args:
        data: the whole file, or its first 64 bytes at least.
    """
    if data[6:14] == b"HEAPCCDR":
        return "CRW"
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "video")
    if data[:4] == b"RIFF":
        return "WebP" if data[8:12] == b"WEBP" else "RIFF"
    return next((name for start, name in _STARTS.items() if data.startswith(start)), "")
