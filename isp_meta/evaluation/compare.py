"""A raw file against what was recovered of it."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from torch import Tensor

from .. import io
from ..camera import Camera
from ..errors import (
    CarrierError,
    ImageFileError,
    PayloadCorrupt,
    PayloadMissing,
    PictureMismatch,
)
from ..frame import Frame
from ..pipeline import Pipeline
from ..recover import read_metadata, read_payload, recover
from ..stages import BlackLevel, Demosaic, as_shot_gains
from ..stages.demosaic import DemosaicMethod
from .metrics import psnr, ssim

__all__ = ["Comparison", "compare", "unclipped_pixels"]

_JPEG = {".jpg", ".jpeg", ".jpe", ".jfif"}


@dataclass(frozen=True)
class Comparison:
    """Figures of one picture, in linear raw-RGB, peak 1.

    Attributes:
        psnr: dB over all pixels. psnr_unclipped: over pixels that no rendering needs to clip: raw
            times white-balance gain is below 1 in every channel. psnr_mosaic: over the values that
            the sensor measured, without the interpolated ones.
        ssim: mean structural similarity.
        unclipped: share of the pixels that ``psnr_unclipped`` is over.
        bits_per_pixel: of metadata; None where the recovered file does not carry it.
        height, width: pixels.
    """

    psnr: float
    psnr_unclipped: float
    psnr_mosaic: float
    ssim: float
    unclipped: float
    bits_per_pixel: float | None
    height: int
    width: int

    def as_dict(self) -> dict[str, float | int | None]:
        """For JSON."""
        return dataclasses.asdict(self)


def compare(
    raw: str | os.PathLike[str],
    recovered: str | os.PathLike[str],
    demosaic: DemosaicMethod = "malvar",
) -> tuple[Comparison, Tensor, Tensor]:
    """Measures a recovered picture against its raw file.

    Args:
        raw: the raw file.
        recovered: a JPEG, PNG or TIFF that carries its raw (it is recovered here, by default
            means), or a DNG, TIFF or ``.npy`` that was recovered earlier.
        demosaic: how the truth is demosaiced; metadata says so itself.

    Returns:
        The figures, the recovered and the true raw, (3, H, W) each.

    Raises:
        IspMetaError: a file cannot be read. PictureMismatch: sizes differ.
    """
    bits_per_pixel = None
    method = demosaic
    if _carries_raw(Path(recovered)):
        metadata = read_metadata(recovered)
        samples = metadata.payload.samples
        bits_per_pixel = 8 * metadata.size / (samples.height * samples.width)
        stored = [m for m in get_args(DemosaicMethod) if m == metadata.payload.demosaic]
        method = stored[0] if stored else demosaic
        estimate = recover(recovered)
    else:
        estimate = _read_recovered(recovered, method)
    true = _to_raw(io.read_raw(raw), method)
    got, truth = estimate.require("raw", "compare"), true.require("raw", "compare")
    if got.shape != truth.shape:
        raise PictureMismatch(
            f"{recovered}: has {got.shape[2]}x{got.shape[1]} pixels, "
            f"{raw} has {truth.shape[2]}x{truth.shape[1]}"
        )
    unclipped = unclipped_pixels(truth, true.camera)
    cfa = true.camera.cfa
    figures = Comparison(
        psnr=psnr(got, truth),
        psnr_unclipped=psnr(got, truth, unclipped),
        psnr_mosaic=psnr(io.remosaic(got, cfa), io.remosaic(truth, cfa)),
        ssim=ssim(got, truth),
        unclipped=float(unclipped.float().mean()),
        bits_per_pixel=bits_per_pixel,
        height=truth.shape[1],
        width=truth.shape[2],
    )
    return figures, got, truth


def _carries_raw(path: Path) -> bool:
    """Whether to recover a file; of a PNG or TIFF its metadata tells, linear ones have none."""
    if path.suffix.lower() in _JPEG:
        return True
    if path.suffix.lower() not in (".png", ".tif", ".tiff"):
        return False
    try:
        read_payload(path)
    except (CarrierError, ImageFileError, PayloadMissing):
        return False
    except PayloadCorrupt:
        pass  # which recovery says better
    return True


def unclipped_pixels(raw: Tensor, camera: Camera) -> Tensor:
    """(H, W) bool: where (3, H, W) raw times white-balance gain is below 1 in every channel."""
    gains = as_shot_gains(camera.as_shot_neutral).to(raw)[:, None, None]
    return (raw * gains < 1).all(0)


def _to_raw(frame: Frame, method: DemosaicMethod) -> Frame:
    return Pipeline([BlackLevel(), Demosaic(method)])(frame)  # type: ignore[no-any-return]


def _read_recovered(path: str | os.PathLike[str], method: DemosaicMethod) -> Frame:
    """Linear RGB as it is; the mosaic of ``recover --cfa`` demosaiced as the truth is."""
    if Path(path).suffix.lower() == ".dng" and not io.is_linear_dng(path):
        return _to_raw(io.read_raw(path), method)
    return io.read_linear(path)
