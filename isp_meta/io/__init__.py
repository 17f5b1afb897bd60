"""Files in and out: raw files, DNG, rendered pictures, arrays.

Each is loaded when it is first asked for.
"""

from typing import TYPE_CHECKING

from ..lazily import offers

if TYPE_CHECKING:  # what _MEMBERS says, for programs that read without running
    from .dng.editing import placed_tags as placed_tags
    from .dng.opcodes import read_opcodes as read_opcodes
    from .dng.profile import read_profile as read_profile
    from .dng.write import Compression as Compression
    from .dng.write import remosaic as remosaic
    from .dng.write import write_dng as write_dng
    from .dng.write import write_mosaic as write_mosaic
    from .headerless import RawLayout as RawLayout
    from .headerless import read_layout as read_layout
    from .icc import icc_profile as icc_profile
    from .image import MOST_PIXELS as MOST_PIXELS
    from .image import decode_image as decode_image
    from .image import decode_pixels as decode_pixels
    from .image import display_values as display_values
    from .image import eight_bits as eight_bits
    from .image import encode_jpeg as encode_jpeg
    from .image import to_uint8 as to_uint8
    from .input import check_source as check_source
    from .input import read_bytes as read_bytes
    from .kind import file_kind as file_kind
    from .kind import is_rendered as is_rendered
    from .known_cameras import known_camera as known_camera
    from .linear import has_16_bits as has_16_bits
    from .linear import is_linear_dng as is_linear_dng
    from .linear import read_linear as read_linear
    from .linear import write_npy as write_npy
    from .linear import write_tiff16 as write_tiff16
    from .output import check_target as check_target
    from .output import write_atomic as write_atomic
    from .picture import encode_png as encode_png
    from .picture import encode_tiff as encode_tiff
    from .raw import read_raw as read_raw
    from .suffixes import LAYOUT_SUFFIX as LAYOUT_SUFFIX
    from .suffixes import RAW_SUFFIXES as RAW_SUFFIXES
    from .suffixes import RENDERED_SUFFIXES as RENDERED_SUFFIXES

_MEMBERS: dict[str, tuple[str, ...]] = {
    "dng.editing": ("placed_tags",),
    "dng.opcodes": ("read_opcodes",),
    "dng.profile": ("read_profile",),
    "dng.write": (
        "Compression",
        "remosaic",
        "write_dng",
        "write_mosaic",
    ),
    "headerless": (
        "RawLayout",
        "read_layout",
    ),
    "icc": ("icc_profile",),
    "image": (
        "MOST_PIXELS",
        "decode_image",
        "decode_pixels",
        "display_values",
        "eight_bits",
        "encode_jpeg",
        "to_uint8",
    ),
    "input": (
        "check_source",
        "read_bytes",
    ),
    "kind": (
        "file_kind",
        "is_rendered",
    ),
    "known_cameras": ("known_camera",),
    "linear": (
        "has_16_bits",
        "is_linear_dng",
        "read_linear",
        "write_npy",
        "write_tiff16",
    ),
    "output": (
        "check_target",
        "write_atomic",
    ),
    "picture": (
        "encode_png",
        "encode_tiff",
    ),
    "raw": ("read_raw",),
    "suffixes": (
        "LAYOUT_SUFFIX",
        "RAW_SUFFIXES",
        "RENDERED_SUFFIXES",
    ),
}

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
    "decode_pixels",
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

__getattr__ = offers(__name__, _MEMBERS)
