"""A sampler that knows the decoder, and chooses what it stores by what comes out.

samples ─▶ model, fitted to the picture ─▶ moved where it pays ─▶ values that serve best
   effort 0                     effort 1                             effort 2 to 9

The default decoder is known and taken apart; any other is run, see any_decoder.py.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import replace

import torch
from torch import Tensor

from ...frame import Frame, Reconstructor, Sampler
from ...reconstruct import LocalRBFReconstructor
from ...samples import Samples
from ...workers import workers
from . import any_decoder
from .decibels import won
from .fit import fit_model
from .moves import moved_samples
from .truth import Decoder, Truth
from .values import control_values

__all__ = ["MOST_EFFORT", "ClosedLoopSampler", "close_loop"]

Progress = Callable[[str], None]

MOST_EFFORT = 9
# Rounds of conjugate gradients at each step of effort: 4 come within 0.1 dB of the best.
_ROUNDS = 2
# Samples in each of the decoder's systems, from which effort on. More are a little better, and
# slower by their square where values are chosen.
_NEIGHBORS = {1: 36, 2: 16, 3: 24, 5: 36}
# From one ridge that is tried to the next.
_RIDGE_STEP = 3.0
# While the model is fitted: what is best with these is so with more.
_FITTED_NEIGHBORS = 16


class ClosedLoopSampler(Sampler):
    """Samples of another sampler, with what makes recovery's result best, found by trying.

    Args:
        sampler: chooses the pixels.
        effort, reconstructor: as of :func:`close_loop`.

    Attributes:
        control: whether it may give control values, on which no network can be fine-tuned.

    Raises:
        ValueError: an effort out of range; control values for a reconstructor that fine-tunes.
    """

    def __init__(
        self, sampler: Sampler, effort: int = 2, reconstructor: Reconstructor | None = None
    ) -> None:
        super().__init__()
        self.control = _gives_controls(effort, reconstructor)
        self.sampler, self.effort, self.reconstructor = sampler, effort, reconstructor

    def forward(self, frame: Frame) -> Samples:
        """Samples of ``frame.raw``."""
        chosen = frame.replace(samples=self.sampler(frame))
        return close_loop(chosen, self.effort, reconstructor=self.reconstructor)

    def extra_repr(self) -> str:
        """Text inside the parentheses of ``repr``, beside the sampler."""
        return f"effort={self.effort}"


def _is_default(reconstructor: Reconstructor | None) -> bool:
    """Whether it is what recovery takes by default: then its systems are known."""
    if reconstructor is None:
        return True
    plain = LocalRBFReconstructor()
    return type(reconstructor) is type(plain) and reconstructor.extra_repr() == plain.extra_repr()


def _gives_controls(effort: int, reconstructor: Reconstructor | None) -> bool:
    """Whether such a loop may end with control values; refuses what cannot be."""
    if not 0 <= effort <= MOST_EFFORT:
        raise ValueError(f"effort must be 0 to {MOST_EFFORT}, not {effort}")
    if effort < 2 or reconstructor is None or _is_default(reconstructor):
        return effort > 1
    if not any_decoder.takes_controls(reconstructor):
        return False
    if reconstructor.fine_tune_steps:
        raise ValueError(
            f"an effort of {effort} makes control values, on which {type(reconstructor).__name__} "
            "cannot be fine-tuned; take an effort of 1, or fine_tune_steps=0"
        )
    return True


@torch.no_grad()
def close_loop(
    frame: Frame,
    effort: int,
    progress: Progress | None = None,
    counts: Tensor | None = None,
    room: float = math.inf,
    reconstructor: Reconstructor | None = None,
) -> Samples:
    """Samples with what makes the result of recovery best.

    Args:
        frame: with ``raw``, ``samples`` of it as measured, and ``srgb`` as recovery will see it.
        effort: 0: as they are. 1: with a model fitted to the whole picture, which recovery need
            not look for, and moved inside their cells where much is missed. 2 to 9: with control
            values in place of the measured ones, nearer and nearer to the best.
        progress: called with the name of each step as it begins, and with the decibels won since
            the model. Once there is a model, a KeyboardInterrupt ends the trying and keeps the best
            so far.
        counts: (H, W) bool, which pixels show what raw holds: what is missed elsewhere does not
            count; None: all do.
        room: bits that moved and added samples may take, about.
        reconstructor: what is to serve in place of the default, LocalRBFReconstructor. No model is
            stored then: samples are moved, in as many rounds as the effort says, each of which
            reconstructs the picture about 32 times. Control values are made for networks
            that read samples (UNetReconstructor, ResidualUNetReconstructor), each for those very
            weights; other reconstructors get measured ones whatever the effort.

    Raises:
        PipelineOrderError: a field is empty. ValueError: an effort out of range; samples that are
            control values already, or that the reconstructor would be fine-tuned on as such.
    """
    step = progress or (lambda _name: None)
    best: Samples = frame.require("samples", "close_loop")
    _gives_controls(effort, reconstructor)
    if best.control and effort:
        raise ValueError("samples are control values already; an effort of 0 keeps them")
    if not effort or not len(best):
        return best
    if reconstructor is None or _is_default(reconstructor):
        better_ones = _improvements(frame, best, effort, counts, room, step)
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
    frame: Frame,
    samples: Samples,
    effort: int,
    counts: Tensor | None,
    room: float,
    step: Progress,
) -> Iterator[Samples]:
    raw: Tensor = frame.require("raw", "close_loop")
    srgb: Tensor = frame.require("srgb", "close_loop")
    with workers() as pool:
        step("fitting the decoder")
        truth = Truth.of(srgb, raw, counts, pool)
        model = fit_model(truth, samples, _FITTED_NEIGHBORS, pool)
        if model is None:
            return
        neighbors = _NEIGHBORS[max(start for start in _NEIGHBORS if start <= effort)]
        model = replace(model, neighbors=neighbors)
        samples = replace(samples, model=model)
        yield samples
        decoder = Decoder.of(truth, samples, pool)
        missed = decoder.missed(pool)
        start = least = float(missed.sum())

        step("moving samples")
        for samples, least in moved_samples(decoder, missed, *_moves(effort), pool, room):
            step(f"moving samples{won(start, least)}")
            yield samples
        if effort == 1:
            return
        step(f"choosing values{won(start, least)}")
        decoder = decoder.through(samples, pool)
        for samples, less in _valued(decoder, least, effort, pool):
            step(f"choosing values{won(start, less)}")
            yield samples


def _valued(
    decoder: Decoder, least: float, effort: int, pool: Executor
) -> Iterator[tuple[Samples, float]]:
    """With control values, for the model's ridge and, from effort 3 on, for others.

    The ridge that serves measured values is not that which serves values made for it.

    Args:
        least: squared error of the measured ones.

    Yields:
        Samples, and the least squared error so far.
    """
    measured = decoder.samples
    assert measured.model is not None
    ridge = measured.model.ridge
    factors = deque([1.0])
    for number in range(max(1, effort - 1)):
        if not factors:
            return
        factor = factors.popleft()
        model = replace(measured.model, ridge=min(max(ridge * factor, 1e-3), 1e3)).rounded()
        at = decoder.through(replace(measured, model=model), pool)
        for value in control_values(at, _ROUNDS * effort, pool):
            found = replace(at.samples, value=value, control=True)
            if not number:
                yield found, least
        error = float(decoder.through(found, pool).missed(pool).sum())
        if error < least:
            least = error
            yield found, least
            # On from there the same way.
            factors = deque([factor * (_RIDGE_STEP if factor > 1 else 1 / _RIDGE_STEP)])
        elif not number:
            yield measured, least
        if not number:
            factors = deque([1 / _RIDGE_STEP, _RIDGE_STEP])


def _moves(effort: int) -> tuple[float, int]:
    """The share of the samples that are tried in a pass, and the passes."""
    return (0.05, 2) if effort < 3 else (0.1, effort)
