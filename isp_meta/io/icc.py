"""ICC profiles that say in which color space a picture's values are."""

from __future__ import annotations

import hashlib
import struct
from functools import lru_cache

from ..colorimetry import D50, SPACES, TRANSFERS, bradford, rgb_to_xyz, xy_to_xyz
from ..lazily import torch

__all__ = ["icc_profile"]

_NAMES = {"srgb": "sRGB", "display-p3": "Display P3", "rec2020": "Rec. 2020"}
_COPYRIGHT = "No copyright, use freely"
_VERSION = 0x04400000
# Of the standard, so that the same space always gives the same bytes.
_CREATED = (2022, 5, 1, 0, 0, 0)
_HEADER = 128


@lru_cache
def icc_profile(space: str) -> bytes:
    """A matrix/curve display profile, version 4.4.

    Args:
        space: "srgb", "display-p3" or "rec2020"; with its own transfer function.

    Returns:
        The profile, about 600 bytes; always the same.

    Raises:
        ValueError: there is no such space.

    Source: ICC.1:2022, sections 7, 8.3.3 (three-component matrix-based display profiles), 10.
    """
    if space not in _NAMES:
        raise ValueError(f"space must be one of {', '.join(_NAMES)}, not {space!r}")
    white, d50 = (
        xy_to_xyz(torch.tensor(xy, dtype=torch.float64)) for xy in (SPACES[space].white, D50)
    )
    adapt = bradford(white, d50)
    red, green, blue = (adapt @ rgb_to_xyz(space)).T.tolist()
    curve = _parametric_curve(space)
    elements = {
        b"desc": _text(_NAMES[space]),
        b"cprt": _text(_COPYRIGHT),
        b"wtpt": b"XYZ \0\0\0\0" + _fixed(*d50.tolist()),
        b"chad": b"sf32\0\0\0\0" + _fixed(*adapt.flatten().tolist()),
        b"rXYZ": b"XYZ \0\0\0\0" + _fixed(*red),
        b"gXYZ": b"XYZ \0\0\0\0" + _fixed(*green),
        b"bXYZ": b"XYZ \0\0\0\0" + _fixed(*blue),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    body = _tagged(elements)
    unsigned = _header(_HEADER + len(body), b"") + body
    return _header(len(unsigned), hashlib.md5(unsigned, usedforsecurity=False).digest()) + body


def _header(size: int, identity: bytes) -> bytes:
    """128 bytes (section 7.2); the identity is the MD5 of the profile without it."""
    return struct.pack(
        ">I4xI4s4s4s6H4s28x3i4x16s28x",
        size,
        _VERSION,
        b"mntr",
        b"RGB ",
        b"XYZ ",
        *_CREATED,
        b"acsp",
        *_fixed_numbers(*xy_to_xyz(torch.tensor(D50, dtype=torch.float64)).tolist()),
        identity,
    )


def _tagged(elements: dict[bytes, bytes]) -> bytes:
    """Tag table and elements (section 7.3); equal elements are stored once."""
    offset = _HEADER + 4 + 12 * len(elements)
    table, stored = struct.pack(">I", len(elements)), b""
    places: dict[bytes, int] = {}
    for signature, element in elements.items():
        if element not in places:
            places[element] = offset + len(stored)
            stored += element + bytes(-len(element) % 4)
        table += signature + struct.pack(">II", places[element], len(element))
    return table + stored


def _fixed_numbers(*values: float) -> list[int]:
    """s15Fixed16Number (section 4.6)."""
    return [round(value * 65536) for value in values]


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *_fixed_numbers(*values))


def _text(text: str) -> bytes:
    """multiLocalizedUnicodeType of one language (section 10.15)."""
    encoded = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(encoded), 28) + encoded


def _parametric_curve(space: str) -> bytes:
    """parametricCurveType 3: (a x + b)^g from d on, c x below (section 10.18)."""
    transfer = TRANSFERS[SPACES[space].transfer]
    scale = 1 / (1 + transfer.offset)
    numbers = _fixed(
        transfer.gamma,
        scale,
        transfer.offset * scale,
        1 / transfer.slope,
        transfer.slope * transfer.end,
    )
    return b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + numbers
