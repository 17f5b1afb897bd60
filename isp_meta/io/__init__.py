"""Files in and out: raw files, DNG, rendered pictures, arrays."""

from .dng import (
    linear_black,
    read_opcodes,
    read_profile,
    remosaic,
    write_dng,
    write_mosaic,
)
from .headerless import RawLayout, read_layout
from .icc import icc_profile
from .image import MOST_PIXELS, decode_image, display_values, eight_bits, encode_jpeg, to_uint8
from .input import read_bytes
from .known_camera import known_camera
from .linear import has_16_bits, is_linear_dng, read_linear, write_npy, write_tiff16
from .output import check_target, write_atomic
from .picture import encode_png, encode_tiff
from .raw import read_raw
from .suffixes import RAW_SUFFIXES, RENDERED_SUFFIXES

__all__ = [
    "MOST_PIXELS",
    "RAW_SUFFIXES",
    "RENDERED_SUFFIXES",
    "RawLayout",
    "check_target",
    "decode_image",
    "display_values",
    "eight_bits",
    "encode_jpeg",
    "encode_png",
    "encode_tiff",
    "has_16_bits",
    "icc_profile",
    "is_linear_dng",
    "known_camera",
    "linear_black",
    "read_bytes",
    "read_layout",
    "read_linear",
    "read_opcodes",
    "read_profile",
    "read_raw",
    "remosaic",
    "to_uint8",
    "write_atomic",
    "write_dng",
    "write_mosaic",
    "write_npy",
    "write_tiff16",
]
