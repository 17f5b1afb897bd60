"""A raw file against what was recovered of it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from torch import Tensor

from .. import io
from ..camera import Camera, period_of
from ..codec import Payload
from ..errors import CarrierError, ImageFileError, PayloadMissing, PictureMismatch, RawFileError
from ..frame import Frame
from ..io import RawLayout
from ..metrics import psnr, ssim
from ..pipeline import Pipeline
from ..recovery import Metadata, read_metadata
from ..recovery.recover import recover
from ..registration import Placement, between, register
from ..stages import BlackLevel, Demosaic, as_shot_gains
from ..stages.demosaic import DemosaicMethod
from .edits import Edit, EditError, edit_errors
from .specks import count_specks
from .stops import Stop, stops

__all__ = ["Comparison", "compare", "unclipped_pixels"]

_JPEG = {".jpg", ".jpeg", ".jpe", ".jfif"}

# Stored values are rounded to 8 bits or more, and a pipeline may do more to the raw than demosaic.
_SAME = 0.01
# Fields that are lists in JSON.
_LISTS = ("stops", "edits")


@dataclass(frozen=True)
class Comparison:
    """Figures of one picture, in linear raw-RGB, peak 1.

    Attributes:
        psnr: dB over all pixels. psnr_unclipped: over pixels that no rendering needs to clip: raw
            times white-balance gain is below 1 in every channel. psnr_mosaic: over the values that
            the sensor measured, without the interpolated ones.
        ssim: mean structural similarity.
        specks: recovered values of the sensor far below all around them, see :func:`count_specks`.
        specks_of_raw: as many as the true picture has itself.
        unclipped: share of the pixels that ``psnr_unclipped`` is over.
        bits_per_pixel: of metadata; None where the recovered file does not carry it.
        height, width: pixels.
        stops: error and grain by brightness, of the values that the sensor measured.
        edits: what is left of the error after each edit that was asked for.
    """

    psnr: float
    psnr_unclipped: float
    psnr_mosaic: float
    ssim: float
    specks: int
    specks_of_raw: int
    unclipped: float
    bits_per_pixel: float | None
    height: int
    width: int
    stops: tuple[Stop, ...]
    edits: tuple[EditError, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        lists = {name: list(map(dataclasses.asdict, getattr(self, name))) for name in _LISTS}
        return {**dataclasses.asdict(self), **lists}


def compare(
    raw: str | os.PathLike[str],
    recovered: str | os.PathLike[str] | Metadata,
    demosaic: DemosaicMethod = "malvar",
    *,
    estimate: Frame | None = None,
    layout: RawLayout | None = None,
    edits: Iterable[Edit] = (),
) -> tuple[Comparison, Tensor, Tensor]:
    """Measures a recovered picture against its raw file.

    Args:
        raw: the raw file.
        recovered: a JPEG, PNG or TIFF that carries its raw, what :func:`isp_meta.read_metadata`
            read of it, or a DNG, TIFF or ``.npy`` that was recovered earlier.
        demosaic: how the truth is demosaiced; metadata says so itself.
        estimate: what was recovered of such a picture, with ``raw`` and ``camera``; None: it is
            recovered here, by default means.
        layout: how a raw file without a header holds its codes.
        edits: that both are developed under, such as :data:`isp_meta.comparison.EDITS`.

    Returns:
        The figures, the recovered and the true raw, (3, H, W) each: what both hold, in the order
        of the recovered pixels.

    Raises:
        IspMetaError: a file cannot be read. PictureMismatch: they are not of one picture's pixels.
    """
    path = recovered.path if isinstance(recovered, Metadata) else Path(recovered)
    metadata = recovered if isinstance(recovered, Metadata) else _metadata_of(path)
    if metadata is not None:
        demosaic = _stored_method(metadata.payload) or demosaic
        estimate = estimate or recover(metadata)
    estimate = estimate or _read_recovered(path, demosaic)
    true = _to_raw(io.read_raw(raw, layout=layout), demosaic)
    place = _place(estimate, true, path)
    if place is None:
        size, raw_size = (f.require("raw", "compare").shape for f in (estimate, true))
        raise PictureMismatch(
            f"{path}: has {size[2]}x{size[1]} pixels, {raw} has {raw_size[2]}x{raw_size[1]}; "
            "they are not of one picture's pixels"
        )
    got, truth, cfa = _shared(estimate, true, place)
    try:
        edited = edit_errors(got, truth, true.camera, edits)
    except ValueError as error:
        raise RawFileError(f"{raw}: cannot be developed, {error}") from error
    unclipped = unclipped_pixels(truth, true.camera)
    measured = io.remosaic(got, cfa), io.remosaic(truth, cfa)
    figures = Comparison(
        psnr=psnr(got, truth),
        psnr_unclipped=psnr(got, truth, unclipped),
        psnr_mosaic=psnr(*measured),
        ssim=ssim(got, truth),
        specks=count_specks(measured[0], true.camera.period),
        specks_of_raw=count_specks(measured[1], true.camera.period),
        unclipped=float(unclipped.float().mean()),
        bits_per_pixel=None if metadata is None else metadata.bits_per_pixel,
        height=truth.shape[1],
        width=truth.shape[2],
        stops=stops(*measured, period_of(cfa)),
        edits=edited,
    )
    return figures, got, truth


def _metadata_of(path: Path) -> Metadata | None:
    """What a picture carries; None of a file that was recovered earlier, which carries nothing."""
    if path.suffix.lower() in _JPEG:
        return read_metadata(path)
    if path.suffix.lower() not in (".png", ".tif", ".tiff"):
        return None
    try:
        return read_metadata(path)
    except (CarrierError, ImageFileError, PayloadMissing):
        return None


def _stored_method(payload: Payload) -> DemosaicMethod | None:
    """How the raw picture was demosaiced that a payload is of, where it says so."""
    return next((method for method in get_args(DemosaicMethod) if method == payload.demosaic), None)


def _place(estimate: Frame, true: Frame, path: Path) -> Placement | None:
    """Where the recovered pixels lie in the raw."""
    got, truth = estimate.require("raw", "compare"), true.require("raw", "compare")
    size, raw_size = (got.shape[1], got.shape[2]), (truth.shape[1], truth.shape[2])
    if estimate.samples is not None:
        place = between(true.camera, estimate.camera, raw_size)
        whole = place.turned_size(raw_size) == size
        return place if whole or _holds(estimate, place.apply(truth, size)) else None
    if size == raw_size and not _turned(path, estimate, true):
        return Placement()
    try:
        return register(io.to_uint8(got.sqrt()), truth, true.camera.orientation).placement
    except PictureMismatch:
        return None


def _holds(estimate: Frame, truth: Tensor) -> bool:
    """Whether a raw has what was recovered of it, where samples of it were kept."""
    index = estimate.require("samples", "compare").index
    got = estimate.require("raw", "compare")
    here, there = (raw.flatten(1)[:, index] for raw in (got, truth))
    return float((here - there).abs().median()) < _SAME


def _shared(estimate: Frame, true: Frame, place: Placement) -> tuple[Tensor, Tensor, str]:
    """What both hold, in the order of the recovered pixels, and the mosaic's pattern there."""
    got, truth = estimate.require("raw", "compare"), true.require("raw", "compare")
    raw_size = (truth.shape[1], truth.shape[2])
    rows, columns = place.shared(raw_size, (got.shape[1], got.shape[2]))
    inner = Placement(place.turn, place.top + rows.start, place.left + columns.start)
    got = got[:, rows, columns]
    truth = inner.apply(truth, (got.shape[1], got.shape[2]))
    return got, truth, inner.camera(true.camera, raw_size).cfa


def _turned(path: Path, estimate: Frame, true: Frame) -> bool:
    """Whether a recovered file says that its pixels were turned; only a DNG can."""
    differs = estimate.camera.orientation != true.camera.orientation
    return differs and path.suffix.lower() == ".dng"


def unclipped_pixels(raw: Tensor, camera: Camera) -> Tensor:
    """(H, W) bool: where (3, H, W) raw times white-balance gain is below 1 in every channel."""
    gains = as_shot_gains(camera.as_shot_neutral).to(raw)[:, None, None]
    return (raw * gains < 1).all(0)


def _to_raw(frame: Frame, method: DemosaicMethod) -> Frame:
    return Pipeline([BlackLevel(), Demosaic(method)])(frame)  # type: ignore[no-any-return]


def _read_recovered(path: Path, method: DemosaicMethod) -> Frame:
    """Linear RGB as it is; a DNG with the sensor's mosaic demosaiced as the truth is."""
    if path.suffix.lower() == ".dng" and not io.is_linear_dng(path):
        return _to_raw(io.read_raw(path), method)
    return io.read_linear(path)
