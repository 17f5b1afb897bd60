"""The decoder's model, fitted to what it is to make: first guess and setting, found by trying.

truth ─▶ pixels of some blocks ─▶ first guesses ─┬─▶ those blocks decoded ─▶ error ─▶ best setting
samples ─────────────────────────────────────────┘

Recovery can only leave samples out and guess; here every pixel is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from ...codec.local_rbf import pack_local_rbf
from ...decoder import Guide, LocalRBFSetting, block_side
from ...decoder.correction import ColorKernel, Correction, fit_correction
from ...decoder.cubic import apply_polynomial, fit_polynomial
from ...decoder.guess import log_gain, times_gain
from ...decoder.guide import CLIPS, clipped
from ...decoder.search import search, settings
from ...decoder.systems import NearestSamples, predict
from ...networks.shipped import FEATURES, shipped_features
from ...processors.workers import workers
from ...samples import LocalRBFModel, Samples

__all__ = ["fit_model", "model_bytes"]

# Blocks that are fitted and tried, and pixels of those that are fitted.
_BLOCKS, _FITTED = 4096, 32768
# A center takes 9 bytes: with one for so many pixels at most 0.05 bit a pixel.
_CENTERS, _PIXELS_A_CENTER = 128, 1536
# Bytes that name and check two sections: the model's, and the one that tells control values.
_SECTIONS = 24
# Blocks that are decoded at a time.
_RUN = 512


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
        corner: (B, 2) row and column of the first pixel. guide: (B, 5, side, side) color and
            surroundings. truth: (B, P, 3) raw.
        around: (B, K, 7) position and guide of the nearest samples. neighbors: (B, K) which.
        features: (F, B * P), those of the network last.
        weight: (B,) how many blocks each stands for.
    """

    corner: Tensor
    guide: Tensor
    truth: Tensor
    around: Tensor
    neighbors: Tensor
    features: Tensor
    weight: Tensor

    @property
    def srgb(self) -> Tensor:
        """(3, B * P)."""
        return self.guide[:, :3].flatten(2).transpose(0, 1).flatten(1)


@dataclass(frozen=True)
class _Guess:
    """A first guess: its part of the model, what it is at the samples and at the blocks' pixels."""

    model: LocalRBFModel
    at_samples: Tensor  # (N, 3)
    at_blocks: Tensor  # (B, P, 3)


@torch.no_grad()
def fit_model(
    guide: Guide, raw: Tensor, samples: Samples, neighbors: int, counts: Tensor | None = None
) -> LocalRBFModel | None:
    """The model with which these samples rebuild raw best, of those tried; rounded as stored.

    Args:
        guide: the picture. raw: (3, H, W), the truth. samples: of it, at least one.
        neighbors: in each block's system, 1 to 96.
        counts: (H, W) bool, which pixels are to be met; None: all.

    Returns:
        The model; None where the picture has no whole block that counts.
    """
    side = block_side(samples)
    index, weight = _some_blocks(guide, counts, side)
    if not len(index):
        return None
    with workers() as pool:
        pixels = torch.cat([samples.index, index.flatten()])
        features = _features(guide, pixels, pool)
        at_samples, at_blocks = torch.split(features, [len(samples), index.numel()], 1)
        shown = guide.points(index.flatten()).view(len(index), side, side, -1)
        corner, points = shown[:, 0, 0, :2], guide.points(samples.index)
        nearest = NearestSamples(samples.index, samples.width)
        near = nearest(corner + (side - 1) / 2, min(neighbors, len(samples)))
        truth = raw.reshape(3, -1)[:, index].permute(1, 2, 0)
        known = shown[..., 2:].permute(0, 3, 1, 2).contiguous()
        blocks = _Blocks(corner, known, truth, points[near], near, at_blocks, weight)
        guesses = dict(_guesses(blocks, points[:, 2:5].T, at_samples, neighbors, guide, pool))
        return _choose(guesses, blocks, samples.value.to(raw), float(side), pool)


def _some_blocks(guide: Guide, counts: Tensor | None, side: int) -> tuple[Tensor, Tensor]:
    """(B, P) pixels of some whole blocks, flat, and (B,) how many blocks each stands for.

    Half of them where something is clipped: there lies most of the error.

    Args:
        counts: (H, W) bool, which pixels count; None: all.
    """
    height, width = guide.srgb.shape[1:]
    down, across = height // side, width // side
    if not down or not across:
        return torch.zeros(0, side * side, dtype=torch.int64), torch.zeros(0)
    corner = (torch.arange(down)[:, None] * width + torch.arange(across)).flatten() * side
    inside = (torch.arange(side)[:, None] * width + torch.arange(side)).flatten()
    burnt = functional.adaptive_max_pool2d(guide.surroundings[1:2], (down, across)).flatten() > 0
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
    # Mixed, so that every nth is a fair choice too.
    order = torch.randperm(sum(map(len, chosen)), generator=generator)
    index = corner[torch.cat(chosen)[order]][:, None] + inside
    return index.to(guide.srgb.device), torch.cat(weight)[order].to(guide.srgb.device)


def _features(guide: Guide, index: Tensor, pool: Executor) -> Tensor:
    """(F, N) of the pixels of (N,) a flat index in any order."""
    pixels, place = torch.unique(index, return_inverse=True)
    bands = guide.features(pixels, shipped_features(), pool).T
    features = bands.new_empty(CLIPS + len(bands), len(index))
    features[:CLIPS] = clipped(guide.srgb.reshape(3, -1)[:, index])
    torch.index_select(bands, 1, place, out=features[CLIPS:])
    return features


def _guesses(
    blocks: _Blocks,
    color: Tensor,
    features: Tensor,
    neighbors: int,
    guide: Guide,
    pool: Executor,
) -> Iterator[tuple[str, _Guess]]:
    """By name: the cubic alone, and corrected by color, contrast and what a network tells.

    Each without and with what is clipped: without, clipped pixels get a guess that does not jump,
    from which the samples lead on.

    Args:
        color: (3, N) sRGB of the samples. features: (F, N) of them. neighbors: of the model.
        pool: of single-core workers, of which each fits one.
    """
    step = -(-blocks.srgb.shape[1] // _FITTED)
    fitted = blocks.srgb[:, ::step].T.contiguous()
    value = blocks.truth.flatten(0, 1)[::step]
    most, nothing = LocalRBFModel.LARGEST, torch.zeros(0, 3)
    cubic = fit_polynomial(fitted, value).float().clamp_(-most, most)
    bare = LocalRBFModel("rational", 1, 1, 1, neighbors, cubic, nothing, nothing, nothing.T)
    at_samples, at_blocks = (apply_polynomial(cubic, c) for c in (color, blocks.srgb))
    shape = blocks.truth.shape

    def guess(model: LocalRBFModel, samples: Tensor, pixels: Tensor) -> _Guess:
        return _Guess(model, samples.T.contiguous(), pixels.T.reshape(shape))

    yield "cubic", guess(bare, at_samples, at_blocks)
    target = log_gain(value, apply_polynomial(cubic, fitted.T).T)
    by_hand, centers = max(bare.FEATURES), _centers(guide.srgb[0].numel())
    kernel = ColorKernel.of(fitted, fitted=_FITTED, centers=centers) if centers else None
    if kernel is None:
        return

    def corrected(network: str, weight: float, burnt: float) -> _Guess:
        count = len(features) if network else by_hand
        told = blocks.features[:count, ::step].T.clone()
        told[:, :4] *= burnt
        found, _ = fit_correction(kernel, fitted, told, target, value, clipped_weight=weight)
        parts = found.centers, found.gains, found.weights
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

    # With what is clipped, clipped pixels weigh in the fit as well.
    kinds = {
        f"{network or 'contrast'}{clipping}": (network, weight, burnt)
        for network in ("", FEATURES)
        for clipping, weight, burnt in (("", 1e-3, 0.0), (" and clipping", 0.25, 1.0))
    }
    yield from zip(kinds, pool.map(lambda kind: corrected(*kind), kinds.values()), strict=True)


def _choose(
    guesses: dict[str, _Guess], blocks: _Blocks, value: Tensor, spacing: float, pool: Executor
) -> LocalRBFModel:
    """The guess and setting with the smallest mean squared error in raw over the blocks."""
    gains = {name: log_gain(value, guess.at_samples) for name, guess in guesses.items()}

    def error(setting: LocalRBFSetting, step: int) -> float:
        guess, gain, total = guesses[setting.guess], gains[setting.guess], 0.0
        for part in torch.split(torch.arange(0, len(blocks.truth), step), _RUN):
            known = blocks.around[part], gain[blocks.neighbors[part]]
            found = predict(setting.basis, *known, blocks.corner[part], blocks.guide[part])
            missed = times_gain(guess.at_blocks[part], found) - blocks.truth[part]
            total += float(missed.square_().sum((1, 2)) @ blocks.weight[part])
        return total

    best = search(settings(spacing, guesses), error, pool)
    return replace(
        guesses[best.guess].model,
        kernel=best.kernel,
        position_scale=best.position_scale,
        color_scale=best.color_scale,
        ridge=best.ridge,
    ).rounded()
