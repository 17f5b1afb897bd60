"""DNG, and the tags of TIFF-based raw files: read, understood, written."""

from .opcodes import read_opcodes
from .profile import read_profile
from .write import linear_black, remosaic, write_dng, write_mosaic

__all__ = [
    "linear_black",
    "read_opcodes",
    "read_profile",
    "remosaic",
    "write_dng",
    "write_mosaic",
]
