"""Capture: a raw file goes in, a picture (JPEG, PNG, TIFF) that carries its raw comes out.

raw file ─▶ Pipeline ─┬─ srgb ─▶ picture ─▶ decoded again ─┐
                      └─ raw ──────────────────────────────┴▶ sampler ─▶ payload ─▶ into the picture

The sampler sees the picture as recovery will see it: after a JPEG's losses. So the decoder can be
run before it is needed, and what is stored be chosen by what comes out (closed_loop).
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from .. import carriers, codec, io, presets
from ..decoder import Guide
from ..errors import IspMetaError, PictureMismatch, RateNotReached, RawFileError
from ..frame import Frame, Sampler
from ..pipeline import Pipeline
from ..registration import Placement, Registration, register
from ..stages import Demosaic, Quantize, SampleMetadata
from .loop import close_loop, model_bytes
from .options import CaptureOptions
from .picture_file import PictureFile
from .rate import Rate, encode_within, fit_rate
from .residual import enhance

__all__ = ["Embedded", "embed"]

Progress = Callable[[str], None]

# Of an enhancement's coefficients, in parts of full scale.
DEFAULT_STEP = 1 / 32
# Of a budget: what moves take where there is none.
_MOVES = 0.07


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
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Embedded:
    """Renders a raw file to a picture and hides the raw pixels worth keeping in it.

    Args:
        raw: a raw file, or a Frame with ``codes`` and ``camera``.
        picture: the file to write: ``.png``, ``.tif`` and ``.tiff`` make a PNG or TIFF, any other
            ending a JPEG.
        options: of the capture; by default about 1.5 % of the pixels are kept.
        pipeline: from ``codes`` to ``raw`` and ``srgb``; default :func:`isp_meta.presets.minimal`,
            which rounds to the picture's depth. If it has a SampleMetadata stage, its samples are
            stored.
        sampler: chooses the pixels, in place of the options' ``sampler`` and ``cell``.
        existing: a picture of the raw to embed into, in place of rendering one: cropped, turned or
            mirrored, but of the sensor's own pixels, neither resized nor corrected for its lens.
            Its compressed picture is copied, never encoded again. What is recovered has its pixels
            in its order; those that do not show what the raw holds get no sample.
        overwrite: replaces existing files.
        progress: called with the name of each step as it begins.

    Raises:
        RawFileError: the raw file cannot be read or rendered.
        ImageFileError, CarrierError: ``existing`` cannot be read.
        PictureMismatch: ``existing`` shows something else, or not the sensor's own pixels; without
            loss: it is turned or cropped.
        RateNotReached: no cell and levels give the rate that was asked for.
        PipelineOrderError: the pipeline lacks a field. OutputError: a file cannot be written.
        ValueError: options that do not go with this kind of picture, several samplers, codes that
            are not finite, or not whole where they are to be kept without loss.

    Source: Nam et al., CVPR 2022, section 3; the format is docs/format.md.
    """
    step = progress or (lambda _name: None)
    target, carrier = Path(picture), options.carrier
    beside = carriers.sidecar.sidecar_path(target) if carrier == "sidecar" else None
    file = PictureFile.of(target, options)
    sources = [] if isinstance(raw, Frame) else [raw]
    for path in filter(None, (target, beside)):
        io.check_target(path, overwrite=overwrite, sources=sources)
    pipeline = presets.minimal().replace(-1, Quantize(file.depth)) if pipeline is None else pipeline
    sampler = _one_sampler(pipeline, sampler, options)
    step("reading raw")
    frame = raw if isinstance(raw, Frame) else io.read_raw(raw, gps=options.gps)
    coding, lossless, rate, steps = options.coding, options.lossless, options.rate, options.steps
    mosaic = frame.require("codes", "embed") if lossless else None
    step("rendering")
    frame = _render(pipeline, frame, sources)
    step("making the picture")
    name = str(existing or picture)
    data = file.encode(frame) if existing is None else file.strip(existing)
    codes = io.decode_image(data, name, deep=True)
    pixels, found = io.eight_bits(codes), None
    if existing is not None:
        step("finding its place in the raw")
        found = _register(frame, pixels, name, options.force)
        frame = _placed(frame, found)
    step("choosing pixels")
    frame = frame.replace(srgb=io.display_values(codes).to(frame.require("raw", "embed").dtype))
    guide = Guide(frame.require("srgb", "embed"))
    effort, room, moves = _affordable(rate, pixels.shape[1] * pixels.shape[2], options.effort)
    goal = _goal(options.enhancement, rate, effort, lossless)
    if rate is not None:
        with _rate_of(name):
            fit = _rate_fit(coding, _demosaic(pipeline), found, room, goal)
            frame, sampler, steps = fit(rate, frame, pixels, guide)
    frame = _sampled(frame, sampler, found, guide, effort, step, moves)
    step("encoding")
    payload = codec.Payload(
        samples=frame.require("samples", "embed"),
        camera=frame.camera,
        binding=codec.Binding.of(pixels, carriers.scan_digest(data)),
        steps=steps or codec.Steps(),
        demosaic=_demosaic(pipeline),
        sampler=type(sampler).__name__,
        mosaic=None if mosaic is None else _mosaic(mosaic, pixels, frame, found, lossless),
    )
    with _rate_of(name):
        payload, packed = encode_within(rate, payload, pixels, coding)
        if goal is not None:
            step("coding what recovery misses")
            known, true = payload.rounded(), frame.require("raw", "embed")
            better = enhance(known, len(packed), true, guide, goal, _shown(found))
            if better is not None:
                payload = dataclasses.replace(payload, enhancement=better)
                packed = codec.encode(payload, coding=coding, pixels=pixels)
    step("writing")
    if beside is not None:
        _write_pair(target, data, beside, packed, overwrite)
    else:
        io.write_atomic(target, carriers.insert(data, packed, place=carrier), overwrite=overwrite)
    return Embedded(target, beside, frame, len(packed), len(data), found)


def _demosaic(pipeline: Pipeline) -> str:
    return next((s.method for s in pipeline.modules() if isinstance(s, Demosaic)), "")


@contextmanager
def _rate_of(name: str) -> Iterator[None]:
    """Has an error about a rate name the picture."""
    try:
        yield
    except RateNotReached as error:
        raise RateNotReached(f"{name}: {error}") from error


def _affordable(rate: Rate | None, pixels: int, effort: int) -> tuple[int, int, float]:
    """What effort may take of a budget, if there is any.

    Returns:
        The effort, 0 where its model would take too much; bytes to leave for what it stores beside
        samples; bits of these that moves may take.
    """
    room, budget = model_bytes(pixels), None if rate is None else rate.budget(pixels)
    if not effort or (budget is not None and room > budget / 4):
        return 0, 0, 0.0
    if budget is None:
        return effort, room, math.inf
    moves = int(_MOVES * budget)
    return effort, room + moves, 8.0 * moves


def _rate_fit(
    coding: codec.Coding,
    demosaic: str,
    found: Registration | None,
    room: int,
    goal: float | Rate | None,
) -> Callable[[Rate, Frame, Tensor, Guide], tuple[Frame, Sampler, codec.Steps]]:
    return functools.partial(
        fit_rate,
        coding=coding,
        demosaic=demosaic,
        keep=None if found is None else found.keep,
        room=room,
        enhanced=goal is not None,
    )


def _goal(
    step: float | None, rate: Rate | None, effort: int, lossless: bool | str
) -> float | Rate | None:
    """What an enhancement is to reach; None where there shall be none."""
    if step is not None:
        return None if step == 0 else rate or step
    return rate or DEFAULT_STEP if effort and not lossless else None


@torch.no_grad()
def _render(pipeline: Pipeline, frame: Frame, sources: list[str | os.PathLike[str]]) -> Frame:
    """Only what is needed later, so that a large picture's intermediate steps are freed."""
    if frame.codes is not None and not bool(torch.isfinite(frame.codes).all()):
        raise ValueError("the frame's codes must be finite")
    try:
        frame = pipeline(frame, keep=("raw", "srgb", "samples"))
    except ValueError as error:
        if isinstance(error, IspMetaError) or not sources:
            raise
        # A file's calibration may be such that no stage can work with it.
        raise RawFileError(f"{sources[0]}: cannot be rendered, {error}") from error
    return frame.replace(raw=frame.require("raw", "embed").clamp(0, 1))


def _mosaic(
    codes: Tensor,
    pixels: Tensor,
    frame: Frame,
    found: Registration | None,
    lossless: bool | str,
) -> codec.Mosaic:
    moved = found is not None and found.placement != Placement()
    if moved or codes.shape[1:] != pixels.shape[1:]:
        raise PictureMismatch(
            f"a mosaic of {codes.shape[2]}x{codes.shape[1]} pixels cannot be kept without loss in "
            "a picture that is turned, cropped or of another size, "
            f"{pixels.shape[2]}x{pixels.shape[1]}; embed without lossless"
        )
    guide = None if lossless == "alone" else pixels
    return codec.Mosaic.of(codes, frame.camera.cfa, pixels=guide)


def _one_sampler(pipeline: Pipeline, given: Sampler | None, options: CaptureOptions) -> Sampler:
    """The only one that is asked for; else what the options make."""
    tapped = next((m.sampler for m in pipeline.modules() if isinstance(m, SampleMetadata)), None)
    named = given or options.sampler or options.cell
    if tapped is not None and named is not None:
        raise ValueError("the pipeline samples already (SampleMetadata); give no sampler then")
    if options.rate is not None and not (given is tapped is None):
        raise ValueError("bpp, size and psnr find the samples; give no sampler then")
    return tapped or given or options.make_sampler()


@torch.no_grad()
def _sampled(
    frame: Frame,
    sampler: Sampler,
    found: Registration | None,
    guide: Guide,
    effort: int,
    step: Progress,
    room: float,
) -> Frame:
    """The frame with samples, none of them where the picture does not show what the raw holds."""
    samples = sampler(frame) if frame.samples is None else frame.samples
    if found is not None:
        samples = found.keep(samples)
    frame = frame.replace(samples=samples)
    # Pixels that show something else would be tried for as if they mattered.
    tried = close_loop(frame, effort, step, _shown(found), room, guide=guide)
    return frame.replace(samples=tried)


def _shown(found: Registration | None) -> Tensor | None:
    """Where an existing picture shows what the raw holds; None: everywhere."""
    shown = None if found is None else found.shown()
    return None if shown is None or bool(shown.all()) else shown


def _register(frame: Frame, pixels: Tensor, name: str, force: bool) -> Registration:
    try:
        raw = frame.require("raw", "embed")
        return register(pixels, raw, frame.camera.orientation, force=force)
    except PictureMismatch as error:
        raise PictureMismatch(f"{name}: {error}") from None


def _placed(frame: Frame, found: Registration) -> Frame:
    """The frame as if the sensor had delivered the picture's pixels, in their order."""
    raw = found.placement.apply(frame.require("raw", "embed"), found.size)
    camera = found.placement.camera(frame.camera, found.raw_size)
    return frame.replace(raw=raw.contiguous(), camera=camera, samples=None)


def _write_pair(target: Path, data: bytes, beside: Path, packed: bytes, overwrite: bool) -> None:
    """Picture and sidecar, both or neither: it takes its name once the sidecar is written."""

    def write(file: BinaryIO) -> None:
        file.write(data)
        file.flush()
        io.write_atomic(beside, packed, overwrite=overwrite)

    io.write_atomic(target, write, overwrite=overwrite)
