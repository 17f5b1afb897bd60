"""Capture: a raw file goes in, a JPEG (PNG, TIFF) that carries its raw comes out.

    raw file ─▶ Pipeline ─┬─ srgb ─▶ JPEG ─▶ decoded again ─┐
                          └─ raw ──────────────────────────┴▶ sampler ─▶ payload ─▶ into the JPEG

The sampler sees the picture as recovery will see it: after the JPEG's losses. So the decoder can be
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
from typing import BinaryIO, Literal, get_args

import torch
from torch import Tensor

from .. import carriers, codec, io, presets
from ..decoder import Guide
from ..errors import ImageFileError, IspMetaError, PictureMismatch, RateNotReached, RawFileError
from ..frame import Frame, Sampler
from ..pipeline import Pipeline
from ..registration import Placement, Registration, register
from ..samplers import SuperpixelSampler, UniformSampler
from ..stages import Demosaic, Quantize, SampleMetadata
from .loop import MOST_EFFORT, close_loop, model_bytes
from .picture_file import PictureFile
from .rate import Rate, encode_within, fit_rate
from .residual import enhance

__all__ = ["Carrier", "Embedded", "default_sampler", "embed"]

Carrier = Literal["app11", "com", "chunk", "tag", "sidecar"]
Progress = Callable[[str], None]

DEFAULT_EFFORT = 1
# Of an enhancement's coefficients, in parts of full scale.
DEFAULT_STEP = 1 / 32
# Of a budget: what moves take where there is none.
_MOVES = 0.07


@dataclass(frozen=True, eq=False)
class Embedded:
    """What :func:`embed` made.

    Attributes:
        path: the JPEG.
        sidecar: the file with the payload, where it lies beside the JPEG.
        frame: the picture: ``raw`` as demosaiced, in the JPEG's order of pixels, ``srgb`` as
            decoded from the JPEG, ``samples``.
        payload_bytes: size of the metadata.
        jpeg_bytes: size of the JPEG without it.
        registration: where a JPEG that existed lies in the raw, and how well it fits; else None.
    """

    path: Path
    sidecar: Path | None
    frame: Frame
    payload_bytes: int
    jpeg_bytes: int
    registration: Registration | None = None

    @property
    def bits_per_pixel(self) -> float:
        """Bits of metadata a pixel."""
        samples = self.frame.samples
        assert samples is not None
        return 8 * self.payload_bytes / (samples.height * samples.width)


def embed(
    raw: str | os.PathLike[str] | Frame,
    jpeg: str | os.PathLike[str],
    *,
    pipeline: Pipeline | None = None,
    sampler: Sampler | None = None,
    quality: int = 95,
    subsampling: str = "4:4:4",
    jpeg_in: str | os.PathLike[str] | None = None,
    steps: codec.Steps | None = None,
    coding: codec.Coding = "range",
    rate: Rate | None = None,
    effort: int = DEFAULT_EFFORT,
    enhancement: float | None = None,
    carrier: Carrier | None = None,
    depth: int | None = None,
    gps: bool = False,
    force: bool = False,
    lossless: bool | Literal["alone"] = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Embedded:
    """Renders a raw file to a picture and hides the raw pixels worth keeping in it.

    Args:
        raw: a raw file, or a Frame with ``codes`` and ``camera``.
        jpeg: the JPEG to write; ``.png``, ``.tif`` and ``.tiff`` make a PNG or TIFF.
        pipeline: from ``codes`` to ``raw`` and ``srgb``; default :func:`isp_meta.presets.minimal`,
            which rounds to ``depth``. If it has a SampleMetadata stage, its samples are stored.
        sampler: default :func:`default_sampler`, which keeps about 1.5 % of the pixels.
        quality, subsampling: of the JPEG that is rendered.
        jpeg_in: an existing picture of the raw to embed into, in place of rendering one: cropped,
            turned or mirrored, but of the sensor's own pixels, neither resized nor corrected for
            its lens. Its compressed picture is copied, never encoded again. What is recovered has
            its pixels in its order; those that do not show what the raw holds get no sample.
        steps: that values are stored in; default ``codec.Steps()``.
        coding: of the values: "range" is read whatever becomes of the picture; "predicted" takes
            an eighth to a quarter less, but is lost once a pixel of the JPEG changes; "packed" is
            for simple readers.
        rate: what the metadata may take or must reach; chooses cell and steps, so give neither
            sampler nor steps then. What effort brings comes on top of a PSNR; of a budget that its
            model would take a quarter of, effort stores none.
        effort: 0 to 9: how long to look for what makes recovery's result best. 0: instant. 1: also
            stores how recovery should interpolate, and moves samples to where that gains most.
            2 and more: stores values that serve it best in place of the measured ones, which
            fine-tuning a network would need.
        enhancement: stores what recovery from the samples still misses, in steps of this part of
            full scale, 2^-11 to 1; 0: stores none. None: 1/32, or what ``rate`` asks for; none with
            an effort of 0, and none beside a whole mosaic.
        carrier: where the payload goes: in a JPEG "app11" (JUMBF) or "com" (comments), in a PNG a
            "chunk", in a TIFF a "tag", for all "sidecar" (a file beside it); None: the first.
        depth: bits of a sample in a PNG (default 8) or TIFF (default 16): 8 or 16.
        gps: copies where the raw was taken, too, into the picture's EXIF and into the payload.
        force: goes on although ``jpeg_in`` does not seem to fit the raw.
        lossless: keeps the whole mosaic too, so that recovery is exact to the bit. True predicts it
            from the JPEG's pixels, and a picture that was encoded again falls back to the samples;
            "alone" takes about a quarter more and outlives that.
        overwrite: replaces existing files.
        progress: called with the name of each step as it begins.

    Raises:
        RawFileError: the raw file cannot be read or rendered.
        ImageFileError, CarrierError: ``jpeg_in`` cannot be read.
        PictureMismatch: ``jpeg_in`` shows something else, or not the sensor's own pixels.
        RateNotReached: no cell and steps give the rate that was asked for.
        PipelineOrderError: the pipeline lacks a field. OutputError: the JPEG cannot be written.
        ValueError: an argument out of range, two samplers, codes that are not finite; with lossless
            codes that are not whole. PictureMismatch with lossless: a picture turned or cropped.

    Source: Nam et al., CVPR 2022, section 3; the format is docs/format.md.
    """
    step = progress or (lambda _name: None)
    _check_options(coding, lossless, effort, enhancement)
    if rate is not None and not (sampler is None and steps is None):
        raise ValueError("a rate chooses samples and steps; give neither sampler nor steps then")
    target = Path(jpeg)
    beside = carriers.sidecar.sidecar_path(target) if carrier == "sidecar" else None
    file = PictureFile.of(target, depth, carrier)
    sources = [] if isinstance(raw, Frame) else [raw]
    for path in filter(None, (target, beside)):
        io.check_target(path, overwrite=overwrite, sources=sources)
    pipeline = presets.minimal().replace(-1, Quantize(file.depth)) if pipeline is None else pipeline
    step("reading raw")
    frame = raw if isinstance(raw, Frame) else io.read_raw(raw, gps=gps)
    mosaic = frame.require("codes", "embed") if lossless else None
    step("rendering")
    frame = _render(pipeline, frame, sources)
    step("making the JPEG")
    name = str(jpeg_in or jpeg)
    if jpeg_in is None:
        data = file.encode(frame, quality, subsampling)
    else:
        data = file.strip(io.read_bytes(jpeg_in, ImageFileError), name)
    codes = io.decode_image(data, name, deep=True)
    pixels, found = io.eight_bits(codes), None
    if jpeg_in is not None:
        step("finding its place in the raw")
        found = _register(frame, pixels, name, force)
        frame = _placed(frame, found)
    step("choosing pixels")
    frame = frame.replace(srgb=io.display_values(codes).to(frame.require("raw", "embed").dtype))
    guide = Guide(frame.require("srgb", "embed"))
    effort, room, moves = _affordable(rate, pixels.shape[1] * pixels.shape[2], effort)
    goal = _goal(enhancement, rate, effort, lossless)
    if rate is not None:
        with _rate_of(name):
            fit = _rate_fit(coding, _demosaic(pipeline), found, room, goal)
            frame, sampler, steps = fit(rate, frame, pixels, guide)
    sampler = _one_sampler(pipeline, sampler, effort)
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


def default_sampler(effort: int, cell: int = 8) -> Sampler:
    """Superpixels where nothing is tried; else the middle of each cell.

    By trying, samples are moved to where they serve best, and the others' places take no bits.
    """
    return UniformSampler(cell) if effort else SuperpixelSampler(cell)


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


def _check_options(
    coding: str, lossless: bool | str, effort: int, enhancement: float | None
) -> None:
    if coding not in get_args(codec.Coding):
        raise ValueError(f"coding must be predicted, range or packed, not {coding!r}")
    if lossless not in (False, True, "alone"):
        raise ValueError(f"lossless must be True, False or alone, not {lossless!r}")
    if not 0 <= effort <= MOST_EFFORT:
        raise ValueError(f"effort must be 0 to {MOST_EFFORT}, not {effort}")
    if enhancement:
        codec.Enhancement.exponent_of(enhancement)


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


def _one_sampler(pipeline: Pipeline, given: Sampler | None, effort: int) -> Sampler:
    tapped = next((m.sampler for m in pipeline.modules() if isinstance(m, SampleMetadata)), None)
    if tapped is not None and given is not None:
        raise ValueError("the pipeline samples already (SampleMetadata); give no sampler then")
    return tapped or given or default_sampler(effort)


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
    """The frame with samples, none of them where the JPEG does not show what the raw holds."""
    samples = sampler(frame) if frame.samples is None else frame.samples
    if found is not None:
        samples = found.keep(samples)
    frame = frame.replace(samples=samples)
    # Pixels that show something else would be tried for as if they mattered.
    tried = close_loop(frame, effort, step, _shown(found), room, guide=guide)
    return frame.replace(samples=tried)


def _shown(found: Registration | None) -> Tensor | None:
    """Where a JPEG that existed shows what the raw holds; None: everywhere."""
    shown = None if found is None else found.shown()
    return None if shown is None or bool(shown.all()) else shown


def _register(frame: Frame, pixels: Tensor, name: str, force: bool) -> Registration:
    try:
        raw = frame.require("raw", "embed")
        return register(pixels, raw, frame.camera.orientation, force=force)
    except PictureMismatch as error:
        raise PictureMismatch(f"{name}: {error}") from None


def _placed(frame: Frame, found: Registration) -> Frame:
    """The frame as if the sensor had delivered the JPEG's pixels, in their order."""
    raw = found.placement.apply(frame.require("raw", "embed"), found.size)
    camera = found.placement.camera(frame.camera, found.raw_size)
    return frame.replace(raw=raw.contiguous(), camera=camera, samples=None)


def _write_pair(target: Path, data: bytes, beside: Path, packed: bytes, overwrite: bool) -> None:
    """JPEG and sidecar, both or neither: the JPEG takes its name once the sidecar is written."""

    def write(file: BinaryIO) -> None:
        file.write(data)
        file.flush()
        io.write_atomic(beside, packed, overwrite=overwrite)

    io.write_atomic(target, write, overwrite=overwrite)
