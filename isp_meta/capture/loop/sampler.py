"""A sampler that knows the decoder, and chooses what it stores by what comes out.

samples ─▶ model, fitted to the picture ─▶ moved to where it pays ─▶ values that serve best
   effort 0                     effort 1                effort 2, or no enhancement

The default decoder is known and taken apart; any other is run, see any_decoder.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from ...decoder import Decoder, Guide
from ...frame import Frame, Reconstructor, Sampler
from ...reconstruct import LocalRBFReconstructor
from ...samples import Samples
from . import any_decoder
from .decibels import won
from .fit import fit_model
from .moves import moved_samples
from .values import control_values

__all__ = ["MOST_EFFORT", "ClosedLoopSampler", "close_loop"]

Progress = Callable[[str], None]
Values = Literal["control", "measured"]

MOST_EFFORT = 2
# Samples in each of the decoder's systems. More are a little better, and slower by their square
# where values are chosen.
_NEIGHBORS: dict[Values, int] = {"measured": 36, "control": 16}
# Rounds of conjugate gradients: more come nearer, but not where an enhancement follows.
_ROUNDS = 4
# Strips of a large picture that tell whether chosen values are better than measured ones.
_COMPARED = 8
# While the model is fitted: what is best with these is so with more.
_FITTED_NEIGHBORS = 16


class ClosedLoopSampler(Sampler):
    """Samples of another sampler, with what makes recovery's result best, found by trying.

    Args:
        sampler: chooses the pixels.
        effort, reconstructor, values, enhanced: as of :func:`close_loop`.

    Attributes:
        control: whether it may give control values, on which no network can be fine-tuned.

    Raises:
        ValueError: an effort out of range.
    """

    def __init__(
        self,
        sampler: Sampler,
        effort: int = 2,
        reconstructor: Reconstructor | None = None,
        *,
        values: Values = "control",
        enhanced: bool = False,
    ) -> None:
        super().__init__()
        _check_effort(effort)
        self.control = effort > 0 and values == "control" and _is_default(reconstructor)
        self.sampler, self.effort, self.reconstructor = sampler, effort, reconstructor
        self.values: Values = values
        self.enhanced = enhanced

    def forward(self, frame: Frame) -> Samples:
        """Samples of ``frame.raw``."""
        chosen = frame.replace(samples=self.sampler(frame))
        return close_loop(
            chosen,
            self.effort,
            reconstructor=self.reconstructor,
            values=self.values,
            enhanced=self.enhanced,
        )

    def extra_repr(self) -> str:
        """Text inside the parentheses of ``repr``, beside the sampler."""
        enhanced = ", enhanced=True" if self.enhanced else ""
        return f"effort={self.effort}, values={self.values}{enhanced}"


def _is_default(reconstructor: Reconstructor | None) -> bool:
    """Whether it is what recovery takes by default: then its systems are known."""
    if reconstructor is None:
        return True
    plain = LocalRBFReconstructor()
    return type(reconstructor) is type(plain) and reconstructor.extra_repr() == plain.extra_repr()


def _check_effort(effort: int) -> None:
    if not 0 <= effort <= MOST_EFFORT:
        raise ValueError(f"effort must be 0 to {MOST_EFFORT}, not {effort}")


@torch.no_grad()
def close_loop(
    frame: Frame,
    effort: int,
    progress: Progress | None = None,
    counts: Tensor | None = None,
    room: float = math.inf,
    reconstructor: Reconstructor | None = None,
    guide: Guide | None = None,
    *,
    values: Values = "control",
    enhanced: bool = False,
) -> Samples:
    """Samples with what makes the result of recovery best.

    Args:
        frame: with ``raw``, ``samples`` of it as measured, and ``srgb`` as recovery will see it.
        effort: 0: as they are. 1: with a model fitted to the whole picture, which recovery need
            not look for, and, where no enhancement follows, moved inside their cells where much is
            missed. 2: moved in any case.
        progress: called with the name of each step as it begins, and with the decibels won since
            the model. Once there is a model, a KeyboardInterrupt ends the trying and keeps the best
            so far.
        counts: (H, W) bool, which pixels show what raw holds: what is missed elsewhere does not
            count; None: all do.
        room: bits that moved and added samples may take, about.
        reconstructor: what is to serve in place of the default, LocalRBFReconstructor. No model is
            stored then, and values stay as measured: samples are moved, in as many rounds as the
            effort says, each of which reconstructs the picture about 32 times.
        guide: the picture as the decoder sees it, where somebody goes on with it; None: a new one.
        values: "control": with a model, those with which it comes nearest to raw, in place of
            those "measured", unless these are better.
        enhanced: an enhancement follows.

    Raises:
        PipelineOrderError: a field is empty. ValueError: an effort out of range, or samples that
            are control values already.
    """
    step = progress or (lambda _name: None)
    best: Samples = frame.require("samples", "close_loop")
    _check_effort(effort)
    if best.control and effort:
        raise ValueError("samples are control values already; an effort of 0 keeps them")
    if not effort or not len(best):
        return best
    if reconstructor is None or _is_default(reconstructor):
        guide = guide or Guide(frame.require("srgb", "close_loop"))
        moves = room if effort == MOST_EFFORT or not enhanced else 0.0
        better_ones = _improvements(guide, frame, best, counts, step, moves, values)
    else:
        box = any_decoder.BlackBox(reconstructor, frame, counts)
        better_ones = any_decoder.improvements(box, best, effort, room, step)
    try:
        for better in better_ones:
            best = better
    except KeyboardInterrupt:
        if best is frame.samples:
            raise
        step("keeping the best so far")
    return best


def _improvements(
    guide: Guide,
    frame: Frame,
    samples: Samples,
    counts: Tensor | None,
    step: Progress,
    moves: float,
    values: Values,
) -> Iterator[Samples]:
    raw: Tensor = frame.require("raw", "close_loop")
    step("fitting the decoder")
    model = fit_model(guide, raw, samples, _FITTED_NEIGHBORS, counts)
    if model is None:
        return
    samples = replace(samples, model=replace(model, neighbors=_NEIGHBORS[values]))
    yield samples
    if not moves and values == "measured":
        return
    decoder = Decoder.of(guide, samples)
    # All of them where samples are moved by them, and where some may hold nothing that counts.
    whole = moves or counts is not None
    every = 1 if whole else max(1, len(guide.strips(decoder.side)) // _COMPARED)
    missed = decoder.missed(raw, counts, every)
    start = least = float(missed.sum())
    if moves:
        step("moving samples")
        for samples, least in moved_samples(decoder, raw, missed, counts, moves):
            step(f"moving samples{won(start, least)}")
            yield samples
        decoder = decoder.with_samples(samples)
    if values == "measured":
        return
    step(f"choosing values{won(start, least)}")
    for value in control_values(decoder, raw, _ROUNDS, counts):
        found = replace(samples, value=value, control=True)
        yield found
    if float(decoder.with_samples(found).missed(raw, counts, every).sum()) >= least:
        yield samples
