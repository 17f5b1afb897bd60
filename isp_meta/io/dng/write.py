"""Writing raw pictures that raw editors open."""

from __future__ import annotations

import math
import os
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...camera import LINEAR, MONOCHROME, Camera, pattern_of
from ...frame import Frame, all_finite
from ..output import write_atomic
from .directory import Compression, pack_dng

__all__ = ["Compression", "remosaic", "write_dng", "write_mosaic"]

_FULL = 65535
# Between black and white: with fewer codes than 8 bits have, a picture would show steps.
_FEWEST_CODES = 255


def write_dng(
    path: str | os.PathLike[str],
    frame: Frame,
    *,
    linear: bool = False,
    compress: Compression = "lossless-jpeg",
    overwrite: bool = False,
) -> None:
    """Writes a raw picture as a DNG.

        code = round(raw · (white - black) + black), in [0, white]

    Levels, neutral and color matrix in the file are the camera's own, so that editors treat it as
    the original and raw readers report the same numbers; what the original told editors
    (``camera.editing``) is in the file, too. The price is the camera's own precision: half a code,
    1/2000 of full scale for a 10-bit sensor. Use :func:`write_tiff16` or :func:`write_npy` where
    the interpolated values matter more than an editor.

    Args:
        path: target, by custom ``.dng``.
        frame: its ``raw``, (3, H, W) in [0, 1], and its ``camera``.
        linear: writes three colors a pixel instead of the sensor's mosaic. The mosaic, which
            editors render as they do the original, is the sensor's own ``codes``, where the frame
            has whole ones, to the bit; else each pixel's own color of ``raw`` under
            ``camera.cfa``. Of a camera without a mosaic there is one form alone, that of
            :func:`write_mosaic`, also with ``linear``.
        compress: "lossless-jpeg", in 256x256 tiles, which every reader knows; uncompressed where
            the picture is narrower than a tile. "jpegxl" is smaller, for readers of DNG 1.7;
            "none" compresses nothing.
        overwrite: replaces an existing file.

    Light may clip below the white level that the original file gives. That is in the file where
    codes on the sensor's own scale are written, as a mosaic. A linear DNG has the camera's, and
    one black level, the mean of the mosaic's, rounded. Levels that whole numbers of 16 bits cannot
    hold, or with fewer than 255 codes between them (a float DNG's), become 0 and 65535, but for
    ``codes``.

    Raises:
        PipelineOrderError: ``frame.raw`` is empty, and there are no codes to write.
        ValueError: ``raw`` is not (3, H, W) or not finite, an unknown compression; see also
            :func:`write_mosaic`.
        OutputError: the file exists or cannot be written.

    Source: DNG specification 1.7.1, chapters 2 to 7; TIFF 6.0.
    """
    if not linear and frame.codes is not None and (frame.raw is None or _are_whole(frame.codes)):
        write_mosaic(path, frame, compress=compress, overwrite=overwrite)
        return
    raw, camera = frame.require("raw", "write_dng").detach(), frame.camera
    if raw.dim() != 3 or raw.shape[0] != 3 or 0 in raw.shape:
        raise ValueError(f"raw must be (3, H, W), not {tuple(raw.shape)}")
    if not all_finite(raw):
        raise ValueError("raw must be finite")
    black, white = _levels(camera)
    demosaiced = linear and camera.cfa not in (LINEAR, MONOCHROME)
    picture = _interleaved(raw if demosaiced else remosaic(raw, camera.cfa))
    if demosaiced:
        black = (math.floor(sum(black) / len(black) + 0.5),) * 3
        levels = np.array(black[0])
    else:
        levels = _tiled(black, camera, picture)
    codes = _quantize(picture, levels, white)
    _write(path, codes, camera, black, white, compress, overwrite, demosaiced=demosaiced)


def write_mosaic(
    path: str | os.PathLike[str],
    frame: Frame,
    *,
    compress: Compression = "lossless-jpeg",
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

    Source: DNG specification 1.7.1, chapters 2 to 7; TIFF 6.0.
    """
    codes, camera = frame.require("codes", "write_mosaic"), frame.camera
    if codes.dim() != 3 or codes.shape[0] != camera.channels or 0 in codes.shape:
        raise ValueError(f"codes must be ({camera.channels}, H, W), not {tuple(codes.shape)}")
    if not _are_whole(codes):
        raise ValueError("codes must be whole numbers from 0 to 65535")
    if not _fits(camera):
        raise ValueError(f"levels must fit 16 bits: {camera.black_level}, {camera.white_level}")
    whole = _interleaved(codes).numpy().astype(np.uint16)
    black, white = camera.black_level, round(camera.white_level)
    _write(path, whole, camera, black, white, compress, overwrite, demosaiced=False)


def _are_whole(codes: Tensor) -> bool:
    return bool(((codes >= 0) & (codes <= _FULL) & (codes == codes.round())).all())


def _write(
    path: str | os.PathLike[str],
    codes: NDArray[np.uint16],
    camera: Camera,
    black: tuple[float, ...],
    white: int,
    compress: Compression,
    overwrite: bool,
    *,
    demosaiced: bool,
) -> None:
    if compress not in get_args(Compression):
        raise ValueError(f"compress must be {', '.join(get_args(Compression))}, not {compress!r}")
    data = pack_dng(codes, camera, black, white, demosaiced=demosaiced, compress=compress)
    write_atomic(path, data, overwrite=overwrite)


def _fits(camera: Camera) -> bool:
    """Whether a DNG of 16 bits can hold the camera's levels."""
    white, black = camera.white_level, camera.black_level
    return white == round(white) and 0 < white <= _FULL and min(black) >= 0


def _levels(camera: Camera) -> tuple[tuple[float, ...], int]:
    """Black levels and white level to write: the camera's own, or those of 16 bits."""
    if _fits(camera) and camera.white_level - max(camera.black_level) >= _FEWEST_CODES:
        return camera.black_level, round(camera.white_level)
    return (0.0,) * len(camera.black_level), _FULL


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


def _tiled(black: tuple[float, ...], camera: Camera, picture: Tensor) -> NDArray[np.float64]:
    """The black level of each of a picture's values."""
    if camera.cfa == LINEAR:
        return np.array(black)
    height, width = picture.shape
    square = np.reshape(black, (camera.period, camera.period))
    return np.tile(square, (height // len(square) + 1, width // len(square) + 1))[:height, :width]


def _quantize(raw: Tensor, black: NDArray[np.float64], white: int) -> NDArray[np.uint16]:
    codes = np.empty(raw.shape, np.uint16)
    black = np.broadcast_to(black, raw.shape)
    # Row by row in double precision, which for a whole picture would take eight times its size.
    for row, levels, target in zip(raw.cpu().numpy(), black, codes, strict=True):
        exact = row.astype(np.float64) * (white - levels) + levels
        target[:] = np.clip(np.rint(exact), 0, white)
    return codes
