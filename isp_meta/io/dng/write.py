"""Writing raw pictures that raw editors open."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Sequence
from fractions import Fraction
from io import BytesIO
from typing import Any

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...camera import LINEAR, MONOCHROME, Camera, pattern_of
from ...frame import Frame
from ..exif import exif_directory, pack_directory, plain_text
from ..output import write_atomic
from .tags import CFA, LINEAR_RAW, MAIN_TEXTS, Tag, open_tiff

__all__ = ["linear_black", "remosaic", "write_dng", "write_mosaic"]

_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _SRATIONAL = 1, 2, 3, 4, 5, 10  # TIFF types
ExtraTag = tuple[int, int, int, Any, bool]

# tifffile does not write the EXIF tag itself; the next code is free and sorts into its place.
EXIF_PLACEHOLDER: ExtraTag = (Tag.EXIF_IFD + 1, _LONG, 1, 0, True)
# Readers outside LibRaw and Adobe's SDK know the first predictor of lossless JPEG alone.
_TILE = 256
LOSSLESS_JPEG: dict[str, Any] = {
    "tile": (_TILE, _TILE),
    "compression": "jpeg",
    "compressionargs": {"lossless": True, "predictor": 1, "bitspersample": 16},
}


def write_dng(
    path: str | os.PathLike[str],
    frame: Frame,
    *,
    cfa: bool = False,
    compress: bool = True,
    overwrite: bool = False,
) -> None:
    """Writes raw pixels as a DNG.

        code = round(raw · (white - black) + black), in [0, white]

    Levels, neutral and color matrix in the file are the camera's own, so that editors treat it as
    the original and raw readers report the same numbers. The price is the camera's own precision:
    half a code, 1/2000 of full scale for a 10-bit sensor. Use :func:`write_tiff16` or
    :func:`write_npy` where the interpolated values matter more than an editor.

    Args:
        path: target, by custom ``.dng``.
        frame: its ``raw``, (3, H, W) in [0, 1], and its ``camera``.
        cfa: writes the mosaic again, each pixel's own color under ``camera.cfa``, instead of a
            linear DNG with three colors a pixel. The black level is then that of each place of the
            mosaic; in a linear DNG it is the mean over the places of a color, and where colors
            differ in it their white levels differ as much, so that all have the span of red:
            LibRaw would otherwise report another white level and neutral. Of a camera without a
            mosaic there is one form alone, that of :func:`write_mosaic`.
        compress: lossless JPEG in 256x256 tiles; otherwise, and where the picture is narrower
            than a tile (which LibRaw misreads), uncompressed.
        overwrite: replaces an existing file.

    Raises:
        PipelineOrderError: ``frame.raw`` is empty.
        ValueError: ``raw`` is not (3, H, W) or not finite, or the camera's levels do not fit 16
            bits.
        OutputError: the file exists or cannot be written.

    Source: DNG specification 1.4.0.0, chapters 2 to 4; TIFF 6.0.
    """
    raw, camera = frame.require("raw", "write_dng"), frame.camera
    if raw.dim() != 3 or raw.shape[0] != 3 or 0 in raw.shape:
        raise ValueError(f"raw must be (3, H, W), not {tuple(raw.shape)}")
    if not bool(torch.isfinite(raw).all()):
        raise ValueError("raw must be finite")
    white = _white(camera)
    if cfa or camera.cfa in (LINEAR, MONOCHROME):
        picture = _interleaved(remosaic(raw.detach(), camera.cfa))
        codes = _quantize(picture, _tiled(camera, picture), np.array(white))
        data = _sensor_tiff(codes, camera, compress)
    else:
        means = linear_black(camera)
        whites = _linear_white(means, white)
        codes = _quantize(raw.detach().movedim(0, -1), np.array(means), np.array(whites))
        tags = [*_identity(camera), *_color(camera), *_levels((1, 1), means, whites)]
        data = _tiff(codes, LINEAR_RAW, tags, camera, compress)
    write_atomic(path, data, overwrite=overwrite)


def write_mosaic(
    path: str | os.PathLike[str],
    frame: Frame,
    *,
    compress: bool = True,
    overwrite: bool = False,
) -> None:
    """Writes the sensor's own codes as a DNG: what a raw reader finds in it are these codes.

    It is a CFA DNG of a mosaic, a linear one of a camera whose ``cfa`` is "RGB" or "W".

    Args:
        path: target, by custom ``.dng``.
        frame: its ``codes``, (1, H, W) whole numbers from 0 to 65535, (3, H, W) of a linear
            picture, and its ``camera``.
        compress, overwrite: as in :func:`write_dng`.

    Raises:
        PipelineOrderError: ``frame.codes`` is empty.
        ValueError: codes of another shape or not whole, levels that do not fit 16 bits.
        OutputError: the file exists or cannot be written.

    Source: DNG specification 1.4.0.0, chapters 2 to 4; TIFF 6.0.
    """
    codes, camera = frame.require("codes", "write_mosaic"), frame.camera
    if codes.dim() != 3 or codes.shape[0] != camera.channels or 0 in codes.shape:
        raise ValueError(f"codes must be ({camera.channels}, H, W), not {tuple(codes.shape)}")
    if not bool(((codes >= 0) & (codes <= 0xFFFF) & (codes == codes.round())).all()):
        raise ValueError("codes must be whole numbers from 0 to 65535")
    data = _sensor_tiff(_interleaved(codes).numpy().astype(np.uint16), camera, compress)
    write_atomic(path, data, overwrite=overwrite)


def _white(camera: Camera) -> int:
    white = round(camera.white_level)
    if white != camera.white_level or not 0 < white <= 65535 or min(camera.black_level) < 0:
        raise ValueError(f"levels must fit 16 bits: {camera.black_level}, {camera.white_level}")
    return white


def _sensor_tiff(codes: NDArray[np.uint16], camera: Camera, compress: bool) -> bytes:
    """The sensor's codes, a mosaic unless its pixels have one color or all."""
    repeat = (camera.period,) * 2
    white = (_white(camera),) * camera.channels
    tags = [*_identity(camera), *_color(camera), *_levels(repeat, camera.black_level, white)]
    if camera.cfa in (LINEAR, MONOCHROME):
        return _tiff(codes, LINEAR_RAW, tags, camera, compress)
    pattern = bytes(pattern_of(camera.cfa).flatten().tolist())
    tags += [
        (Tag.CFA_REPEAT_PATTERN_DIM, _SHORT, 2, repeat, True),
        (Tag.CFA_PATTERN, _BYTE, len(pattern), pattern, True),
    ]
    return _tiff(codes, CFA, tags, camera, compress)


def _interleaved(picture: Tensor) -> Tensor:
    """(H, W) of one channel, (H, W, 3) of three."""
    return (picture[0] if len(picture) == 1 else picture.movedim(0, -1)).detach().cpu()


def remosaic(raw: Tensor, cfa: str) -> Tensor:
    """Keeps of every pixel what its place in the mosaic sees.

    Args:
        raw: (3, H, W), red, green, blue.
        cfa: as :attr:`isp_meta.Camera.cfa`.

    Returns:
        (1, H, W), in the range of ``raw``, under "W" its green; under "RGB" ``raw`` itself.

    Raises:
        ValueError: no such pattern.
    """
    if cfa == LINEAR:
        return raw
    pattern = pattern_of(cfa)
    mosaic = torch.empty_like(raw[:1])
    for y, row in enumerate(pattern.tolist()):
        for x, color in enumerate(row):
            rows, columns = slice(y, None, len(pattern)), slice(x, None, len(pattern))
            mosaic[0, rows, columns] = raw[color, rows, columns]
    return mosaic


def linear_black(camera: Camera) -> tuple[float, float, float]:
    """Black level of red, green and blue, in sensor codes: the mean over a color's places, which
    are all of them under "W"."""
    levels = {
        color: [b for b, c in zip(camera.black_level, camera.cfa, strict=True) if c in (color, "W")]
        for color in "RGB"
    }
    red, green, blue = (sum(levels[color]) / len(levels[color]) for color in "RGB")
    return red, green, blue


def _linear_white(black: Sequence[float], white: int) -> tuple[int, ...]:
    # LibRaw works with whole black levels, rounded halves up.
    whole = [math.floor(level + 0.5) for level in black]
    return tuple(min(white + level - whole[0], 65535) for level in whole)


def _tiled(camera: Camera, picture: Tensor) -> NDArray[np.float64]:
    """The black level of each of a picture's values."""
    if camera.cfa == LINEAR:
        return np.array(camera.black_level)
    height, width = picture.shape
    square = np.reshape(camera.black_level, (camera.period, camera.period))
    return np.tile(square, (height // len(square) + 1, width // len(square) + 1))[:height, :width]


def _quantize(
    raw: Tensor, black: NDArray[np.float64], white: NDArray[np.int64]
) -> NDArray[np.uint16]:
    codes = np.empty(raw.shape, np.uint16)
    black = np.broadcast_to(black, raw.shape)
    # Row by row in double precision, which for a whole picture would take eight times its size.
    for row, levels, target in zip(raw.cpu().numpy(), black, codes, strict=True):
        exact = row.astype(np.float64) * (white - levels) + levels
        target[:] = np.clip(np.rint(exact), 0, white)
    return codes


def _identity(camera: Camera) -> list[ExtraTag]:
    make, model = plain_text(camera.make), plain_text(camera.model)
    unique = model if model.lower().startswith(make.lower()) else f"{make} {model}".strip()
    texts = [
        (Tag.MAKE, make),
        (Tag.MODEL, model),
        *((code, plain_text(camera.exif.get(name, ""))) for name, code in MAIN_TEXTS.items()),
        (Tag.UNIQUE_CAMERA_MODEL, unique or "Unknown"),
    ]
    return [
        (Tag.DNG_VERSION, _BYTE, 4, bytes((1, 4, 0, 0)), True),
        (Tag.DNG_BACKWARD_VERSION, _BYTE, 4, bytes((1, 1, 0, 0)), True),
        *[(code, _ASCII, 0, text, True) for code, text in texts if text],
        (Tag.ORIENTATION, _SHORT, 1, camera.orientation, True),
    ]


def _color(camera: Camera) -> list[ExtraTag]:
    return [
        (Tag.COLOR_MATRIX[0], _SRATIONAL, 9, _ratios(camera.color_matrix), True),
        (Tag.CALIBRATION_ILLUMINANT[0], _SHORT, 1, camera.illuminant, True),
        (Tag.AS_SHOT_NEUTRAL, _RATIONAL, 3, _ratios(camera.as_shot_neutral), True),
    ]


def _levels(
    repeat: tuple[int, int], black: Sequence[float], white: tuple[int, ...]
) -> list[ExtraTag]:
    return [
        (Tag.BLACK_LEVEL_REPEAT_DIM, _SHORT, 2, repeat, True),
        (Tag.BLACK_LEVEL, _RATIONAL, len(black), _ratios(black), True),
        (Tag.WHITE_LEVEL, _LONG, len(white), white, True),
    ]


def _ratios(values: Sequence[float]) -> tuple[int, ...]:
    numbers: list[int] = []
    for value in values:
        if not abs(value) < 2**31:
            raise ValueError(f"{value} does not fit a DNG's 32-bit fraction")
        # Through its decimal form, so that 0.1 is 1/10 and not the nearest binary fraction.
        exact = Fraction(repr(float(value)))
        ratio = exact.limit_denominator(int((2**31 - 1) / max(1.0, abs(value))))
        numbers += [ratio.numerator, ratio.denominator]
    return tuple(numbers)


def _tiff(
    codes: NDArray[np.uint16],
    photometric: int,
    tags: list[ExtraTag],
    camera: Camera,
    compress: bool,
) -> bytes:
    buffer = BytesIO()
    # tifffile takes linear raw of three colors alone, so that of one is renamed below.
    of_one = photometric == LINEAR_RAW and codes.ndim == 2
    with tifffile.TiffWriter(buffer, byteorder="<") as tif:
        tif.write(
            codes,
            photometric=tifffile.PHOTOMETRIC.MINISBLACK if of_one else photometric,
            subfiletype=0,  # Adobe's SDK takes only this for the main picture
            extratags=[*tags, EXIF_PLACEHOLDER],
            metadata=None,
            software=False,
            maxworkers=os.cpu_count(),  # tifffile's own default leaves half of the cores idle
            **(LOSSLESS_JPEG if compress and codes.shape[1] >= _TILE else {}),
        )
    if of_one:
        buffer.seek(0)
        with tifffile.TiffFile(buffer, mode="r+") as tif:
            tif.pages.first.tags[Tag.PHOTOMETRIC].overwrite(LINEAR_RAW)
    return append_exif(buffer.getvalue(), camera)


def append_exif(data: bytes, camera: Camera) -> bytes:
    """Puts an EXIF directory at the end of a TIFF, and the tag of its place over the placeholder.

    Args:
        data: little-endian TIFF whose main directory has :data:`EXIF_PLACEHOLDER`.
        camera: its ``exif`` fills the directory.
    """
    with open_tiff(data) as tif:
        entry = tif.pages.first.tags[EXIF_PLACEHOLDER[0]].offset
    grown = bytearray(data)
    grown += b"\0" * (len(grown) % 2)
    struct.pack_into("<HHII", grown, entry, Tag.EXIF_IFD, _LONG, 1, len(grown))
    return bytes(grown + pack_directory(exif_directory(camera), len(grown)))
