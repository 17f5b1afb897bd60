"""The loop around any reconstructor, of which nothing is known but what it makes of samples.

    blocks far apart ─▶ their worst pixel ─▶ the picture reconstructed ─▶ kept where it gains more
                        for their sample     and again with what is kept  than it costs in bits

Every sixteenth block at a time, so that what is tried at once hardly meets. Where it meets after
all, as in a network that sees far or a formula fitted to all samples, the whole picture decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from ...decoder import block_side
from ...frame import Frame, Reconstructor
from ...samples import Samples
from .blocks import PRICE, Blocks
from .decibels import won

__all__ = ["BlackBox", "improvements", "moved_samples"]

# Blocks from one tried to the next.
_APART = 4
# What is kept of moves that make the whole picture worse together: those that gain most.
_FEWER = 4


@dataclass(frozen=True, eq=False)
class BlackBox:
    """A reconstructor, and the picture that it is tried on.

    Attributes:
        frame: with ``raw`` and ``srgb``.
        counts: (H, W) bool, which pixels show what raw holds; None: all.
    """

    reconstructor: Reconstructor
    frame: Frame
    counts: Tensor | None = None

    @property
    def raw(self) -> Tensor:
        """(3, H, W), the truth."""
        raw: Tensor = self.frame.require("raw", "ClosedLoopSampler")
        return raw

    @torch.no_grad()
    def missed(self, samples: Samples) -> Tensor:
        """(H, W) float64 squared error of all colors, 0 where a pixel does not count."""
        estimate: Tensor = self.reconstructor(self.frame.replace(raw=None, samples=samples))
        error: Tensor = (estimate.to(self.raw) - self.raw).double().square_().sum(0)
        return error if self.counts is None else error.mul_(self.counts)

    def error(self, samples: Samples) -> float:
        """Squared error of the whole picture."""
        return float(self.missed(samples).sum())


def improvements(
    box: BlackBox,
    samples: Samples,
    effort: int,
    room: float,
    step: Callable[[str], None],
) -> Iterator[Samples]:
    """Samples with which the reconstructor misses less and less.

    Args:
        samples: at least one, of the box's picture, as measured.
        effort: rounds of moves.
        room: bits that places may take, about.
        step: called with the name of each step as it begins, and with the decibels won.
    """
    step("reconstructing")
    missed = box.missed(samples)
    start = float(missed.sum())
    # From here on there is something to keep: these very ones, as chosen by trying.
    yield replace(samples)
    step("moving samples")
    for moved, least in moved_samples(box, samples, missed, effort, room):
        # Before it is told of, so that an interrupt there does not lose it.
        yield moved
        step(f"moving samples{won(start, least)}")


def moved_samples(
    box: BlackBox, samples: Samples, missed: Tensor, rounds: int, room: float
) -> Iterator[tuple[Samples, float]]:
    """Samples in better and better places; their values are as measured.

    Args:
        missed: what the box misses with these samples.
        rounds: in each of which every block with a sample tries the worst pixel that was not tried.
        room: bits that places may take, about.

    Yields:
        Samples, and the picture's squared error of them, less each time.
    """
    moves = _Moves(box, samples, missed)
    for _ in range(rounds):
        for phase in range(_APART**2):
            if moves.spent < room and moves.attempt(phase):
                yield moves.samples(), moves.least


class _Moves:
    """Where samples are by now, and what is missed with them there."""

    def __init__(self, box: BlackBox, samples: Samples, missed: Tensor) -> None:
        self.box, self.cell, self.missed = box, samples.cell, missed
        self.least = float(missed.sum())
        self.blocks = Blocks(samples.height, samples.width, block_side(samples))
        self.index = samples.index.clone()
        self.tried = torch.zeros(missed.numel(), dtype=torch.bool, device=missed.device)
        self.tried[self.index] = True
        # That most samples stay has to be told of each, once some don't.
        self.spent = 0.15 * len(self.index)
        self.price = PRICE * self.least / missed.numel()

    def samples(self) -> Samples:
        return Samples.at(self.index, self.box.raw, self.cell)

    def attempt(self, phase: int) -> bool:
        """Tries a pixel in every sixteenth block; whether any was kept."""
        some, to = self._proposed(phase)
        if not len(some):
            return False
        bits = self.blocks.bits(self.index)
        extra = bits[self.blocks.place(to)] - bits[self.blocks.place(self.index[some])]
        found = self.box.missed(self._moved(some, to))
        gain = self._around(self.missed - found)[self.blocks.of(to)] - self.price * extra
        best = gain.argsort(descending=True, stable=True)
        best = best[gain[best] > 0]
        while len(best):
            if len(best) < len(some):
                found = self.box.missed(self._moved(some[best], to[best]))
            if float(found.sum()) < self.least:
                self.index = self._moved(some[best], to[best]).index
                self.missed, self.least = found, float(found.sum())
                self.spent += float(extra[best].sum())
                return True
            some, to, extra = some[best], to[best], extra[best]
            best = torch.arange(len(best) // _FEWER, device=best.device)
        return False

    def _proposed(self, phase: int) -> tuple[Tensor, Tensor]:
        """Numbers of the samples of some blocks, the first in each, and a pixel to try for each."""
        block = self.blocks.of(self.index)
        order = block.argsort(stable=True)
        block = block[order]
        chosen = torch.ones_like(block, dtype=torch.bool)
        chosen[1:] = block[1:] != block[:-1]
        across = self.blocks.shape[1]
        chosen &= block // across % _APART * _APART + block % across % _APART == phase
        block, some = block[chosen], order[chosen]
        untried = self.missed.flatten().masked_fill(self.tried, 0).view_as(self.missed)
        worst, place = self.blocks.split(untried)[block].max(1)
        to = self.blocks.pixel(block, place)[worst > 0]
        self.tried[to] = True
        return some[worst > 0], to

    def _moved(self, some: Tensor, to: Tensor) -> Samples:
        index = self.index.clone()
        index[some] = to
        return Samples.at(index, self.box.raw, self.cell)

    def _around(self, plane: Tensor) -> Tensor:
        """(B,) sums of an (H, W) plane over the 3x3 blocks around each."""
        sums = self.blocks.split(plane).sum(1).view(1, 1, *self.blocks.shape)
        return functional.avg_pool2d(sums, 3, 1, 1).flatten().mul_(9)
