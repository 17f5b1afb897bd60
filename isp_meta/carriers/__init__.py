"""Payload bytes into a container and out of it: bytes in, bytes out, never a file.

    insert(photo, payload) ─▶ photo      extract(photo) ─▶ payload

A carrier is a module with ``insert``, ``extract``, ``strip``, ``scan_digest`` and ``PLACES``; the
functions of those names here take the one that a file's first bytes call for. Its error texts do
not know the file's name; callers put it in front.
"""

from . import jpeg, png, sidecar, tiff
from .container import (
    extract,
    insert,
    places,
    scan_digest,
    strip,
    unknown_offsets,
    warn_of_offsets,
)

__all__ = [
    "extract",
    "insert",
    "jpeg",
    "places",
    "png",
    "scan_digest",
    "sidecar",
    "strip",
    "tiff",
    "unknown_offsets",
    "warn_of_offsets",
]
