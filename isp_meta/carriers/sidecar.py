"""A file beside the picture, for formats and ways of sharing that keep no metadata.

It holds the payload's bytes and nothing else: they bring their own mark, length and checksums.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["SUFFIX", "sidecar_path"]

SUFFIX = ".ispmeta"


def sidecar_path(picture: str | Path) -> Path:
    """Where a picture's sidecar lies: ``photo.jpg`` has ``photo.jpg.ispmeta``.

    The picture's own suffix stays, so that ``photo.jpg`` and ``photo.png`` can both have one.
    """
    picture = Path(picture)
    return picture.parent / (picture.name + SUFFIX)
