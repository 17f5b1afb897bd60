"""The default: one small radial-basis system a block, shared by all the block's pixels.

    samples ─▶ formulas sRGB → raw for the whole picture ─▶ first guess
       │                                                        │ log-gain of the truth against it
       └─▶ settings chosen by leaving samples out ─────▶ a system a block ──▶ first guess × gain

The samples lie about evenly, so the nearest ones of a block serve all its pixels: one factorization
in place of one a pixel. Its guide is color and what lies around: where sRGB is clipped, raw still
varies, and how bright and how burnt the surroundings are is what the JPEG has left to tell.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from itertools import product, repeat
from operator import itemgetter
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from ..decoder.guess import (
    CLIPPED,
    GUESSES,
    FirstGuess,
    first_guesses,
    log_gain,
    stored_guess,
    times_gain,
)
from ..frame import Frame, Reconstructor
from ..networks.shipped import shipped_features
from ..ops import RadialBasis, local_rbf, local_rbf_leave_one_out
from ..samples import LocalRBFModel, Samples
from ..workers import workers
from .inputs import picture_and_samples

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

    from ..decoder.learned import LearnedBands
    from ..networks import FeatureNetwork

__all__ = ["GuidedPicture", "LocalRBFReconstructor", "LocalRBFSetting", "block_side", "rebuilt"]

# How much the brightness and the share of clipped values around a pixel count, next to its color,
# and over how many pixels they are taken: with these the samples left out are predicted best.
_BRIGHTNESS, _BURNT, _AROUND = 0.25, 0.2, 4

STORED = "stored"
"""Name of the first guess that travels with the samples."""


@dataclass(frozen=True)
class LocalRBFSetting:
    """What is chosen for each picture.

    Attributes:
        target: ``log_gain`` interpolates log(raw / first guess), with no tail: far from any
            alike sample the first guess stands. ``value`` interpolates raw itself, with an affine
            tail.
        kernel: ``exponential`` exp(-r) or ``rational`` 1 / (1 + r²); both positive definite.
        position_scale: pixels that count as distance 1.
        color_scale: sRGB difference that counts as distance 1.
        ridge: variance of the noise, in units of the kernel's.
        guess: ``cubic``, ``color``, ``detail`` or ``learned``: which first guess a log-gain is
            against; or ``stored``, the one that capture found.
    """

    target: str
    kernel: str
    position_scale: float
    color_scale: float
    ridge: float = 0.01
    guess: str = "cubic"

    @classmethod
    def of(cls, model: LocalRBFModel) -> LocalRBFSetting:
        """The one that travels with the samples."""
        scales = model.position_scale, model.color_scale, model.ridge
        return cls("log_gain", model.kernel, *scales, guess=STORED)

    @property
    def basis(self) -> RadialBasis:
        """As the kernel takes it."""
        tail = float(self.target == "value")
        return RadialBasis(self.position_scale, self.color_scale, self.kernel, tail, self.ridge)


def block_side(samples: Samples) -> int:
    """Side of the blocks that share a system, pixels: about the samples' spacing, 4 to 16.

    One neighborhood then serves all of a block's pixels.
    """
    spacing = math.sqrt(samples.height * samples.width / len(samples))
    return min(16, max(4, round(spacing)))


def _decode(setting: LocalRBFSetting, target: Tensor, guess: Tensor) -> Tensor:
    """Raw in [0, 1] of what the systems interpolated, written over both."""
    return target.clamp_(0, 1) if setting.target == "value" else times_gain(guess, target)


def _surroundings(srgb: Tensor) -> Tensor:
    """(2, h, w), one a square of ``_AROUND`` pixels: brightness and clipped share, weighted."""
    _, height, width = srgb.shape
    pad = (0, -width % _AROUND, 0, -height % _AROUND)
    brightness = functional.pad(srgb.mean(0)[None, None], pad, mode="replicate")
    burnt = functional.pad((srgb >= CLIPPED).to(srgb).mean(0)[None, None], pad, mode="replicate")
    around = torch.cat([_BRIGHTNESS * brightness, _BURNT * burnt], 1)
    return functional.avg_pool2d(around, _AROUND)[0]


def _points(srgb: Tensor, around: Tensor, index: Tensor) -> Tensor:
    """(N, 7) row, column, color and surroundings of the pixels of (N,) a flat index."""
    width = srgb.shape[2]
    position = torch.stack([index // width, index % width], 1).to(srgb)
    size = position.new_tensor(around.shape[1:]) * _AROUND
    at = ((2 * position + 1) / size - 1).flip(1)[None, None]
    beside = functional.grid_sample(around[None], at, padding_mode="border", align_corners=False)
    return torch.cat([position, srgb.reshape(3, -1)[:, index].T, beside[0, :, 0].T], 1)


@dataclass(frozen=True)
class GuidedPicture:
    """The picture as the systems see it, and what is known of it."""

    srgb: Tensor  # (3, H, W)
    surroundings: Tensor  # (2, h, w)
    points: Tensor  # (N, 7) row, column, color, surroundings of the samples
    value: Tensor  # (N, 3)
    guesses: dict[str, FirstGuess]
    tree: cKDTree

    @classmethod
    def of(
        cls,
        srgb: Tensor,
        samples: Samples,
        pool: Executor,
        features: FeatureNetwork | None = None,
        bands: LearnedBands | None = None,
    ) -> GuidedPicture:
        """Of a picture and samples, by single-core workers.

        Args:
            srgb: (3, H, W) in [0, 1]. features: for a guess.
            bands: of the picture, where they are known, for a model's guess.
        """
        from scipy.spatial import cKDTree  # 0.3 s to load, which embedding need not wait for

        strips = pool.map(_surroundings, torch.split(srgb, 32 * _AROUND, 1))
        around = torch.cat(list(strips), 1)
        value = samples.value.to(srgb)
        if samples.model is None:
            guesses = first_guesses(srgb, samples.index, value, pool, features)
        else:
            guesses = {STORED: stored_guess(srgb, samples.index, samples.model, pool, bands)}
        position = torch.stack([samples.index // samples.width, samples.index % samples.width], 1)
        tree = cKDTree(position.cpu().numpy())
        points = _points(srgb, around, samples.index)
        return cls(srgb, around, points, value, guesses, tree)

    def target(self, setting: LocalRBFSetting) -> Tensor:
        """(N, 3) what the systems interpolate: the value itself, or its log-gain."""
        if setting.target == "value":
            return self.value
        return log_gain(self.value, self.guesses[setting.guess].at_samples)

    def points_at(self, index: Tensor) -> Tensor:
        """(N, 7) what :attr:`points` is, of any pixels."""
        return _points(self.srgb, self.surroundings, index)

    def nearest(self, position: Tensor, count: int) -> Tensor:
        """(n, count) samples nearest in the picture to (n, 2) positions, nearest first."""
        found = self.tree.query(position.cpu().numpy(), count)[1]
        return torch.from_numpy(found).view(len(position), count).to(position.device)

    def guide(self, top: int, bottom: int) -> Tensor:
        """(5, h, W) color and surroundings of the rows [top, bottom)."""
        first = max(0, top // _AROUND - 1)
        around = self.surroundings[None, :, first : -(-bottom // _AROUND) + 1]
        around = functional.interpolate(
            around, scale_factor=float(_AROUND), mode="bilinear", align_corners=False
        )
        begin = top - first * _AROUND
        around = around[0, :, begin : begin + bottom - top, : self.srgb.shape[2]]
        return torch.cat([self.srgb[:, top:bottom], around])


@torch.no_grad()
def rebuilt(
    picture: GuidedPicture,
    setting: LocalRBFSetting,
    top: int,
    bottom: int,
    block: int,
    neighbors: int,
) -> Tensor:
    """(3, bottom - top, W) raw of some rows, in blocks of so many pixels, ``top`` one's first."""
    guide, points = picture.guide(top, bottom), picture.points.clone()
    points[:, 0] -= top
    shape = -(-(bottom - top) // block), -(-guide.shape[2] // block)
    down, across = (torch.arange(n).to(points) * block + (block - 1) / 2 for n in shape)
    centers = torch.cartesian_prod(down + top, across)
    nearest = picture.nearest(centers, min(neighbors, len(points)))
    nearest = nearest.view(1, *shape, -1)
    target = picture.target(setting)
    result = local_rbf(guide[None], points, target, nearest, block, setting.basis)[0]
    return _decode(setting, result, picture.guesses[setting.guess].rows(top, bottom))


class LocalRBFReconstructor(Reconstructor):
    """Interpolates gains, block by block, in position, color and surroundings; nothing trained.

    Args:
        neighbors: samples in each block's system, 1 to 96.
        trials: samples left out, one by one, to choose the setting; 0 takes the first candidate.
        setting: use this one instead of choosing; where samples are too few for its first guess,
            with the cubic.
        features: trained, for a first guess more, which is tried as the others are.

    Samples that bring a model of their own are interpolated by that, and their enhancement, if
    they have one, is added.

    Attributes:
        chosen: the setting of the latest picture, None before.

    Raises:
        ValueError: an argument out of range.

    Source: SAM's five-dimensional interpolation (Punnappurath and Brown, WACV 2021), localized; the
    leave-one-out errors from one factorization as in Rippa, *Adv. Comput. Math.* 11, 1999.
    """

    # Large enough to keep a core busy, small enough for a strip's temporaries to stay near it.
    _STRIP_PIXELS = 250_000

    def __init__(
        self,
        neighbors: int = 36,
        trials: int = 16384,
        setting: LocalRBFSetting | None = None,
        features: FeatureNetwork | None = None,
    ) -> None:
        super().__init__()
        if not 1 <= neighbors <= 96 or trials < 0:
            raise ValueError("neighbors must be 1 to 96, trials >= 0")
        self.neighbors, self.trials, self.setting = neighbors, trials, setting
        self.features = features
        self.chosen: LocalRBFSetting | None = None

    @classmethod
    def shipped(cls) -> LocalRBFReconstructor:
        """With the features that ship: what recovery takes by default."""
        return cls(features=shipped_features())

    @torch.no_grad()
    def forward(self, frame: Frame) -> Tensor:
        """(3, H, W) in [0, 1], equal to measured samples at their pixels.

        Raises:
            ValueError: the frame holds no sample, or samples of a picture of another size.
        """
        srgb, samples = picture_and_samples(frame, "LocalRBFReconstructor", made_for=lambda: "")
        _, height, width = srgb.shape
        spacing = math.sqrt(height * width / len(samples))
        block = block_side(samples)
        raw = srgb.new_empty(srgb.shape)
        rows = max(1, self._STRIP_PIXELS // (width * block)) * block
        with workers() as pool:
            picture = GuidedPicture.of(srgb, samples, pool, self.features)
            neighbors = self.neighbors
            if samples.model is not None:
                setting, neighbors = LocalRBFSetting.of(samples.model), samples.model.neighbors
            else:
                setting = self.setting or self._choose(picture, spacing, pool)
            if setting.guess in GUESSES and setting.guess not in picture.guesses:
                setting = replace(setting, guess=GUESSES[0])
            self.chosen = setting

            def work(top: int) -> None:
                bottom = min(height, top + rows)
                raw[:, top:bottom] = rebuilt(picture, setting, top, bottom, block, neighbors)

            for _ in pool.map(work, range(0, height, rows)):
                pass
        if samples.enhancement is not None:
            raw = samples.enhancement.apply(raw)
        if not samples.control:
            raw.view(3, -1)[:, samples.index] = samples.value.T.to(raw)
        return raw

    @staticmethod
    def _candidates(spacing: float, guesses: Iterable[str]) -> Iterator[LocalRBFSetting]:
        # A value needs no guess.
        against = [*(("log_gain", guess) for guess in guesses), ("value", GUESSES[0])]
        bases = product(("exponential", "rational"), (1, 2, 4, 8, 16), (0.05, 0.1, 0.2, 0.4))
        for (target, guess), (kernel, steps, color_scale) in product(against, bases):
            yield LocalRBFSetting(target, kernel, steps * spacing, color_scale, guess=guess)

    def _choose(self, picture: GuidedPicture, spacing: float, pool: Executor) -> LocalRBFSetting:
        """The candidate with the smallest mean squared error in raw at samples left out."""
        count = len(picture.value)
        candidates = list(self._candidates(spacing, picture.guesses))
        left_out, weight = self._trials(picture)
        if count < 2 or not len(left_out):
            return candidates[0]
        # No two samples share a pixel, so the one left out is its own nearest and stands first.
        position, size = picture.points[left_out, :2], min(self.neighbors + 1, count)
        parts = pool.map(picture.nearest, torch.split(position, 1024), repeat(size))
        around = torch.cat(list(parts))
        # A few trials tell the hopeless from the hopeful.
        for share, kept, ridges in ((16, 8, (1,)), (4, 3, (1, 5, 20)), (1, 1, (1,))):
            some = repeat(around[::share]), repeat(weight[::share])
            errors = pool.map(self._left_out_error, candidates, repeat(picture), *some)
            ranked = sorted(zip(errors, candidates, strict=True), key=itemgetter(0))
            candidates = [
                replace(candidate, ridge=candidate.ridge * ridge)
                for _error, candidate in ranked[:kept]
                for ridge in ridges
            ]
        return candidates[0]

    def _trials(self, picture: GuidedPicture) -> tuple[Tensor, Tensor]:
        """Samples to leave out, (M,), and how many each of them stands for.

        Half of them where something is clipped nearby: there lie few samples and most of the error.
        """
        generator = torch.Generator().manual_seed(0)
        burnt = picture.points[:, -1] > 0
        chosen, weight = [], []
        for half, members in enumerate((burnt, ~burnt)):
            index = members.nonzero()[:, 0]
            order = torch.randperm(len(index), generator=generator).to(index.device)
            chosen.append(index[order[: (self.trials + half) // 2]])
            share = len(index) / max(1, len(chosen[-1]))
            weight.append(picture.points.new_full((len(chosen[-1]),), share))
        return torch.cat(chosen), torch.cat(weight)

    @staticmethod
    @torch.no_grad()
    def _left_out_error(
        setting: LocalRBFSetting, picture: GuidedPicture, around: Tensor, weight: Tensor
    ) -> float:
        """Mean squared error at the first sample of each system, predicted from the others."""
        target = picture.target(setting)
        predicted = local_rbf_leave_one_out(picture.points, target, around, setting.basis)
        left_out = around[:, 0]
        guess = picture.guesses[setting.guess].left_out[left_out]
        error = _decode(setting, predicted, guess) - picture.value[left_out]
        return float((weight @ error.square()).mean() / weight.sum())

    def extra_repr(self) -> str:
        """Text inside the parentheses of ``repr``."""
        choice = f"trials={self.trials}" if self.setting is None else f"setting={self.setting}"
        return f"neighbors={self.neighbors}, {choice}"
