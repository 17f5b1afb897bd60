"""Rendered pictures other than JPEG: PNG and TIFF of 8 or 16 bits."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image
from torch import Tensor

from ..camera import Camera
from .exif import exif_segment, plain_text
from .icc import icc_profile

__all__ = ["encode_png", "encode_tiff"]

_EFFORT = 3  # of compression, 0 to 9
_PNG_HEADER = 33  # bytes: signature and IHDR


def encode_png(
    srgb: Tensor, *, camera: Camera | None = None, space: str = "srgb", bits: int = 8
) -> bytes:
    """Encodes a finished picture as PNG, with EXIF and an ICC profile.

    Args:
        srgb: (3, H, W), encoded for display, in [0, 1].
        camera: its make, model, orientation and exposure go into EXIF.
        space: color space of the values: "srgb", "display-p3" or "rec2020".
        bits: of a sample: 8, or 16: round(65535 x).

    Returns:
        The file's bytes.

    Raises:
        ValueError: shape, space or bits do not fit, or NaN.

    Source: W3C PNG specification, third edition, sections 11.3.2 (iCCP), 11.3.4 (eXIf).
    """
    _check(srgb)
    codes = _codes(srgb, bits)
    exif = exif_segment(camera or Camera(), codes.shape[1], codes.shape[0], space)
    profile = icc_profile(space)
    if bits == 16:
        return _deep_png(codes, exif, profile)
    buffer = BytesIO()
    picture = Image.fromarray(codes)
    picture.save(buffer, "PNG", exif=exif, icc_profile=profile, compress_level=_EFFORT)
    return buffer.getvalue()


def _deep_png(codes: NDArray[Any], exif: bytes, profile: bytes) -> bytes:
    """A PNG of 16 bits, which Pillow does not write; libpng does, but for what is beside pixels."""
    png = imagecodecs.png_encode(codes, level=_EFFORT)
    chunks = [
        (b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)),
        (b"eXIf", exif.removeprefix(b"Exif\0\0")),
    ]
    packed = b"".join(
        struct.pack(">I4s", len(content), kind)
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    return bytes(png[:_PNG_HEADER] + packed + png[_PNG_HEADER:])


def encode_tiff(
    picture: Tensor, *, camera: Camera | None = None, space: str | None = "srgb", bits: int = 16
) -> bytes:
    """Encodes a picture as uncompressed TIFF: round(65535 x), or round(255 x) for 8 bits.

    Args:
        picture: (3, H, W), or (1, H, W) for gray; values outside [0, 1] are clipped.
        camera: its make, model and orientation are stored.
        space: color space of the values, stored as ICC profile; None: linear or gray, no profile.
        bits: of a sample: 8 or 16.

    Returns:
        The file's bytes.

    Raises:
        ValueError: shape, space or bits do not fit, or NaN.
    """
    _check(picture, channels=(1, 3))
    codes = _codes(picture, bits)
    gray = picture.shape[0] == 1
    camera = camera or Camera()
    names = ((ExifTags.Base.Make, camera.make), (ExifTags.Base.Model, camera.model))
    buffer = BytesIO()
    tifffile.imwrite(
        buffer,
        codes[..., 0] if gray else codes,
        photometric="minisblack" if gray else "rgb",
        metadata=None,
        software=False,
        extratags=[
            (int(ExifTags.Base.Orientation), "H", 1, camera.orientation, True),
            *((int(code), "s", 0, plain_text(name), True) for code, name in names if name),
        ],
        iccprofile=None if space is None or gray else icc_profile(space),
    )
    return buffer.getvalue()


def _codes(picture: Tensor, bits: int) -> NDArray[Any]:
    """(H, W, C) uint8 or uint16."""
    if bits not in (8, 16):
        raise ValueError(f"bits must be 8 or 16, not {bits}")
    full, dtype = (255, np.uint8) if bits == 8 else (65535, np.uint16)
    codes = (picture.detach().clamp(0, 1) * full).round_().movedim(0, -1).cpu().numpy()
    return np.ascontiguousarray(codes.astype(dtype))


def _check(picture: Tensor, channels: tuple[int, ...] = (3,)) -> None:
    if picture.dim() != 3 or picture.shape[0] not in channels or 0 in picture.shape:
        wanted = " or ".join(f"({count}, H, W)" for count in channels)
        raise ValueError(f"a picture must be {wanted}, not {tuple(picture.shape)}")
    if bool(torch.isnan(picture).any()):
        raise ValueError("the picture holds NaN")
