"""Samples moved to where the decoder makes more of them, and more where it pays, by trying.

    blocks of most error ─▶ their worst pixel ─▶ decoded again ─▶ kept where it gains more than
                                                                  it costs in bits

Every sixteenth block at a time, so that what is tried at once hardly meets.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from ...decoder import Decoder
from ...decoder.guess import log_gain, times_gain
from ...decoder.systems import NearestSamples, predict
from ...processors.workers import workers
from ...samples import Samples
from .blocks import PRICE, Blocks

__all__ = ["moved_samples"]

# What a sample's value takes, and that its block has one more.
_VALUE_BITS = 12.0
# What is tried, and the share of the samples that it is tried for, those of the largest error: each
# block's worst pixel in place of its sample, and the same beside it.
_KINDS, _SHARE = ("worst", "more"), 0.05
# Blocks from one tried to the next, and how far around each the error is looked at.
_APART, _REACH = 4, 2
# More neighbors change little in what a move brings, and cost time by their square.
_NEIGHBORS = 16
# Blocks that are decoded at a time, and the fewest samples that are tried in a pass.
_RUN, _FEWEST = 512, 4096


def moved_samples(
    decoder: Decoder,
    raw: Tensor,
    missed: Tensor,
    counts: Tensor | None = None,
    room: float = math.inf,
) -> Iterator[tuple[Samples, float]]:
    """The decoder's samples, better and better placed; their values are as measured.

    Args:
        decoder: of samples with a model.
        raw: (3, H, W), the truth.
        missed: (h, w) squared error of the decoder's blocks.
        counts: (H, W) bool, which pixels are to be met; None: all.
        room: bits that places and more samples may take, about.

    Yields:
        Samples, and the picture's squared error of them.
    """
    with workers() as pool:
        moves = _Moves(decoder, raw, missed, counts, pool)
        for kind in _KINDS:
            for some in moves.phases(max(_FEWEST, round(_SHARE * len(decoder.samples)))):
                if moves.spent < room and moves.attempt(some, kind):
                    yield moves.samples(), float(moves.missed.sum())


class _Moves:
    """Where samples are by now, and what the decoder misses with them there."""

    def __init__(
        self,
        decoder: Decoder,
        raw: Tensor,
        missed: Tensor,
        counts: Tensor | None,
        pool: Executor,
    ) -> None:
        samples = decoder.samples
        self.decoder, self.truth, self.counts = decoder, raw, counts
        self.pool, self.side = pool, decoder.side
        self.height, self.width = samples.height, samples.width
        self.blocks = Blocks(self.height, self.width, self.side)
        self.down, self.across = self.blocks.shape
        self.missed, self.index = missed.flatten().clone(), samples.index.clone()
        self.raw, self.guess = raw.reshape(3, -1), decoder.guess.view(3, -1)
        self.points, self.gain = decoder.points.clone(), self._measured(self.index)
        self.taken = torch.zeros(self.height * self.width, dtype=torch.bool)
        self.taken[self.index] = True
        self.most = int(self.height * self.width / (self.side - 0.49) ** 2)
        self.nearest: NearestSamples | None = None
        self.block = self.blocks.of(self.index)
        # That most samples stay has to be told of each, once some don't.
        self.spent = 0.15 * len(self.index)
        self.price = PRICE * float(missed.sum()) / (self.height * self.width)

    def samples(self) -> Samples:
        """With the model."""
        found = Samples.at(self.index, self.truth, self.decoder.samples.cell)
        return replace(found, model=self.decoder.samples.model)

    def phases(self, count: int) -> Iterator[Tensor]:
        """Numbers of the samples of the largest error around them, of blocks far apart."""
        picture = self.missed.view(1, 1, self.down, self.across)
        around = functional.avg_pool2d(picture, 3, 1, 1, count_include_pad=False).flatten()
        worst = around[self.block].topk(min(count, len(self.index))).indices
        worst = worst[self.block[worst].argsort(stable=True)]
        block = self.block[worst]
        phase = block // self.across % _APART * _APART + block % self.across % _APART
        for number in range(_APART**2):
            some = worst[phase == number]
            # Of several in a block the first.
            first = torch.ones_like(some, dtype=torch.bool)
            first[1:] = self.block[some[1:]] != self.block[some[:-1]]
            yield some[first]

    def attempt(self, some: Tensor, kind: str) -> bool:
        """Tries a pixel in the block of each of (M,) samples; whether any was kept."""
        if len(some):
            some, to = self._proposed(some, kind)
        if not len(some):
            return False
        bits = self.blocks.bits(self.index)
        extra = bits[self.blocks.place(to)]
        if kind == "more":
            extra = extra + _VALUE_BITS
        else:
            extra = extra - bits[self.blocks.place(self.index[some])]
        at, before = self._put(some, to, kind)
        blocks, window = self._around(self.block[at])
        change = torch.zeros(self.down * self.across + 1)
        change[blocks] = self._errors(blocks).sum(1) - self.missed[blocks]
        kept = change[window].sum(1) + self.price * extra < 0
        self._take_back(at[~kept], before, ~kept)
        self.spent += float(extra[kept].sum())
        if not bool(kept.any()):
            return False
        blocks = self._around(self.blocks.of(to[kept]))[0]
        self.missed[blocks] = self._errors(blocks).sum(1)
        return True

    def _proposed(self, some: Tensor, kind: str) -> tuple[Tensor, Tensor]:
        """Those of (M,) samples for which there is a pixel to try, and that pixel."""
        blocks = self.block[some]
        pixels, _counts = self._pixels(blocks)
        best, place = self._errors(blocks).masked_fill(self.taken[pixels], 0).max(1)
        if kind == "more":
            # Many more would make the decoder's blocks smaller than the model's.
            best[best.argsort(descending=True)[max(0, self.most - len(self.index)) :]] = 0
        to = pixels.gather(1, place[:, None])[:, 0]
        return some[best > 0], to[best > 0]

    def _put(self, some: Tensor, to: Tensor, kind: str) -> tuple[Tensor, Tensor | None]:
        """Numbers of the samples that are at (M,) pixels now, and where they were if anywhere."""
        before = None
        if kind == "more":
            some = torch.arange(len(to)) + len(self.index)
            self.index = torch.cat([self.index, to])
            self.gain = torch.cat([self.gain, self._measured(to)])
            self.points = torch.cat([self.points, self.decoder.guide.points(to)])
            self.block = torch.cat([self.block, self.blocks.of(to)])
        else:
            before = self.index[some]
            self._move(some, to)
        self.taken[to] = True
        self.nearest = None
        return some, before

    def _move(self, some: Tensor, to: Tensor) -> None:
        self.taken[self.index[some]] = False
        self.taken[to] = True
        self.index[some], self.gain[some] = to, self._measured(to)
        self.points[some] = self.decoder.guide.points(to)
        self.nearest = None

    def _take_back(self, some: Tensor, before: Tensor | None, which: Tensor) -> None:
        """Undoes what :meth:`_put` did to some; ``which`` of what it put they are."""
        if before is not None:
            self._move(some, before[which])
            return
        self.taken[self.index[some]] = False
        kept = torch.ones_like(self.index, dtype=torch.bool)
        kept[some] = False
        self.index, self.gain = self.index[kept], self.gain[kept]
        self.points, self.block = self.points[kept], self.block[kept]
        self.nearest = None

    def _errors(self, blocks: Tensor) -> Tensor:
        """(B, P) squared error of the pixels that count of (B,) blocks."""
        if self.nearest is None:
            self.nearest = NearestSamples(self.index, self.width)
        count = min(_NEIGHBORS, self.decoder.neighbors)
        near = self.nearest(self._corner(blocks) + (self.side - 1) / 2, count)
        parts = self.pool.map(self._error, torch.split(blocks, _RUN), torch.split(near, _RUN))
        return torch.cat(list(parts))

    @torch.no_grad()
    def _error(self, blocks: Tensor, near: Tensor) -> Tensor:
        pixels, counts = self._pixels(blocks)
        shown = self.decoder.guide.points(pixels.flatten())[:, 2:]
        shown = shown.view(len(blocks), self.side, self.side, -1).permute(0, 3, 1, 2).contiguous()
        known = self.points[near], self.gain[near]
        corner = self._corner(blocks).to(self.points)
        gain = predict(self.decoder.setting.basis, *known, corner, shown)
        found = times_gain(self.guess[:, pixels].permute(1, 2, 0), gain)
        truth = self.raw[:, pixels].permute(1, 2, 0)
        return (found - truth).square_().sum(2).mul_(counts)

    def _corner(self, blocks: Tensor) -> Tensor:
        """(B, 2) row and column of the first pixel of (B,) blocks."""
        return torch.stack([blocks // self.across, blocks % self.across], 1) * self.side

    def _pixels(self, blocks: Tensor) -> tuple[Tensor, Tensor]:
        """(B, P) of (B,) blocks, and 1 for those that there are and that count, else 0."""
        inside = torch.arange(self.side)
        y = (blocks // self.across * self.side)[:, None, None] + inside[:, None]
        x = (blocks % self.across * self.side)[:, None, None] + inside
        y, x = y.expand(-1, -1, self.side).flatten(1), x.expand(-1, self.side, -1).flatten(1)
        counts = (y < self.height) & (x < self.width)
        pixels = y.clamp(max=self.height - 1) * self.width + x.clamp(max=self.width - 1)
        if self.counts is not None:
            counts &= self.counts.flatten()[pixels]
        return pixels, counts.to(self.points)

    def _around(self, blocks: Tensor) -> tuple[Tensor, Tensor]:
        """The blocks within reach of (M,) blocks, and (M, R) which are in whose; -1 for none."""
        step = torch.arange(-_REACH, _REACH + 1)
        y = (blocks // self.across)[:, None, None] + step[:, None]
        x = (blocks % self.across)[:, None, None] + step
        inside = (y >= 0) & (y < self.down) & (x >= 0) & (x < self.across)
        window = torch.where(inside, y * self.across + x, -1).flatten(1)
        return torch.unique(window[window >= 0]), window

    def _measured(self, index: Tensor) -> Tensor:
        """(N, 3) log-gains of measured values."""
        return log_gain(self.raw[:, index], self.guess[:, index]).T.contiguous()
