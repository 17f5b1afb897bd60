"""What is kept of a picture's raw: samples, how to interpolate them, and what that still misses.

FinishedPicture ─ sampler, or a rate ─▶ samples ─ tried ─▶ Payload ─▶ bytes
                                                             └─ decoded ─▶ filter, enhancement
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from .. import carriers, codec
from ..errors import RateNotReached
from ..frame import Sampler
from ..pipeline import Pipeline
from ..stages import SampleMetadata
from .finished import FinishedPicture
from .loop import close_loop, model_bytes
from .options import CaptureOptions
from .rate import Rate, encode_within, fit_rate
from .residual import DEFAULT_STEP, enhance

__all__ = ["choose", "one_sampler", "pack"]

Progress = Callable[[str], None]

# Of a budget: what moves take where there is none.
_MOVES = 0.07


@dataclass(frozen=True)
class _Plan:
    """What is tried, and what the rest of a budget is for.

    Attributes:
        effort: 0 where a budget cannot pay for the model.
        room: bytes to leave for what effort stores beside samples.
        moves: bits of these that moved and added samples may take.
        goal: what an enhancement is to reach; None where there shall be none.
    """

    effort: int
    room: int
    moves: float
    goal: float | Rate | None

    @classmethod
    def of(cls, options: CaptureOptions, pixels: int) -> _Plan:
        """For a picture of so many pixels."""
        rate, effort, room, moves = options.rate, options.effort, model_bytes(pixels), math.inf
        budget = None if rate is None else rate.budget(pixels)
        if not effort or (budget is not None and room > budget / 4):
            effort, room, moves = 0, 0, 0.0
        elif budget is not None:
            moves = 8.0 * int(_MOVES * budget)
            room += int(_MOVES * budget)
        goal: float | Rate | None = None
        if options.enhancement is None:
            goal = rate or DEFAULT_STEP if effort and not options.lossless else None
        elif options.enhancement:
            goal = rate or options.enhancement
        return cls(effort, room, moves, goal)


def one_sampler(pipeline: Pipeline, given: Sampler | None, options: CaptureOptions) -> Sampler:
    """The only one that is asked for; else what the options make.

    Raises:
        ValueError: several are, or one beside a rate, which finds the samples itself.
    """
    tapped = next((m.sampler for m in pipeline.modules() if isinstance(m, SampleMetadata)), None)
    named = given or options.sampler or options.cell
    if tapped is not None and named is not None:
        raise ValueError("the pipeline samples already (SampleMetadata); give no sampler then")
    if options.rate is not None and not (given is tapped is None):
        raise ValueError("bpp, size and psnr find the samples; give no sampler then")
    return tapped or given or options.make_sampler()


@torch.no_grad()
def choose(
    picture: FinishedPicture,
    sampler: Sampler,
    options: CaptureOptions,
    *,
    demosaic: str = "",
    progress: Progress,
) -> codec.Payload:
    """The payload of a picture, without an enhancement.

    Args:
        sampler: of the samples, where no rate finds them and the frame holds none.
        demosaic: short name of what made the raw.
        progress: called with the name of each step as it begins.

    Raises:
        RateNotReached: no cell and steps give the rate that the options ask for.
    """
    plan, rate, frame = _Plan.of(options, picture.pixels[0].numel()), options.rate, picture.frame
    steps = options.steps or codec.Steps()
    if rate is not None:
        with _named(picture.name):
            frame, sampler, steps = fit_rate(
                rate,
                frame,
                picture.pixels,
                picture.guide,
                coding=options.coding,
                demosaic=demosaic,
                keep=picture.keep,
                room=plan.room,
                enhanced=plan.goal is not None,
            )
    samples = picture.keep(sampler(frame) if frame.samples is None else frame.samples)
    # Pixels that show something else would be tried for as if they mattered.
    tried = close_loop(
        frame.replace(samples=samples),
        plan.effort,
        progress,
        picture.shown,
        plan.moves,
        guide=picture.guide,
        values=options.values or "control",
        enhanced=plan.goal is not None,
    )
    return codec.Payload(
        samples=tried,
        camera=frame.camera,
        binding=codec.Binding.of(picture.pixels, carriers.scan_digest(picture.data)),
        steps=steps,
        demosaic=demosaic,
        sampler=type(sampler).__name__,
    )


def pack(
    picture: FinishedPicture,
    payload: codec.Payload,
    options: CaptureOptions,
    *,
    progress: Progress,
) -> bytes:
    """The payload's bytes, with what recovery from it misses where the options ask for that.

    Raises:
        RateNotReached: they do not get as small, or as good, as the options ask for.
    """
    pixels, coding = picture.pixels, options.coding
    plan = _Plan.of(options, pixels[0].numel())
    with _named(picture.name):
        payload, packed = encode_within(options.rate, payload, pixels, coding)
        if plan.goal is None:
            return packed
        progress("coding what recovery misses")
        known, raw = payload.rounded(), picture.frame.require("raw", "embed")
        mended, found = enhance(known, len(packed), raw, picture.guide, plan.goal, picture.shown)
    if mended is None and found is None:
        return packed
    payload = dataclasses.replace(payload, adaptive_filter=mended, enhancement=found)
    return codec.encode(payload, coding=coding, pixels=pixels)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Has an error about a rate name the picture."""
    try:
        yield
    except RateNotReached as error:
        raise RateNotReached(f"{name}: {error}") from error
