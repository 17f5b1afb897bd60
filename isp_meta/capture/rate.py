"""How much a picture's metadata may take, or how well it must do: cell and steps that fit.

Both cost bits: small cells keep more samples, fine steps more of each. For a size the smallest cell
that fits in coarse steps is taken, and then the finest steps that still fit; for a quality the
largest cell that reaches it, and then the coarsest steps. Every trial is coded, or recovered from,
in earnest. Where an enhancement follows, few samples are its base, and its step does the rest.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..codec import Binding, Coding, Payload, Steps, encode, quantize
from ..decoder import Decoder, Guide
from ..errors import RateNotReached
from ..frame import Frame, Sampler
from ..metrics import psnr
from ..networks.shipped import shipped_features
from ..samplers import UniformSampler
from ..samples import Samples

__all__ = ["CELLS", "Rate", "fit_rate"]

CELLS = (4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 18, 20, 24, 28, 32)
"""Sides of a cell that are tried, pixels."""

# Quarter octaves. At the fifth, 160, a bit spent on finer steps and one spent on smaller cells gain
# about the same on the photographs of docs/benchmarks.md.
_LEVELS = tuple(round(80 * 2 ** (i / 4)) for i in range(25))
_BALANCED = 4
# Where an enhancement follows: smaller ones gain less than what they take from it.
_BASE_CELLS = (16, 20, 24, 28, 32)


@dataclass(frozen=True)
class Rate:
    """What metadata may take, or what recovery from it must reach: one of the three.

    Attributes:
        bpp: at most so many bits of metadata a pixel.
        size: at most so many bytes of metadata.
        psnr: at least so many dB over the linear raw-RGB, peak 1, that recovery makes by default.
        sampler: makes a sampler of a cell's side.

    Raises:
        ValueError: none or several of the three, or one that is not positive.
    """

    bpp: float | None = None
    size: int | None = None
    psnr: float | None = None
    sampler: Callable[[int], Sampler] = UniformSampler

    def __post_init__(self) -> None:
        given = [goal for goal in (self.bpp, self.size, self.psnr) if goal is not None]
        if len(given) != 1 or not given[0] > 0:
            raise ValueError("a rate is one of bpp, size and psnr, above 0")

    def budget(self, pixels: int) -> float | None:
        """Bytes that the metadata of so many pixels may take; None for a ``psnr``."""
        return self.size if self.bpp is None else self.bpp * pixels / 8


def encode_within(
    rate: Rate | None, payload: Payload, pixels: Tensor, coding: Coding
) -> tuple[Payload, bytes]:
    """A payload and its bytes, in coarser steps than its own where a rate's budget asks for them.

    What is found after the rate was fitted, a model and its control values, is not known before.

    Raises:
        RateNotReached: no steps that are tried will do.
    """
    packed = encode(payload, coding=coding, pixels=pixels)
    # A rate is of the samples and what serves them; a mosaic takes what it takes.
    budget = None
    if rate is not None and payload.mosaic is None:
        budget = rate.budget(pixels.shape[1] * pixels.shape[2])
    for levels in reversed(_LEVELS):
        if budget is None or len(packed) <= budget:
            return payload, packed
        if levels < payload.steps.levels:
            payload = dataclasses.replace(payload, steps=Steps(levels))
            packed = encode(payload, coding=coding, pixels=pixels)
    raise RateNotReached(f"{budget:,.0f} bytes are too few: the metadata take {len(packed):,}")


def fit_rate(
    rate: Rate,
    frame: Frame,
    pixels: Tensor,
    guide: Guide,
    *,
    coding: Coding = "range",
    demosaic: str = "",
    keep: Callable[[Samples], Samples] | None = None,
    room: int = 0,
    enhanced: bool = False,
) -> tuple[Frame, Sampler, Steps]:
    """Samples and steps that a rate allows or asks for.

    About four cells are sampled, and for a ``psnr`` recovered from, which also tries some steps.

    Args:
        frame: with ``raw``, ``srgb`` as decoded from the finished file, and ``camera``.
        pixels: (3, H, W) uint8, that ``srgb``. guide: the same as the decoder sees it.
        coding, demosaic: of the payload, see :class:`isp_meta.codec.Payload`.
        keep: takes the samples away that the picture does not show.
        room: bytes to leave for what is added later.
        enhanced: an enhancement makes up for what few samples miss: large cells, in default steps.

    Returns:
        The frame with ``samples``, the sampler that chose them, and the steps to store them in.

    Raises:
        RateNotReached: no cell and no steps that are tried will do.
    """
    binding = Binding.of(pixels, bytes(32))

    @functools.cache
    def sampled(cell: int) -> Samples:
        with torch.no_grad():
            samples: Samples = rate.sampler(cell)(frame)
        return samples if keep is None else keep(samples)

    @functools.cache
    def size(cell: int, levels: int) -> int:
        name = type(rate.sampler(cell)).__name__
        steps = Steps(levels)
        payload = Payload(sampled(cell), frame.camera, binding, steps, demosaic, name)
        return len(encode(payload, coding=coding, pixels=pixels)) + room

    if enhanced:
        cell, levels = _base(rate.budget(pixels.shape[1] * pixels.shape[2]), size)
    elif rate.psnr is not None:
        cell, levels = _reach(rate.psnr, frame, demosaic, guide, sampled)
    else:
        cell, levels = _fill(rate.budget(pixels.shape[1] * pixels.shape[2]), size)
    return frame.replace(samples=sampled(cell)), rate.sampler(cell), Steps(levels)


def _fill(budget: float | None, size: Callable[[int, int], int]) -> tuple[int, int]:
    """The smallest cell whose samples in balanced steps fit, and the finest levels that fit."""
    assert budget is not None
    place = _first(lambda i: size(CELLS[i], _LEVELS[_BALANCED]) <= budget, len(CELLS))
    if place is None:
        least = size(CELLS[-1], _LEVELS[_BALANCED])
        raise RateNotReached(
            f"{budget:,.0f} bytes are too few for this picture's metadata: one sample in "
            f"{CELLS[-1]}x{CELLS[-1]} pixels takes {least:,}"
        )
    finer = _LEVELS[:_BALANCED:-1]
    finest = _first(lambda i: size(CELLS[place], finer[i]) <= budget, len(finer))
    return CELLS[place], _LEVELS[_BALANCED] if finest is None else finer[finest]


def _base(budget: float | None, size: Callable[[int, int], int]) -> tuple[int, int]:
    """Cell and levels of samples beside an enhancement, which shall have most of a budget."""
    levels = Steps().levels
    if budget is None:
        return _BASE_CELLS[0], levels
    for cell in _BASE_CELLS:
        if size(cell, levels) <= budget / 3:
            return cell, levels
    return (cell, levels) if size(cell, levels) <= budget else _fill(budget, size)


def _reach(
    goal: float,
    frame: Frame,
    demosaic: str,
    guide: Guide,
    sampled: Callable[[int], Samples],
) -> tuple[int, int]:
    """The largest cell, and then the fewest levels, from which recovery reaches a PSNR."""
    raw = frame.require("raw", "fit_rate")

    @functools.cache
    def reached(cell: int, levels: int) -> float:
        samples = sampled(cell)
        value = quantize(samples.value, Steps(levels))
        kept = dataclasses.replace(samples, value=value, demosaic=demosaic)
        features, cfa = shipped_features(), frame.camera.cfa
        return psnr(Decoder.of(guide, kept, features=features, cfa=cfa).raw(), raw)

    descending = CELLS[::-1]
    place = _first(lambda i: reached(descending[i], _LEVELS[_BALANCED]) >= goal, len(CELLS))
    cell = CELLS[0] if place is None else descending[place]
    step = _first(lambda i: reached(cell, _LEVELS[i]) >= goal, len(_LEVELS))
    if step is None:
        best = reached(cell, _LEVELS[-1])
        raise RateNotReached(
            f"{goal:g} dB cannot be reached: one sample in {cell}x{cell} pixels gives {best:.2f}"
        )
    return cell, _LEVELS[step]


def _first(holds: Callable[[int], bool], end: int) -> int | None:
    """The least index below ``end`` for which a rising condition holds, or None."""
    if not holds(end - 1):
        return None
    low, high = -1, end - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
