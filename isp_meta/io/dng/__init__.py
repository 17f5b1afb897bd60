"""DNG, and the tags of TIFF-based raw files: read, understood, written."""

from .editing import placed_tags
from .opcodes import read_opcodes
from .profile import read_profile
from .write import Compression, remosaic, write_dng, write_mosaic

__all__ = [
    "Compression",
    "placed_tags",
    "read_opcodes",
    "read_profile",
    "remosaic",
    "write_dng",
    "write_mosaic",
]
