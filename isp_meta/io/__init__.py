"""Files in and out: raw files, DNG, rendered pictures, arrays."""

from .dng import linear_black, remosaic, write_dng
from .image import MOST_PIXELS, decode_image, encode_jpeg, to_uint8
from .input import read_bytes
from .linear import is_linear_dng, read_linear, write_npy, write_tiff16
from .output import check_target, write_atomic
from .raw import read_raw

__all__ = [
    "MOST_PIXELS",
    "check_target",
    "decode_image",
    "encode_jpeg",
    "is_linear_dng",
    "linear_black",
    "read_bytes",
    "read_linear",
    "read_raw",
    "remosaic",
    "to_uint8",
    "write_atomic",
    "write_dng",
    "write_npy",
    "write_tiff16",
]
