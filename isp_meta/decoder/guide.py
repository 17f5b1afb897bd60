"""A picture as the decoder sees it: color, what lies around, and features; each worked out once."""

from __future__ import annotations

import copy
from concurrent.futures import Executor
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ..ops import FineLayers, guess_features
from ..ops.first_guess import CONTRAST_FEATURES
from ..processors.workers import workers
from .detail import coarse_contrast, square_means
from .learned import told_at_half

if TYPE_CHECKING:
    from ..networks import FeatureNetwork
    from .guess import FirstGuess

__all__ = ["CLIPPED", "CLIPS", "Guide", "clipped"]

CLIPPED = 254 / 255
"""sRGB from which a color counts as clipped: 8 bits and JPEG may leave it a step lower."""

CLIPS = 4
"""Number of features of what is clipped."""

# How much the brightness and the share of clipped values around a pixel count, next to its color,
# and over how many pixels they are taken: with these the samples left out are predicted best.
_BRIGHTNESS, _BURNT, _AROUND = 0.25, 0.2, 4
# Large enough to keep a core busy, small enough for a strip's temporaries to stay near it.
_STRIP_PIXELS = 250_000
# Pixels whose features are worked out by one worker.
_RUN = 1 << 15


def clipped(srgb: Tensor) -> Tensor:
    """(4, ...) 1 where a color is clipped, and where all are: raw jumps there."""
    full = srgb >= CLIPPED
    return torch.cat([full, full.all(0, keepdim=True)]).to(srgb)


class Beside(NamedTuple):
    """What :func:`isp_meta.ops.first_guess` takes beside a picture."""

    contrast: Tensor
    told: Tensor | None = None
    layers: FineLayers | None = None


class Guide:
    """A picture, and what is worked out of it when it is first asked for.

    Args:
        srgb: (3, H, W) in [0, 1].
    """

    def __init__(self, srgb: Tensor) -> None:
        self.srgb = srgb
        self._learned: tuple[FeatureNetwork, Beside] | None = None
        self._guess: tuple[FirstGuess, Tensor] | None = None

    def strips(self, side: int = 1) -> list[tuple[int, int]]:
        """First row and end of strips, each of whole blocks of a side and some work for a core."""
        height, width = self.srgb.shape[1:]
        rows = max(1, _STRIP_PIXELS // (width * side)) * side
        return [(top, min(height, top + rows)) for top in range(0, height, rows)]

    @cached_property
    def surroundings(self) -> Tensor:
        """(2, h, w), one a square of 4 pixels: brightness and clipped share, weighted."""
        with workers() as pool:
            strips = torch.split(self.srgb, 32 * _AROUND, 1)
            return torch.cat(list(pool.map(_surroundings, strips)), 1)

    def points(self, index: Tensor) -> Tensor:
        """(N, 7) row, column, color and surroundings of the pixels of (N,) a flat index."""
        width = self.srgb.shape[2]
        position = torch.stack([index // width, index % width], 1).to(self.srgb)
        size = position.new_tensor(self.surroundings.shape[1:]) * _AROUND
        at = ((2 * position + 1) / size - 1).flip(1)[None, None]
        beside = functional.grid_sample(
            self.surroundings[None], at, padding_mode="border", align_corners=False
        )
        color = self.srgb.reshape(3, -1)[:, index]
        return torch.cat([position, color.T, beside[0, :, 0].T], 1)

    def rows(self, top: int, bottom: int) -> Tensor:
        """(5, h, W) color and surroundings of the rows [top, bottom)."""
        first = max(0, top // _AROUND - 1)
        around = self.surroundings[None, :, first : -(-bottom // _AROUND) + 1]
        around = functional.interpolate(
            around, scale_factor=float(_AROUND), mode="bilinear", align_corners=False
        )
        begin = top - first * _AROUND
        around = around[0, :, begin : begin + bottom - top, : self.srgb.shape[2]]
        return torch.cat([self.srgb[:, top:bottom], around])

    def beside(self, network: FeatureNetwork | None) -> Beside:
        """Local contrast and, where there is one, what a network tells."""
        if network is None:
            return self._contrast
        if self._learned is None or self._learned[0] is not network:
            here = network
            if next(network.parameters()).device != self.srgb.device:
                here = copy.deepcopy(network).to(self.srgb.device)  # the given may be everybody's
            with workers() as pool:
                told = told_at_half(self.srgb, here, pool)
            self._learned = network, Beside(self._contrast.contrast, told, here.fine_layers)
        return self._learned[1]

    def features(self, index: Tensor, network: FeatureNetwork | None, pool: Executor) -> Tensor:
        """(N, 29 or more) of the pixels of (N,) a flat index that increases: contrast, then told.

        Args:
            network: whose features come last; None: of contrast alone.
            pool: of single-core workers.
        """
        beside = self.beside(network)
        last = () if network is None else network.last_layer
        layer = [part.detach().to(self.srgb) for part in last]
        told = 0 if network is None else network.features
        features = self.srgb.new_empty(len(index), CONTRAST_FEATURES + told)

        def work(part: Tensor, result: Tensor) -> None:
            found = guess_features(self.srgb, part, *beside)
            result[:, :CONTRAST_FEATURES] = found[:, :CONTRAST_FEATURES]
            if layer:
                weight, bias = layer
                hidden = found[:, CONTRAST_FEATURES:]
                result[:, CONTRAST_FEATURES:] = torch.addmm(bias, hidden, weight.T)

        for _ in pool.map(work, torch.split(index, _RUN), torch.split(features, _RUN)):
            pass
        return features

    @cached_property
    def _contrast(self) -> Beside:
        return Beside(coarse_contrast(self.srgb))

    def guess(self, formula: FirstGuess, *, last: bool = False) -> Tensor:
        """(3, H, W) what a formula makes of the picture, which is kept until another is asked for.

        Args:
            last: no other formula will be tried: what it is made of, which takes as much memory, is
                let go.
        """
        if self._guess is None or not self._guess[0].equals(formula):
            whole = self.srgb.new_empty(self.srgb.shape)

            def work(rows: tuple[int, int]) -> None:
                whole[:, slice(*rows)] = formula.rows(self, *rows)

            formula.prepare(self)
            with workers() as pool:
                for _ in pool.map(work, self.strips()):
                    pass
            self._guess = formula, whole
        if last:
            self._learned = None
            vars(self).pop("_contrast", None)
        return self._guess[1]

    def let_go(self) -> None:
        """Frees all that is worked out again when it is asked for."""
        self._learned = self._guess = None
        for name in ("_contrast", "surroundings"):
            vars(self).pop(name, None)


def _surroundings(srgb: Tensor) -> Tensor:
    brightness, burnt = srgb.mean(0), (srgb >= CLIPPED).to(srgb).mean(0)
    return square_means(torch.stack([_BRIGHTNESS * brightness, _BURNT * burnt]), _AROUND)
