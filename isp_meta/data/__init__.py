"""A raw file that comes with the package, for trying it and for its tests."""

from __future__ import annotations

from pathlib import Path

__all__ = ["sample_path"]


def sample_path() -> Path:
    """A 1024x768 crop of a GoPro HERO6 Black photograph, DNG; see README.md beside it."""
    return Path(__file__).with_name("hero6_crop.dng")
