"""Rendered pictures other than JPEG: PNG of 8 bits, TIFF of 16."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import tifffile
import torch
from PIL import Image
from torch import Tensor

from ..camera import Camera
from .exif import exif_segment
from .icc import icc_profile
from .image import to_uint8

__all__ = ["encode_png", "encode_tiff16"]

_ORIENTATION = 274  # TIFF 6.0, section 8
_FULL = 65535


def encode_png(srgb: Tensor, *, camera: Camera | None = None, space: str = "srgb") -> bytes:
    """Encodes a finished picture as PNG of 8 bits, with EXIF and an ICC profile.

    Args:
        srgb: (3, H, W), encoded for display, in [0, 1].
        camera: its make, model, orientation and exposure go into EXIF.
        space: color space of the values: "srgb", "display-p3" or "rec2020".

    Returns:
        The file's bytes.

    Raises:
        ValueError: shape or space do not fit, or NaN.

    Source: W3C PNG specification, third edition, sections 11.3.2 (iCCP), 11.3.4 (eXIf).
    """
    _check(srgb)
    picture = Image.fromarray(np.ascontiguousarray(to_uint8(srgb).movedim(0, -1).cpu().numpy()))
    buffer = BytesIO()
    exif = exif_segment(camera or Camera(), picture.width, picture.height, space)
    picture.save(buffer, "PNG", exif=exif, icc_profile=icc_profile(space), compress_level=3)
    return buffer.getvalue()


def encode_tiff16(
    picture: Tensor, *, camera: Camera | None = None, space: str | None = "srgb"
) -> bytes:
    """Encodes a picture as uncompressed TIFF of 16 bits: round(65535 x).

    Args:
        picture: (3, H, W), or (1, H, W) for gray; values outside [0, 1] are clipped.
        camera: its orientation is stored.
        space: color space of the values, stored as ICC profile; None: linear or gray, no profile.

    Returns:
        The file's bytes.

    Raises:
        ValueError: shape or space do not fit, or NaN.
    """
    _check(picture, channels=(1, 3))
    codes = (picture.detach().clamp(0, 1) * _FULL).round_().movedim(0, -1).cpu().numpy()
    gray = picture.shape[0] == 1
    orientation = (camera or Camera()).orientation
    buffer = BytesIO()
    tifffile.imwrite(
        buffer,
        codes[..., 0].astype(np.uint16) if gray else codes.astype(np.uint16),
        photometric="minisblack" if gray else "rgb",
        metadata=None,
        software=False,
        extratags=[(_ORIENTATION, "H", 1, orientation, True)],
        iccprofile=None if space is None or gray else icc_profile(space),
    )
    return buffer.getvalue()


def _check(picture: Tensor, channels: tuple[int, ...] = (3,)) -> None:
    if picture.dim() != 3 or picture.shape[0] not in channels or 0 in picture.shape:
        wanted = " or ".join(f"({count}, H, W)" for count in channels)
        raise ValueError(f"a picture must be {wanted}, not {tuple(picture.shape)}")
    if bool(torch.isnan(picture).any()):
        raise ValueError("the picture holds NaN")
