"""Rendered pictures: encoding JPEG, decoding JPEG, PNG and TIFF."""

from __future__ import annotations

import re
import struct
import warnings
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeVar

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from tifffile import PHOTOMETRIC

from ..camera import Camera
from ..errors import ImageFileError
from ..lazily import torch
from .dng.tags import last_byte, open_tiff, quiet
from .exif import exif_segment
from .icc import icc_profile

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "LARGEST_JPEG_SIDE",
    "MOST_PIXELS",
    "decode_image",
    "decode_pixels",
    "display_values",
    "eight_bits",
    "encode_jpeg",
    "to_uint8",
]

LARGEST_JPEG_SIDE = 65500  # libjpeg's JPEG_MAX_DIMENSION
MOST_PIXELS = 1 << 28
# Each scan of a progressive JPEG costs a pass over the picture; encoders write about ten.
_MOST_SCANS = 100
# A block of a JPEG takes a bit at least; deflate makes 1032 bytes of one, LZW some 1400.
_MOST_JPEG_PIXELS_A_BYTE = 1024
_MOST_PNG_BYTES_A_BYTE = 1032
_MOST_TIFF_PIXELS_A_BYTE = 4096
_DEEP = 65535
_RUN = 1 << 16
_MARKER = re.compile(rb"\xff[^\x00]", re.DOTALL)
Codes = TypeVar("Codes", "Tensor", NDArray[Any])
_SUBSAMPLING = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}


def to_uint8(srgb: Tensor) -> Tensor:
    """Display values as 8-bit codes: round(255 · srgb), halves to even.

    Args:
        srgb: any shape, floating point; values outside [0, 1] are clipped.

    Returns:
        Same shape, uint8.

    Raises:
        ValueError: a value is not a number.
    """
    codes = torch.empty(srgb.shape, dtype=torch.uint8, device=srgb.device)
    # Piece by piece: what lies in between stays in the caches.
    pieces = (torch.split(whole.reshape(-1), _RUN) for whole in (srgb, codes))
    for part, made in zip(*pieces, strict=True):
        if bool(torch.isnan(part).any()):
            raise ValueError("srgb holds NaN")
        made.copy_(part.clamp(0, 1).mul_(255).round_())
    return codes


def encode_jpeg(
    srgb: Tensor,
    *,
    quality: int = 95,
    subsampling: str = "4:4:4",
    camera: Camera | None = None,
    space: str = "srgb",
) -> bytes:
    """Encodes a finished picture as a baseline JPEG: sRGB by its EXIF, others by an ICC profile.

    Args:
        srgb: (3, H, W), encoded for display, floating point in [0, 1] or uint8.
        quality: 1 to 100.
        subsampling: of chroma: "4:4:4", "4:2:2" or "4:2:0".
        camera: its make, model, orientation and exposure go into EXIF.
        space: color space of the values: "srgb", "display-p3" or "rec2020".

    Returns:
        The file's bytes; the same input gives the same bytes.

    Raises:
        ImageFileError: a side is longer than 65500 pixels.
        ValueError: shape, quality, subsampling or space out of range, or NaN.

    Source: ITU-T T.81; CIPA DC-008 (Exif 2.32); ICC.1:2022, annex B.4.
    """
    if srgb.dim() != 3 or srgb.shape[0] != 3 or 0 in srgb.shape:
        raise ValueError(f"srgb must be (3, H, W), not {tuple(srgb.shape)}")
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be 1 to 100, not {quality}")
    if subsampling not in _SUBSAMPLING:
        raise ValueError(f"subsampling must be one of {', '.join(_SUBSAMPLING)}")
    height, width = srgb.shape[1:]
    if max(height, width) > LARGEST_JPEG_SIDE:
        raise ImageFileError(
            f"a picture of {width}x{height} pixels does not fit a JPEG, whose sides have at most "
            f"{LARGEST_JPEG_SIDE}; make it smaller"
        )
    codes = srgb if srgb.dtype == torch.uint8 else to_uint8(srgb.detach())
    picture = Image.fromarray(np.ascontiguousarray(codes.cpu().movedim(0, -1).numpy()))
    buffer = BytesIO()
    picture.save(
        buffer,
        "JPEG",
        quality=quality,
        subsampling=_SUBSAMPLING[subsampling],
        exif=exif_segment(camera or Camera(), width, height, space),
        icc_profile=None if space == "srgb" else icc_profile(space),
    )
    return buffer.getvalue()


def eight_bits(codes: Codes) -> Codes:
    """Codes of :func:`decode_image` as 8-bit codes: those of 16 bits round(code / 257).

    Args:
        codes: any shape, uint8, or int32 in 0 to 65535; a tensor, or an array.

    Returns:
        Same shape, uint8; uint8 is given back as it is.
    """
    if isinstance(codes, np.ndarray):
        return codes if codes.dtype == np.uint8 else ((codes + 128) // 257).astype(np.uint8)
    return codes if codes.dtype == torch.uint8 else ((codes + 128) // 257).to(torch.uint8)


def display_values(codes: Tensor) -> Tensor:
    """Codes of :func:`decode_image` as display values.

    Args:
        codes: any shape, uint8, or int32 in 0 to 65535.

    Returns:
        Same shape, float32 in [0, 1].
    """
    return codes.float().div_(255 if codes.dtype == torch.uint8 else _DEEP)


def decode_image(
    data: bytes, name: str, *, most_pixels: int = MOST_PIXELS, deep: bool = False
) -> Tensor:
    """Decodes a rendered picture, its pixels in the order in which the file stores them.

    A JPEG goes through libjpeg-turbo's accurate integer inverse DCT and "fancy" upsampling, which
    give the same bits on every machine. EXIF Orientation and color profiles are not applied.

    Args:
        data: the whole file: JPEG, or PNG or TIFF of 8 bits; gray or RGB.
        name: of the file, for error messages.
        most_pixels: a picture that claims more is refused before memory is taken for it.
        deep: PNG and TIFF of 16 bits are welcome too.

    Returns:
        (3, H, W) uint8, of 16 bits int32 in 0 to 65535; gray is repeated.

    Raises:
        ImageFileError: as :func:`decode_pixels`.
    """
    return torch.from_numpy(decode_pixels(data, name, most_pixels=most_pixels, deep=deep))


def decode_pixels(
    data: bytes, name: str, *, most_pixels: int = MOST_PIXELS, deep: bool = False
) -> NDArray[np.uint8 | np.int32]:
    """What :func:`decode_image` gives, as an array, which PyTorch need not be loaded for.

    Raises:
        ImageFileError: empty, truncated, damaged, too large, or of another kind (CMYK, 16 bits
            unless ``deep``, transparent); names file and cause.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters of them is raised below
            pixels = _decode(data, name, most_pixels, deep)
    except (ImageFileError, MemoryError):
        raise
    except Exception as error:  # hostile bytes make decoders raise nearly anything
        raise ImageFileError(f"{name}: damaged or cut off; get a fresh copy") from error
    kind = np.uint8 if pixels.dtype == np.uint8 else np.int32
    return np.array(pixels.transpose(2, 0, 1), kind, order="C")


def _decode(data: bytes, name: str, most_pixels: int, deep: bool) -> NDArray[np.uint8 | np.uint16]:
    if not data:
        raise ImageFileError(f"{name}: is empty; get a fresh copy")
    if data[:2] == b"\xff\xd8":
        data = _without_stray(data)
        scans = sum(1 for marker in _markers(data) if marker == 0xDA)
        if scans > _MOST_SCANS:
            raise ImageFileError(f"{name}: has {scans} scans, {_MOST_SCANS} at most are decoded")
        room = _MOST_JPEG_PIXELS_A_BYTE * len(data)
        return _pillow(JpegImageFile(BytesIO(data)), name, min(most_pixels, room))
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        most_pixels = min(most_pixels, _png_room(data))
        if data[24:25] == b"\x10":
            if not deep:
                raise _sixteen_bits(name)
            return _deep_png(data, name, most_pixels)
        return _pillow(PngImageFile(BytesIO(data)), name, most_pixels)
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _tiff(data, name, most_pixels, deep)
    raise ImageFileError(f"{name}: is no JPEG, PNG or TIFF; convert it first")


def _without_stray(data: bytes) -> bytes:
    """A JPEG without stray bytes before its first marker; Pillow puts up with others, as all do."""
    found = _MARKER.search(data, 2)
    return data if found is None or found.start() == 2 else data[:2] + data[found.start() :]


def _markers(data: bytes) -> Iterator[int]:
    """Markers of a JPEG, entropy-coded data skipped (ITU-T T.81, B.1.1)."""
    position = 2
    while (position := data.find(b"\xff", position)) >= 0 and position + 1 < len(data):
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        position += 2
        # A zero is a stuffed byte; 0x01 and 0xD0 to 0xD9 have no length.
        if marker <= 0x01 or 0xD0 <= marker <= 0xD9:
            continue
        yield marker
        position += max(2, int.from_bytes(data[position : position + 2], "big"))


def _png_room(data: bytes) -> int:
    """How many pixels of its kind a PNG's bytes can hold (PNG, 11.2.1)."""
    depth, color = data[24:26].ljust(2, b"\1")
    channels = {2: 3, 4: 2, 6: 4}.get(color, 1)
    return _MOST_PNG_BYTES_A_BYTE * len(data) * 8 // (channels * max(depth, 1))


def _check_size(width: int, height: int, name: str, most_pixels: int) -> None:
    if width < 1 or height < 1:
        raise ImageFileError(f"{name}: has no pixels ({width}x{height})")
    if width * height > most_pixels:
        raise ImageFileError(
            f"{name}: claims {width}x{height} pixels, {most_pixels} at most are decoded"
        )


def _sixteen_bits(name: str) -> ImageFileError:
    return ImageFileError(f"{name}: has more than 8 bits a sample; convert it to 8 bits first")


def _pillow(picture: Image.Image, name: str, most_pixels: int) -> NDArray[np.uint8]:
    _check_size(*picture.size, name, most_pixels)
    if picture.mode == "CMYK":
        raise ImageFileError(f"{name}: is CMYK, for print; convert it to RGB first")
    if picture.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
        raise _sixteen_bits(name)
    picture.load()
    if picture.has_transparency_data:
        rgba = np.asarray(picture.convert("RGBA"))
        if (rgba[..., 3] != 255).any():
            raise ImageFileError(f"{name}: has transparent pixels; flatten it first")
    return np.asarray(picture.convert("RGB"))


def _deep_png(data: bytes, name: str, most_pixels: int) -> NDArray[np.uint16]:
    # Pillow keeps 8 of the 16 bits of RGB.
    width, height = struct.unpack_from(">II", data, 16)
    _check_size(width, height, name, most_pixels)
    with quiet():
        pixels = imagecodecs.png_decode(data)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.shape[2] in (2, 4):
        if (pixels[..., -1] != _DEEP).any():
            raise ImageFileError(f"{name}: has transparent pixels; flatten it first")
        pixels = pixels[..., :-1]
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3))


def _tiff(data: bytes, name: str, most_pixels: int, deep: bool) -> NDArray[np.uint8 | np.uint16]:
    # Pillow would turn the pixels of a TIFF by its Orientation.
    with open_tiff(data) as tif:
        page = tif.pages.first
        most_pixels = min(most_pixels, _MOST_TIFF_PIXELS_A_BYTE * len(data))
        _check_size(page.imagewidth, page.imagelength, name, most_pixels)
        allowed = ("uint8", "uint16") if deep else ("uint8",)
        if str(page.dtype) not in allowed or page.bitspersample not in (8, 16):
            raise _sixteen_bits(name)
        kind = PHOTOMETRIC(page.photometric).name
        if page.imagedepth != 1 or (kind, page.samplesperpixel) not in (
            ("MINISBLACK", 1),
            ("RGB", 3),
            ("YCBCR", 3),
        ):
            raise ImageFileError(
                f"{name}: is a TIFF of kind {kind} with {page.samplesperpixel} samples; "
                "convert it to gray or RGB first"
            )
        if last_byte(page) > len(data):
            raise ImageFileError(f"{name}: truncated; get a fresh copy")
        pixels = page.asarray()
    if page.planarconfig == 2 and page.samplesperpixel == 3:
        pixels = np.moveaxis(pixels, 0, -1)
    height, width = page.imagelength, page.imagewidth
    return np.broadcast_to(pixels.reshape(height, width, -1), (height, width, 3))
