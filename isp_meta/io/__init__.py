"""Files in and out: raw files, DNG, rendered pictures, arrays."""

from .dng import (
    Compression,
    placed_tags,
    read_opcodes,
    read_profile,
    remosaic,
    write_dng,
    write_mosaic,
)
from .headerless import RawLayout, read_layout
from .icc import icc_profile
from .image import MOST_PIXELS, decode_image, display_values, eight_bits, encode_jpeg, to_uint8
from .input import check_source, read_bytes
from .kind import file_kind, is_rendered
from .known_camera import known_camera
from .linear import has_16_bits, is_linear_dng, read_linear, write_npy, write_tiff16
from .output import check_target, write_atomic
from .picture import encode_png, encode_tiff
from .raw import read_raw
from .suffixes import LAYOUT_SUFFIX, RAW_SUFFIXES, RENDERED_SUFFIXES

__all__ = [
    "Compression",
    "LAYOUT_SUFFIX",
    "MOST_PIXELS",
    "RAW_SUFFIXES",
    "RENDERED_SUFFIXES",
    "RawLayout",
    "check_source",
    "check_target",
    "decode_image",
    "display_values",
    "eight_bits",
    "encode_jpeg",
    "encode_png",
    "encode_tiff",
    "file_kind",
    "has_16_bits",
    "icc_profile",
    "is_linear_dng",
    "is_rendered",
    "known_camera",
    "placed_tags",
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
