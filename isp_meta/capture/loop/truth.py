"""What is known at capture, and the decoder as it will run on it."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...decoder.guess import FirstGuess, bands_of
from ...decoder.learned import LearnedBands
from ...networks.shipped import FEATURES
from ...reconstruct.local_rbf import STORED, GuidedPicture, LocalRBFSetting, block_side, rebuilt
from ...samples import Samples

__all__ = ["Decoder", "Truth"]

# Pixels that are decoded at a time.
_STRIP_PIXELS = 250_000


@dataclass(frozen=True, eq=False)
class Truth:
    """A picture, its raw, and which of it is to be met.

    Attributes:
        srgb, raw: (3, H, W) in [0, 1], as recovery will see it and as it is.
        counts: (H, W) bool, which pixels show what raw holds; None: all.
        bands: what first guesses read of the picture.
    """

    srgb: Tensor
    raw: Tensor
    counts: Tensor | None
    bands: LearnedBands

    @classmethod
    def of(cls, srgb: Tensor, raw: Tensor, counts: Tensor | None, pool: Executor) -> Truth:
        """Works the bands out, by single-core workers."""
        bands = bands_of(srgb, FEATURES, pool)
        assert isinstance(bands, LearnedBands)
        return cls(srgb, raw, counts, bands)


@dataclass(frozen=True, eq=False)
class _Kept(FirstGuess):
    """A guess that was worked out for the whole picture.

    Attributes:
        whole: (3, H, W) half precision: what it is off by is far below what is missed.
    """

    whole: Tensor

    def rows(self, top: int, bottom: int) -> Tensor:
        return self.whole[:, top:bottom].to(self.srgb)


@dataclass(frozen=True, eq=False)
class Decoder:
    """The decoder of some samples.

    Attributes:
        samples: with a model. picture: as the decoder's systems see it.
        guess: (3, H, W) half precision, the model's first guess.
    """

    truth: Truth
    samples: Samples
    picture: GuidedPicture
    guess: Tensor

    @classmethod
    def of(cls, truth: Truth, samples: Samples, pool: Executor) -> Decoder:
        """Works the guess of the samples' model out, by single-core workers."""
        picture = GuidedPicture.of(truth.srgb, samples, pool, bands=truth.bands)
        stored = picture.guesses[STORED]
        whole = torch.empty_like(truth.srgb, dtype=torch.float16)

        def work(rows: tuple[int, int]) -> None:
            whole[:, slice(*rows)] = stored.rows(*rows)

        for _ in pool.map(work, _strips(truth.srgb, block_side(samples))):
            pass
        return cls(truth, samples, _keeping(picture, whole), whole)

    def through(self, samples: Samples, pool: Executor) -> Decoder:
        """Of other samples, whose model has the same guess."""
        picture = GuidedPicture.of(self.truth.srgb, samples, pool, bands=self.truth.bands)
        return replace(self, samples=samples, picture=_keeping(picture, self.guess))

    @property
    def setting(self) -> LocalRBFSetting:
        """Of the systems."""
        assert self.samples.model is not None
        return LocalRBFSetting.of(self.samples.model)

    @property
    def side(self) -> int:
        """Of a block, pixels."""
        return block_side(self.samples)

    @property
    def neighbors(self) -> int:
        """Samples in a block's system."""
        assert self.samples.model is not None
        return min(self.samples.model.neighbors, len(self.samples))

    def missed(self, pool: Executor) -> Tensor:
        """(h, w) squared error in raw of each block, of all its pixels that count and colors."""
        side, width = self.side, self.truth.raw.shape[2]

        def work(rows: tuple[int, int]) -> Tensor:
            found = rebuilt(self.picture, self.setting, *rows, side, self.neighbors)
            error = (found - self.truth.raw[:, slice(*rows)]).square_().sum(0)
            if self.truth.counts is not None:
                error *= self.truth.counts[slice(*rows)]
            missing = (0, -width % side, 0, -error.shape[0] % side)
            error = torch.nn.functional.pad(error, missing)
            return error.view(error.shape[0] // side, side, -1, side).sum((1, 3))

        return torch.cat(list(pool.map(work, _strips(self.truth.srgb, side))))


def _keeping(picture: GuidedPicture, whole: Tensor) -> GuidedPicture:
    kept = _Kept(**vars(picture.guesses[STORED]), whole=whole)
    return replace(picture, guesses={STORED: kept})


def _strips(srgb: Tensor, side: int) -> list[tuple[int, int]]:
    """First row and end of strips of whole blocks."""
    height, width = srgb.shape[1:]
    rows = max(1, _STRIP_PIXELS // (width * side)) * side
    return [(top, min(height, top + rows)) for top in range(0, height, rows)]
