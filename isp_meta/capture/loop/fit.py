"""The decoder's model, fitted to what it is to make: first guess and setting, found by trying.

truth ─▶ pixels of some rows ─▶ first guesses ─┬─▶ blocks of those rows ─▶ error ─▶ best setting
samples ───────────────────────────────────────┘

Recovery can only leave samples out and guess; here every pixel is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from itertools import product, repeat
from operator import itemgetter

import torch
from torch import Tensor
from torch.nn import functional

from ...codec.local_rbf import pack_local_rbf
from ...decoder.correction import Correction, fit_correction
from ...decoder.cubic import apply_polynomial, fit_polynomial
from ...decoder.guess import clipped, log_gain, times_gain
from ...decoder.learned import LearnedBands
from ...networks.shipped import FEATURES, shipped_features
from ...reconstruct.local_rbf import GuidedPicture, LocalRBFSetting, block_side
from ...samples import LocalRBFModel, Samples
from .systems import Systems
from .truth import Truth

__all__ = ["fit_model", "model_bytes"]

# Blocks that are fitted and tried, and pixels of those that are fitted.
_BLOCKS, _FITTED = 4096, 32768
# A center takes 9 bytes: with one for so many pixels at most 0.05 bit a pixel.
_CENTERS, _PIXELS_A_CENTER = 128, 1536
# Bytes that name and check two sections: the model's, and the one that tells control values.
_SECTIONS = 24


def _centers(pixels: int) -> int:
    """The most that the model of a picture of so many pixels has."""
    return min(_CENTERS, pixels // _PIXELS_A_CENTER)


def model_bytes(pixels: int) -> int:
    """What the model of a picture of so many pixels takes in its metadata, at most."""
    count, features = _centers(pixels), 33 + shipped_features().features
    tensors = (torch.zeros(shape) for shape in ((3, 20), (count, 3), (count, 3), (3, features)))
    cubic, centers, gains, weights = tensors
    model = LocalRBFModel("rational", 1, 1, 1, 1, cubic, centers, gains, weights, FEATURES)
    return len(pack_local_rbf(model)) + _SECTIONS


@dataclass(frozen=True)
class _Blocks:
    """What is known of some of the picture's blocks.

    Attributes:
        pixels: (B, P, 7) position and guide. around: (B, K, 7) the same of the neighbors.
        neighbors: (B, K) numbers of their nearest samples. truth: (B, P, 3) raw.
        features: (F, B * P), those of the network last.
        weight: (B,) how many blocks each stands for.
    """

    pixels: Tensor
    around: Tensor
    neighbors: Tensor
    truth: Tensor
    features: Tensor
    weight: Tensor

    @property
    def srgb(self) -> Tensor:
        """(3, B * P)."""
        return self.pixels[..., 2:5].flatten(0, 1).T


@dataclass(frozen=True)
class _Guess:
    """A first guess: its part of the model, what it is at the samples and at the blocks' pixels."""

    model: LocalRBFModel
    at_samples: Tensor  # (N, 3)
    at_blocks: Tensor  # (B, P, 3)


def fit_model(
    truth: Truth, samples: Samples, neighbors: int, pool: Executor
) -> LocalRBFModel | None:
    """The model with which these samples rebuild raw best, of those tried; rounded as stored.

    Args:
        samples: of the truth's raw, at least one. neighbors: in each block's system, 1 to 96.
        pool: of single-core workers.

    Returns:
        The model; None where the picture has no whole block that counts.
    """
    side, srgb = block_side(samples), truth.srgb
    cubic, center, weights = torch.zeros(3, 20), torch.zeros(0, 3), torch.zeros(3, 0)
    bare = LocalRBFModel("rational", 1, 1, 1, neighbors, cubic, center, center, weights)
    picture = GuidedPicture.of(srgb, replace(samples, model=bare), pool)
    index, weight = _some_blocks(picture, truth.counts, side)
    if not len(index):
        return None
    features = _features(picture, truth.bands, torch.cat([samples.index, index.flatten()]), pool)
    at_samples, at_blocks = torch.split(features, [len(samples), index.numel()], 1)
    pixels = picture.points_at(index.flatten()).view(*index.shape, -1)
    near = picture.nearest(pixels[..., :2].mean(1), min(neighbors, len(samples)))
    value = truth.raw.reshape(3, -1)[:, index].permute(1, 2, 0)
    blocks = _Blocks(pixels, picture.points[near], near, value, at_blocks, weight)
    centers = _centers(srgb[0].numel())
    guesses = list(_guesses(blocks, picture.points[:, 2:5].T, at_samples, centers, bare, pool))
    return _choose(guesses, blocks, picture, side, pool)


def _some_blocks(picture: GuidedPicture, counts: Tensor | None, side: int) -> tuple[Tensor, Tensor]:
    """(B, P) pixels of some whole blocks, flat, and (B,) how many blocks each stands for.

    Half of them where something is clipped: there lies most of the error.

    Args:
        counts: (H, W) bool, which pixels count; None: all.
    """
    height, width = picture.srgb.shape[1:]
    down, across = height // side, width // side
    if not down or not across:
        return torch.zeros(0, side * side, dtype=torch.int64), torch.zeros(0)
    corner = (torch.arange(down)[:, None] * width + torch.arange(across)).flatten() * side
    inside = (torch.arange(side)[:, None] * width + torch.arange(side)).flatten()
    burnt = functional.adaptive_max_pool2d(picture.surroundings[1:2], (down, across)).flatten() > 0
    generator = torch.Generator().manual_seed(0)
    chosen, weight = [], []
    whole = torch.ones_like(burnt)
    if counts is not None:
        square = counts[: down * side, : across * side].view(down, side, across, side)
        whole = square.all(3).all(1).flatten()
    for kind in (burnt & whole, ~burnt & whole):
        members = kind.cpu().nonzero()[:, 0]
        some = members[torch.randperm(len(members), generator=generator)[: _BLOCKS // 2]]
        chosen.append(some)
        weight.append(torch.full((len(some),), len(members) / max(1, len(some))))
    # Mixed, so that every so manieth is a fair choice too.
    order = torch.randperm(sum(map(len, chosen)), generator=generator)
    index = corner[torch.cat(chosen)[order]][:, None] + inside
    return index.to(picture.srgb.device), torch.cat(weight)[order].to(picture.srgb.device)


def _features(picture: GuidedPicture, bands: LearnedBands, index: Tensor, pool: Executor) -> Tensor:
    """(F, N) of the pixels of (N,) a flat index in any order."""
    pixels, place = torch.unique(index, return_inverse=True)
    contrast = bands.at(pixels, pool)[place].T
    return torch.cat([clipped(picture.srgb.reshape(3, -1)[:, index]), contrast])


def _guesses(
    blocks: _Blocks,
    color: Tensor,
    features: Tensor,
    centers: int,
    bare: LocalRBFModel,
    pool: Executor,
) -> Iterator[_Guess]:
    """The cubic alone, and corrected by color, contrast and what a network tells.

    Each without and with what is clipped: without, clipped pixels get a guess that does not jump,
    from which the samples lead on.

    Args:
        color: (3, N) sRGB of the samples. features: (F, N) of them. centers: at most.
        bare: the model to fill. pool: of single-core workers, of which each fits one.
    """
    step = -(-blocks.srgb.shape[1] // _FITTED)
    fitted = blocks.srgb[:, ::step].T.contiguous()
    value = blocks.truth.flatten(0, 1)[::step]
    most = bare.LARGEST
    bare = replace(bare, cubic=fit_polynomial(fitted, value).float().clamp_(-most, most))
    at_samples, at_blocks = (apply_polynomial(bare.cubic, c) for c in (color, blocks.srgb))
    shape = blocks.truth.shape

    def guess(model: LocalRBFModel, samples: Tensor, pixels: Tensor) -> _Guess:
        return _Guess(model, samples.T.contiguous(), pixels.T.reshape(shape))

    yield guess(bare, at_samples, at_blocks)
    target = log_gain(value, apply_polynomial(bare.cubic, fitted.T).T)
    by_hand = max(bare.FEATURES)

    def corrected(kind: tuple[str, tuple[float, float]]) -> _Guess | None:
        network, (weight, burnt) = kind
        count = len(features) if network else by_hand
        told = blocks.features[:count, ::step].T.clone()
        told[:, :4] *= burnt
        found = fit_correction(
            fitted,
            told,
            target,
            value,
            fitted=_FITTED,
            centers=centers,
            clipped_weight=weight,
        )
        if found is None:
            return None
        parts = found[0].centers, found[0].gains, found[0].weights
        known, gains, weights = (part.float().clamp_(-8, 8) for part in parts)
        model = replace(bare, centers=known, gains=gains, weights=weights, network=network)
        model = model.rounded()
        rounded = (part.to(color) for part in (model.centers, model.gains, model.weights))
        correction = Correction.through(*rounded)
        return guess(
            model,
            times_gain(at_samples.clone(), correction(color, features[:count])),
            times_gain(at_blocks.clone(), correction(blocks.srgb, blocks.features[:count])),
        )

    kinds = product(("", FEATURES), ((1e-3, 0.0), (0.25, 1.0)))
    yield from filter(None, pool.map(corrected, kinds if centers else ()))


def _settings(side: int) -> Iterator[LocalRBFSetting]:
    bases = product(("exponential", "rational"), (1, 2, 4, 8, 16), (0.05, 0.1, 0.2, 0.4))
    for kernel, steps, color_scale in bases:
        yield LocalRBFSetting("log_gain", kernel, float(steps * side), color_scale)


def _choose(
    guesses: list[_Guess], blocks: _Blocks, picture: GuidedPicture, side: int, pool: Executor
) -> LocalRBFModel:
    """The guess and setting with the smallest mean squared error in raw over the blocks."""
    candidates = list(product(range(len(guesses)), _settings(side)))
    gains = [log_gain(picture.value, guess.at_samples) for guess in guesses]

    def error(candidate: tuple[int, LocalRBFSetting], step: int) -> float:
        (number, setting), total = candidate, 0.0
        for part in torch.split(torch.arange(0, len(blocks.truth), step), 512):
            systems = Systems(setting, blocks.around[part], blocks.pixels[part])
            gain = systems.predict(gains[number][blocks.neighbors[part]])
            found = times_gain(guesses[number].at_blocks[part], gain)
            missed = (found - blocks.truth[part]).square().sum((1, 2))
            total += float(missed @ blocks.weight[part])
        return total

    # A few blocks tell the hopeless from the hopeful.
    for step, kept, ridges in ((16, 8, (1, 5, 20)), (4, 4, (1,)), (1, 1, (1,))):
        errors = pool.map(error, candidates, repeat(step))
        ranked = sorted(zip(errors, candidates, strict=True), key=itemgetter(0))
        candidates = [
            (number, replace(setting, ridge=setting.ridge * ridge))
            for _error, (number, setting) in ranked[:kept]
            for ridge in ridges
        ]
    number, setting = candidates[0]
    return replace(
        guesses[number].model,
        kernel=setting.kernel,
        position_scale=setting.position_scale,
        color_scale=setting.color_scale,
        ridge=setting.ridge,
    ).rounded()
