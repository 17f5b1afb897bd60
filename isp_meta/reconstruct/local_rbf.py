"""The default: one small radial-basis system a block, shared by all the block's pixels.

    samples ─▶ cubic sRGB → raw for the whole picture ─▶ first guess
       │                                                     │ log-gain of the truth against it
       └─▶ settings chosen by leaving samples out ──▶ a system a block ──▶ first guess × gain

The samples lie about evenly, so the nearest ones of a block serve all its pixels: one factorisation
in place of one a pixel, and 12 megapixels take seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import repeat
from operator import itemgetter

import torch
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn import functional

from ..frame import Frame, Reconstructor, Samples
from ..workers import workers
from .color_estimate import apply_polynomial, fit_polynomial
from .inputs import picture_and_samples

__all__ = ["LocalRBFReconstructor", "LocalRBFSetting"]

_LOG_FLOOR = 1e-3
_RIDGE = 0.01
_TAIL = 1.0


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
    """

    target: str
    kernel: str
    position_scale: float
    color_scale: float


def _kernel(name: str, squared: Tensor) -> Tensor:
    """Kernel of squared distances, written over them."""
    if name == "exponential":
        return squared.clamp_(min=0).sqrt_().neg_().exp_()
    return squared.clamp_(min=0).add_(1).reciprocal_()


def _covariance(setting: LocalRBFSetting, left: Tensor, right: Tensor) -> Tensor:
    """(n, L, R) kernel plus tail between points (n, L, 5) and (n, R, 5).

    The affine tail is a Gaussian prior on its coefficients, which keeps the system positive
    definite where all guide colors coincide.
    """
    product = torch.bmm(left, right.mT)
    squared = torch.add(left.square().sum(-1)[:, :, None], product, alpha=-2)
    squared += right.square().sum(-1)[:, None]
    covariance = _kernel(setting.kernel, squared)
    if setting.target == "value":
        covariance += product.add_(1).mul_(_TAIL)
    return covariance


def _regularized(setting: LocalRBFSetting, points: Tensor) -> Tensor:
    """(n, K, K) positive definite system of the points (n, K, 5)."""
    system = _covariance(setting, points, points)
    # Products of far points are rounded by more than the plain ridge makes up for.
    largest = points.square().sum(-1).amax(1, keepdim=True)
    rounding = points.shape[1] * torch.finfo(points.dtype).eps * largest
    system.diagonal(dim1=1, dim2=2).add_(_RIDGE + rounding)
    return system


def _encode(setting: LocalRBFSetting, value: Tensor, guess: Tensor) -> Tensor:
    """What the systems interpolate: log-gain against the first guess, or the value itself."""
    if setting.target == "value":
        return value
    return torch.log((value + _LOG_FLOOR) / (guess + _LOG_FLOOR))


def _decode(setting: LocalRBFSetting, target: Tensor, guess: Tensor) -> Tensor:
    """Inverse of :func:`_encode`, in [0, 1]."""
    if setting.target == "value":
        return target.clamp(0, 1)
    return ((guess + _LOG_FLOOR) * target.exp()).sub_(_LOG_FLOOR).clamp_(0, 1)


@dataclass(frozen=True)
class _Known:
    """The samples, as the systems see them; guess is the cubic's value there."""

    position: Tensor  # (N, 2)
    color: Tensor  # (N, 3)
    value: Tensor  # (N, 3)
    guess: Tensor  # (N, 3)
    tree: cKDTree

    def points(self, setting: LocalRBFSetting) -> Tensor:
        scaled = (self.position / setting.position_scale, self.color / setting.color_scale)
        return torch.cat(scaled, 1)

    def nearest(self, position: Tensor, count: int) -> Tensor:
        """(n, count) samples nearest in the picture to (n, 2) positions, nearest first."""
        found = self.tree.query(position.cpu().numpy(), count, workers=-1)[1]
        return torch.from_numpy(found).view(len(position), count).to(position.device)


class LocalRBFReconstructor(Reconstructor):
    """Interpolates gains, block by block, in position and color; nothing trained.

    Args:
        neighbors: samples in each block's system, >= 1.
        trials: samples left out, one by one, to choose the setting; 0 takes the first candidate.
        setting: use this one instead of choosing.

    Attributes:
        chosen: the setting of the latest picture, None before.

    Raises:
        ValueError: an argument out of range.

    Source: SAM's five-dimensional interpolation (Punnappurath and Brown, WACV 2021), localized; the
    leave-one-out errors from one factorisation as in Rippa, *Adv. Comput. Math.* 11, 1999.
    """

    # About 1.6 MB of kernel values at 25 neighbors and 8x8 blocks: stays near the cache.
    _BLOCKS_AT_ONCE = 256
    _STRIP_PIXELS = 1_000_000

    def __init__(
        self, neighbors: int = 25, trials: int = 16384, setting: LocalRBFSetting | None = None
    ) -> None:
        super().__init__()
        if neighbors < 1 or trials < 0:
            raise ValueError("neighbors must be >= 1, trials >= 0")
        self.neighbors, self.trials, self.setting = neighbors, trials, setting
        self.chosen: LocalRBFSetting | None = None

    @torch.no_grad()
    def forward(self, frame: Frame) -> Tensor:
        """(3, H, W) in [0, 1], equal to the stored samples at their pixels.

        Raises:
            ValueError: the frame holds no sample, or samples of a picture of another size.
        """
        srgb, samples = picture_and_samples(frame, "LocalRBFReconstructor")
        _, height, width = srgb.shape
        coefficients, known = self._prepare(srgb, samples)
        spacing = math.sqrt(height * width / len(samples))
        # Blocks about as large as the samples' spacing: one neighborhood then serves all pixels.
        block = min(16, max(4, round(spacing)))
        raw = srgb.new_empty(srgb.shape)
        rows = max(1, self._STRIP_PIXELS // (width * block)) * block
        with workers() as pool:
            setting = self.setting or self._choose(known, spacing, pool)
            self.chosen = setting

            def work(top: int) -> None:
                strip = srgb[:, top : top + rows]
                guess = apply_polynomial(coefficients, strip)
                raw[:, top : top + rows] = self._strip(setting, known, strip, guess, top, block)

            for _ in pool.map(work, range(0, height, rows)):
                pass
        raw.view(3, -1)[:, samples.index] = samples.value.T.to(raw)
        return raw

    def _prepare(self, srgb: Tensor, samples: Samples) -> tuple[Tensor, _Known]:
        color = srgb.reshape(3, -1)[:, samples.index].T.contiguous()
        value = samples.value.to(srgb)
        coefficients = fit_polynomial(color, value)
        guess = apply_polynomial(coefficients, color.T).T.contiguous()
        position = torch.stack([samples.index // samples.width, samples.index % samples.width], 1)
        tree = cKDTree(position.cpu().numpy())
        return coefficients, _Known(position.to(srgb), color, value, guess, tree)

    @staticmethod
    def _candidates(spacing: float) -> Iterator[LocalRBFSetting]:
        for target in ("log_gain", "value"):
            for kernel in ("exponential", "rational"):
                for steps in (1, 2, 4, 8, 16):
                    for color_scale in (0.05, 0.1, 0.2, 0.4):
                        yield LocalRBFSetting(target, kernel, steps * spacing, color_scale)

    def _choose(self, known: _Known, spacing: float, pool: Executor) -> LocalRBFSetting:
        """The candidate with the smallest mean squared error in raw at samples left out."""
        count = len(known.value)
        candidates = list(self._candidates(spacing))
        generator = torch.Generator().manual_seed(0)
        left_out = torch.randperm(count, generator=generator)[: self.trials]
        if count < 2 or not len(left_out):
            return candidates[0]
        position = known.position[left_out.to(known.position.device)]
        # No two samples share a pixel, so the one left out is its own nearest and stands first.
        around = known.nearest(position, min(self.neighbors + 1, count))
        # A few trials tell the hopeless from the hopeful; burnt regions need many to be judged.
        for share, kept in ((16, 6), (1, 1)):
            some = around[: max(1, len(around) // share)]
            errors = pool.map(self._left_out_error, candidates, repeat(known), repeat(some))
            ranked = sorted(zip(errors, candidates, strict=True), key=itemgetter(0))
            candidates = [candidate for _error, candidate in ranked[:kept]]
        return candidates[0]

    @staticmethod
    @torch.no_grad()
    def _left_out_error(setting: LocalRBFSetting, known: _Known, around: Tensor) -> float:
        """Mean squared error at the first sample of each system, predicted from the others."""
        points = known.points(setting)[around]
        points = points - points[:, :1]
        factor = torch.linalg.cholesky_ex(_regularized(setting, points))[0]
        target = _encode(setting, known.value, known.guess)[around]
        first = functional.one_hot(torch.zeros(1, dtype=torch.int64), around.shape[1])
        right = torch.cat([target, first.to(target)[..., None].expand(len(around), -1, 1)], 2)
        solved = torch.cholesky_solve(right, factor)[:, 0]
        predicted = target[:, 0] - solved[:, :3] / solved[:, 3:]
        error = _decode(setting, predicted, known.guess[around[:, 0]]) - known.value[around[:, 0]]
        return float(error.square().mean())

    @torch.no_grad()
    def _strip(
        self,
        setting: LocalRBFSetting,
        known: _Known,
        srgb: Tensor,
        guess: Tensor,
        top: int,
        block: int,
    ) -> Tensor:
        """(3, h, W) raw of the rows that start at ``top``."""
        _, height, width = srgb.shape
        down, across = -(-height // block), -(-width // block)
        pad = (0, across * block - width, 0, down * block - height)
        color = functional.pad(srgb[None], pad, mode="replicate")[0] / setting.color_scale
        rows = torch.arange(top, top + down * block).to(srgb)
        columns = torch.arange(across * block).to(srgb)
        position = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
        guide = torch.cat([position / setting.position_scale, color])
        guide = guide.view(5, down, block, across, block).permute(1, 3, 2, 4, 0)
        guide = guide.reshape(down * across, block * block, 5)
        centers = guide[:, :, :2].mean(1) * setting.position_scale
        nearest = known.nearest(centers, min(self.neighbors, len(known.value)))
        points, target = known.points(setting), _encode(setting, known.value, known.guess)
        out = srgb.new_empty(down * across, block * block, 3)
        batches = (torch.split(whole, self._BLOCKS_AT_ONCE) for whole in (nearest, guide, out))
        for chosen, pixels, result in zip(*batches, strict=True):
            # Relative to the block, so that float32 keeps squared distances exact enough.
            origin = pixels.mean(1, keepdim=True)
            around, at = points[chosen] - origin, pixels - origin
            factor = torch.linalg.cholesky_ex(_regularized(setting, around))[0]
            weights = torch.cholesky_solve(target[chosen], factor)
            torch.bmm(_covariance(setting, at, around), weights, out=result)
        result = out.view(down, across, block, block, 3).permute(4, 0, 2, 1, 3)
        result = result.reshape(3, down * block, across * block)[:, :height, :width]
        return _decode(setting, result, guess)

    def extra_repr(self) -> str:
        """Text inside the parentheses of ``repr``."""
        choice = f"trials={self.trials}" if self.setting is None else f"setting={self.setting}"
        return f"neighbors={self.neighbors}, {choice}"
