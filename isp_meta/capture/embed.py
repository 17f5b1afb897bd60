"""Capture: a raw file goes in, a picture (JPEG, PNG, TIFF) that carries its raw comes out.

raw file ─▶ Pipeline ─┬─ srgb ─▶ picture ─▶ decoded again ─┐
                      └─ raw ──────────────────────────────┴▶ sampler ─▶ payload ─▶ into the picture

The sampler sees the picture as recovery will see it: after a JPEG's losses. So the decoder can be
run before it is needed, and what is stored be chosen by what comes out (loop).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch

from .. import carriers, io, presets
from ..decoder import DemosaicedRaw
from ..errors import IspMetaError, RawFileError
from ..frame import Frame, Sampler, all_finite
from ..io import RawLayout
from ..pipeline import Pipeline
from ..registration import Registration
from ..stages import Demosaic, LensWarp, Quantize
from ..stages.demosaic import method_for
from .choose import choose, one_sampler, pack
from .editing import for_editors
from .finished import FinishedPicture
from .options import CaptureOptions
from .picture_file import PictureFile

__all__ = ["Embedded", "embed"]

Progress = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Embedded:
    """What :func:`embed` made.

    Attributes:
        path: the picture's file.
        sidecar: the file with the payload, where it lies beside the picture.
        frame: the picture: ``raw`` as demosaiced, in the picture's order of pixels, ``srgb`` as
            decoded from the file, ``samples``.
        payload_bytes: size of the metadata.
        picture_bytes: size of the file without it.
        registration: where an existing picture lies in the raw, and how well it fits; else None.
    """

    path: Path
    sidecar: Path | None
    frame: Frame
    payload_bytes: int
    picture_bytes: int
    registration: Registration | None = None

    @property
    def bits_per_pixel(self) -> float:
        """Bits of metadata a pixel."""
        samples = self.frame.samples
        assert samples is not None
        return 8 * self.payload_bytes / (samples.height * samples.width)


def embed(
    raw: str | os.PathLike[str] | Frame,
    picture: str | os.PathLike[str],
    options: CaptureOptions = CaptureOptions(),
    *,
    pipeline: Pipeline | None = None,
    sampler: Sampler | None = None,
    existing: str | os.PathLike[str] | None = None,
    layout: RawLayout | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Embedded:
    """Renders a raw file to a picture and hides the raw pixels worth keeping in it.

    Args:
        raw: a raw file, or a Frame with ``codes`` and ``camera``.
        picture: the file to write: ``.jpg``, ``.jpeg``, ``.png``, ``.tif`` or ``.tiff``.
        options: of the capture; by default about 1.5 % of the pixels are kept.
        pipeline: from ``codes`` to ``raw`` and ``srgb``; default :func:`isp_meta.presets.minimal`,
            which rounds to the picture's depth. If it has a SampleMetadata stage, its samples are
            stored.
        sampler: chooses the pixels, in place of the options' ``sampler`` and ``cell``.
        existing: a picture of the raw to embed into, in place of rendering one: cropped, turned or
            mirrored, but of the sensor's own pixels, neither resized nor corrected for its lens.
            Its compressed picture is copied, never encoded again. What is recovered has its pixels
            in its order; those that do not show what the raw holds get no sample.
        layout: how a raw file without a header holds its codes.
        overwrite: replaces existing files.
        progress: called with the name of each step as it begins.

    Raises:
        RawFileError: the raw file cannot be read or rendered.
        ImageFileError, CarrierError: ``existing`` cannot be read.
        CarrierWarning: an offset in ``existing`` will point elsewhere.
        PictureMismatch: ``existing`` shows something else, or not the sensor's own pixels; without
            loss: it is turned or cropped.
        RateNotReached: no cell and levels give the rate that was asked for.
        PipelineOrderError: the pipeline lacks a field. OutputError: a file cannot be written, or
            has another ending.
        ValueError: options that do not go with this kind of picture, several samplers, a lens
            warped behind ``raw`` or beside a mosaic kept without loss, codes that are not finite,
            or not whole where they are to be kept without loss.

    Source: Nam et al., CVPR 2022, section 3; the format is docs/format.md.
    """
    step = progress or (lambda _name: None)
    target, carrier = Path(picture), options.carrier
    beside = carriers.sidecar.sidecar_path(target) if carrier == "sidecar" else None
    sources = [] if isinstance(raw, Frame) else [raw]
    for path in filter(None, (target, beside)):
        io.check_target(path, overwrite=overwrite, sources=sources)
    file = PictureFile.of(target, options)
    pipeline = presets.minimal().replace(-1, Quantize(file.depth)) if pipeline is None else pipeline
    _check_geometry(pipeline, options)
    sampler = one_sampler(pipeline, sampler, options)
    step("reading raw")
    frame = raw if isinstance(raw, Frame) else io.read_raw(raw, layout=layout, gps=options.gps)
    codes = frame.require("codes", "embed") if options.lossless else None
    step("rendering")
    frame = _render(pipeline, frame, sources)
    frame = frame.replace(camera=for_editors(frame, pipeline, options))
    step("making the picture")
    if existing is None:
        finished = FinishedPicture.of(frame, file.encode(frame), str(picture))
    else:
        data = file.strip(existing)
        if beside is None:
            carriers.warn_of_offsets(data, existing)
        step("finding its place in the raw")
        finished = FinishedPicture.found(frame, data, str(existing), options.force)
    frame = finished.frame  # of what was rendered, nobody needs the rest
    step("choosing pixels")
    demosaic = _demosaic(pipeline, finished.frame)
    payload = choose(finished, sampler, options, demosaic=demosaic, progress=step)
    if codes is not None:
        payload = dataclasses.replace(payload, mosaic=finished.mosaic(codes, options.lossless))
    step("encoding")
    packed = pack(finished, payload, options, progress=step)
    step("writing")
    data = finished.data
    if beside is not None:
        _write_pair(target, data, beside, packed, overwrite)
    else:
        io.write_atomic(target, carriers.insert(data, packed, place=carrier), overwrite=overwrite)
    frame = finished.frame.replace(samples=payload.samples)
    return Embedded(target, beside, frame, len(packed), len(data), finished.registration)


def _check_geometry(pipeline: Pipeline, options: CaptureOptions) -> None:
    """Raises ValueError where a pixel of the picture is not that of the raw that is kept."""
    for stage in pipeline.modules():
        if isinstance(stage, LensWarp) and stage.field != "raw":
            raise ValueError(
                f"LensWarp: {stage.field} would no longer show what raw holds at its pixels; "
                "let it warp raw (field 'raw')"
            )
        if isinstance(stage, LensWarp) and options.lossless:
            raise ValueError("LensWarp: the mosaic that lossless keeps has no warp; leave it out")


def _demosaic(pipeline: Pipeline, frame: Frame) -> str:
    """How a frame's raw was demosaiced; "" where later stages have changed it."""
    if any(isinstance(stage, LensWarp) for stage in pipeline.modules()):
        return ""
    cfa = frame.camera.cfa
    stage = next((stage for stage in pipeline.modules() if isinstance(stage, Demosaic)), None)
    method = (stage and method_for(cfa, stage.method)) or ""
    bayer = DemosaicedRaw.of(cfa, method)
    return method if bayer is None or bayer.made(frame.require("raw", "embed")) else ""


@torch.no_grad()
def _render(pipeline: Pipeline, frame: Frame, sources: list[str | os.PathLike[str]]) -> Frame:
    """Only what is needed later, so that a large picture's intermediate steps are freed."""
    if frame.codes is not None and not all_finite(frame.codes):
        raise ValueError("the frame's codes must be finite")
    try:
        frame = pipeline(frame, keep=("raw", "srgb", "samples"))
    except ValueError as error:
        if isinstance(error, IspMetaError) or not sources:
            raise
        # A file's calibration may be such that no stage can work with it.
        raise RawFileError(f"{sources[0]}: cannot be rendered, {error}") from error
    return frame.replace(raw=frame.require("raw", "embed").clamp(0, 1))


def _write_pair(target: Path, data: bytes, beside: Path, packed: bytes, overwrite: bool) -> None:
    """Picture and sidecar, both or neither: it takes its name once the sidecar is written."""

    def write(file: BinaryIO) -> None:
        file.write(data)
        file.flush()
        io.write_atomic(beside, packed, overwrite=overwrite)

    io.write_atomic(target, write, overwrite=overwrite)
