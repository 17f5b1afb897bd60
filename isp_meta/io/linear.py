"""Linear raw pictures as plain arrays: 16-bit TIFF, NumPy, and reading back what we write."""

from __future__ import annotations

import os
import struct
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..camera import LINEAR
from ..errors import RawFileError
from ..frame import Frame, all_finite
from .dng.read import read_dng
from .dng.tags import LINEAR_RAW, Tag, last_byte, open_tiff, raw_page, read_tags
from .input import read_bytes
from .output import write_atomic
from .refusals import cut_off, damaged, not_a_raw_file, unsupported

__all__ = ["has_16_bits", "is_linear_dng", "read_linear", "write_npy", "write_tiff16"]

_FULL = 65535
_MOST_PIXELS = 1 << 28
_NOT_16_BITS = ("it is not 16-bit RGB", "export it so")
_PNG = b"\x89PNG\r\n\x1a\n"


def write_tiff16(path: str | os.PathLike[str], raw: Tensor, *, overwrite: bool = False) -> None:
    """Writes linear raw-RGB as an uncompressed 16-bit RGB TIFF: round(65535 · raw).

    Args:
        path: target, by custom ``.tif``.
        raw: (3, H, W), values outside [0, 1] are clipped.
        overwrite: replaces an existing file.

    Raises:
        ValueError: another shape, or not finite. OutputError: as :func:`write_atomic`.
    """
    pixels = _checked(raw).movedim(0, -1).numpy()
    codes = np.empty(pixels.shape, np.uint16)
    for row, target in zip(pixels, codes, strict=True):
        target[:] = np.rint(row.astype(np.float64).clip(0, 1) * _FULL)
    buffer = BytesIO()
    tifffile.imwrite(buffer, codes, photometric="rgb", metadata=None, software=False)
    write_atomic(path, buffer.getvalue(), overwrite=overwrite)


def write_npy(path: str | os.PathLike[str], raw: Tensor, *, overwrite: bool = False) -> None:
    """Writes linear raw-RGB as a NumPy array, (3, H, W) float32, exactly.

    Args:
        path: target, by custom ``.npy``.
        raw: (3, H, W).
        overwrite: replaces an existing file.

    Raises:
        ValueError: another shape, or not finite. OutputError: as :func:`write_atomic`.
    """
    pixels = _checked(raw).float().contiguous().numpy()
    write_atomic(path, lambda file: np.save(file, pixels), overwrite=overwrite)


def _checked(raw: Tensor) -> Tensor:
    if raw.dim() != 3 or raw.shape[0] != 3 or 0 in raw.shape:
        raise ValueError(f"raw must be (3, H, W), not {tuple(raw.shape)}")
    if not all_finite(raw):
        raise ValueError("raw must be finite")
    return raw.detach().cpu()


def read_linear(path: str | os.PathLike[str]) -> Frame:
    """Reads linear raw-RGB from a linear DNG, a 16-bit RGB TIFF or PNG, or a NumPy array.

    Args:
        path: ``.dng``, ``.tif``, ``.tiff`` or ``.npy``, as this package writes them, or ``.png``.

    Returns:
        A Frame with ``raw`` (3, H, W) float32; in [0, 1] but for ``.npy``, whose values are taken
        as they are. Of a DNG also ``camera``, its ``cfa`` "RGB".

    Raises:
        RawFileDamaged: cut off or damaged. RawFileUnsupported: of another kind. NotARawFile: of
            another ending. RawFileError: missing, not readable.
    """
    suffix = Path(path).suffix.lower()
    readers = {
        ".dng": _read_dng,
        ".tif": _read_tiff,
        ".tiff": _read_tiff,
        ".png": _read_png,
        ".npy": _read_npy,
    }
    if suffix not in readers:
        known = ", ".join(readers)
        raise not_a_raw_file(path, f"{suffix or 'no suffix'} is none of {known}")
    data = read_bytes(path)
    try:
        return readers[suffix](data, path)
    except RawFileError:
        raise
    except Exception as error:  # hostile bytes make decoders raise nearly anything
        raise damaged(path, f"its {len(data)} bytes are no whole {suffix} file") from error


def is_linear_dng(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a DNG of three colors a pixel, as against a mosaic or no DNG at all.

    Raises:
        RawFileError: the file cannot be read.
    """
    tags = read_tags(read_bytes(path))
    if tags is None or not tags.is_dng:
        return False
    kind = tags.numbers.get(Tag.PHOTOMETRIC), tags.numbers.get(Tag.SAMPLES_PER_PIXEL)
    return kind == ((LINEAR_RAW,), (3.0,))


def has_16_bits(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a PNG or TIFF of 16 bits a sample, as :func:`read_linear` wants them.

    Raises:
        RawFileError: the file cannot be read.
    """
    data = read_bytes(path)
    if data[:8] == _PNG:
        return data[24:25] == b"\x10"
    try:
        with open_tiff(data) as tif:
            return bool(raw_page(tif).dtype == np.uint16)
    except Exception:  # no TIFF, or a damaged one, which its reader will say
        return False


def _read_dng(data: bytes, path: str | os.PathLike[str]) -> Frame:
    frame = read_dng(data, path)
    camera, codes = frame.camera, frame.require("codes", by="read_linear")
    if camera.cfa != LINEAR:
        raise unsupported(path, "a mosaic, not linear RGB", "read it with read_raw")
    black = torch.tensor(camera.black_level, dtype=torch.float64).view(3, 1, 1)
    raw = ((codes - black) / (camera.white_level - black)).clamp_(0, 1)
    return Frame(camera=camera, raw=raw.float())


def _read_tiff(data: bytes, path: str | os.PathLike[str]) -> Frame:
    return Frame(raw=_planes(_pixels(data, path) / _FULL))


def _pixels(data: bytes, path: str | os.PathLike[str]) -> NDArray[np.float64]:
    with open_tiff(data) as tif:
        page = raw_page(tif)
        if page.dtype != np.uint16 or page.samplesperpixel != 3 or page.planarconfig != 1:
            raise unsupported(path, *_NOT_16_BITS)
        if page.imagewidth * page.imagelength > _MOST_PIXELS:
            raise damaged(path, f"it claims {page.imagewidth}x{page.imagelength} pixels")
        if last_byte(page) > len(data):
            raise cut_off(path, len(data), last_byte(page))
        return page.asarray().astype(np.float64)


def _read_png(data: bytes, path: str | os.PathLike[str]) -> Frame:
    # Width, height, bit depth and color type of IHDR, which a PNG begins with.
    width, height, depth, kind = struct.unpack_from(">IIBB", data, 16)
    if data[:8] != _PNG or (depth, kind) != (16, 2):
        raise unsupported(path, *_NOT_16_BITS)
    if width * height > _MOST_PIXELS:
        raise damaged(path, f"it claims {width}x{height} pixels")
    return Frame(raw=_planes(imagecodecs.png_decode(data) / _FULL))


def _read_npy(_data: bytes, path: str | os.PathLike[str]) -> Frame:
    # Mapping checks the claimed shape against the file's size before any memory is taken.
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.ndim != 3 or array.shape[0] != 3 or array.dtype.kind != "f" or not array.size:
        what = f"an array {array.dtype} {array.shape}"
        raise unsupported(path, what, "save it as floating point, (3, H, W)")
    raw = torch.from_numpy(np.array(array, dtype=np.float32))
    if not all_finite(raw):
        raise unsupported(path, "values that are not finite", "replace them")
    return Frame(raw=raw)


def _planes(pixels: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(pixels).movedim(-1, 0).float().contiguous()
