"""The carrier that a file's first bytes call for, under one interface.

JPEG ─▶ jpeg      PNG ─▶ png      TIFF, DNG ─▶ tiff      anything else ─▶ a sidecar
"""

from __future__ import annotations

import warnings
from types import ModuleType

from ..errors import CarrierError, CarrierWarning
from . import chunks, jpeg, png, tiff

__all__ = [
    "extract",
    "insert",
    "places",
    "scan_digest",
    "strip",
    "unknown_offsets",
    "warn_of_offsets",
]

_CARRIERS: tuple[tuple[bytes, ModuleType], ...] = (
    (b"\xff\xd8", jpeg),
    (chunks.SIGNATURE, png),
    *((mark, tiff) for mark in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
)


def places(data: bytes) -> tuple[str, ...]:
    """Where in such a file a payload can lie; the first is the default.

    Raises:
        CarrierError: a file of a kind that carries nothing inside.
    """
    found: tuple[str, ...] = _carrier(data).PLACES
    return found


def insert(data: bytes, payload: bytes, *, place: str | None = None) -> bytes:
    """A file that carries a payload, in place of any that it carried before.

    Args:
        data: the file's bytes: JPEG, PNG, TIFF or DNG.
        payload: the payload's bytes.
        place: one of :func:`places`; by default the first.

    Raises:
        CarrierError: a file of another kind, damaged, without such a place, or it gets too long.
    """
    possible = places(data)
    if place is None or place == possible[0]:
        carrying: bytes = _carrier(data).insert(data, payload)
        return carrying
    if place not in possible:
        raise CarrierError(
            f"a file of this kind has no place {place!r}; it has {' and '.join(possible)}"
        )
    return jpeg.insert(data, payload, place="com")


def extract(data: bytes) -> bytes:
    """The payload that a file carries.

    Raises:
        CarrierError: a file of another kind, or damaged.
        PayloadMissing: it carries none.
        PayloadCorrupt: parts of it are missing, damaged, or contradict each other.
    """
    payload: bytes = _carrier(data).extract(data)
    return payload


def strip(data: bytes) -> bytes:
    """The file without a payload: ``strip(insert(data, …)) == data`` where it had none.

    Raises:
        CarrierError: a file of another kind, or damaged.
    """
    without: bytes = _carrier(data).strip(data)
    return without


def unknown_offsets(data: bytes) -> int:
    """How many offsets in a file :func:`insert` leaves pointing elsewhere, for want of knowledge.

    Only a JPEG's can cross the place of insertion; those that are understood are corrected.

    Raises:
        CarrierError: a file of another kind, or damaged.
    """
    return jpeg.unknown_offsets(data) if _carrier(data) is jpeg else 0


def warn_of_offsets(data: bytes, name: object) -> None:
    """Warns where :func:`insert` leaves offsets in a file pointing elsewhere.

    Args:
        data: the file. name: of it.

    Raises:
        CarrierError: a file of another kind, or damaged.
        CarrierWarning: as a warning.
    """
    if unknown_offsets(data):
        warnings.warn(
            f"{name}: its EXIF points to a preview in a way that is not known, and will point "
            "elsewhere; a sidecar leaves the file as it is",
            CarrierWarning,
            stacklevel=3,
        )


def scan_digest(data: bytes) -> bytes:
    """(32,) SHA-256 of what decides the decoded pixels, as the carrier says.

    Raises:
        CarrierError: a file of another kind, or damaged.
    """
    digest: bytes = _carrier(data).scan_digest(data)
    return digest


def _carrier(data: bytes) -> ModuleType:
    for mark, carrier in _CARRIERS:
        if data.startswith(mark):
            return carrier
    raise CarrierError(
        "not a JPEG, PNG or TIFF file, and others carry no raw metadata but in a sidecar"
    )
