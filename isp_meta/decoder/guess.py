"""First guesses of raw from sRGB, each one formula for the whole picture.

"cubic": a cubic in color · "color": that times a smooth function of color
                         · "detail": that times what local contrast tells
                         · "learned": that times what a trained network tells
"""

from __future__ import annotations

from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import WeightsFileError
from ..networks.shipped import shipped_features
from ..samples import LocalRBFModel
from .correction import Correction, fit_correction
from .cubic import apply_polynomial, fit_polynomial
from .detail import DetailBands
from .learned import LearnedBands

if TYPE_CHECKING:
    from ..networks import FeatureNetwork

__all__ = [
    "CLIPPED",
    "GUESSES",
    "LOG_FLOOR",
    "bands_of",
    "clipped",
    "FirstGuess",
    "first_guesses",
    "log_gain",
    "stored_guess",
    "times_gain",
]

# Pixels whose features stay near a core, and in memory that need not be asked for each time.
_RUN = 1 << 16

_Fitted = tuple[Correction, Tensor] | None

GUESSES = ("cubic", "color", "detail", "learned")

CLIPPED = 254 / 255
"""sRGB from which a color counts as clipped: 8 bits and JPEG may leave it a step lower."""

LOG_FLOOR = 1e-3
"""Added to raw before its logarithm: gains of what is darker say little."""


def log_gain(raw: Tensor, guess: Tensor) -> Tensor:
    """log((raw + floor) / (guess + floor)), of any equal shapes."""
    return torch.log((raw + LOG_FLOOR) / (guess + LOG_FLOOR))


def times_gain(guess: Tensor, gain: Tensor) -> Tensor:
    """Inverse of :func:`log_gain`, in [0, 1], written over both."""
    return guess.add_(LOG_FLOOR).mul_(gain.exp_()).sub_(LOG_FLOOR).clamp_(0, 1)


def clipped(srgb: Tensor) -> Tensor:
    """(4, ...) 1 where a color is clipped, and where all are: raw jumps there."""
    full = srgb >= CLIPPED
    return torch.cat([full, full.all(0, keepdim=True)]).to(srgb)


@dataclass(frozen=True, eq=False)
class FirstGuess:
    """One of the guesses.

    Attributes:
        srgb: (3, H, W). cubic: (3, 20) coefficients. correction: of the cubic, or None.
        bands: what the correction reads beside color, or None.
        at_samples: (N, 3) the guess there. left_out: (N, 3) what it would be without each of them,
            as far as their own weight shifts it.
    """

    srgb: Tensor
    cubic: Tensor
    correction: Correction | None
    bands: DetailBands | LearnedBands | None
    at_samples: Tensor
    left_out: Tensor

    def rows(self, top: int, bottom: int) -> Tensor:
        """(3, bottom - top, W) of the rows [top, bottom)."""
        srgb = self.srgb[:, top:bottom]
        guess = apply_polynomial(self.cubic, srgb)
        if self.correction is None:
            return guess
        run = max(1, _RUN // srgb.shape[2])
        for first in range(0, bottom - top, run):
            some = slice(first, min(first + run, bottom - top))
            features = clipped(srgb[:, some])
            if self.bands is not None:
                bands = self.bands.rows(top + some.start, top + some.stop)
                features = torch.cat([features, bands])
            guess[:, some] = times_gain(guess[:, some], self.correction(srgb[:, some], features))
        return guess


def first_guesses(
    srgb: Tensor,
    index: Tensor,
    value: Tensor,
    pool: Executor,
    network: FeatureNetwork | None = None,
) -> dict[str, FirstGuess]:
    """Fits all guesses that the samples suffice for.

    Args:
        srgb: (3, H, W) in [0, 1]. index: (N,) flat, increasing. value: (N, 3) raw there.
        pool: of single-core workers.
        network: for "learned".

    Returns:
        By name of :data:`GUESSES`: "cubic" always, the others where there are samples enough.
    """
    color = srgb.reshape(3, -1)[:, index].T.contiguous()
    coefficients = fit_polynomial(color, value)
    cubic = apply_polynomial(coefficients, color.T).T.contiguous()
    guesses = {"cubic": FirstGuess(srgb, coefficients, None, None, cubic, cubic)}
    target, burnt = log_gain(value, cubic), clipped(color.T).T
    # By one worker, while the others look at the picture.
    of_color = pool.submit(fit_correction, color, burnt, target, value)
    bands = DetailBands.of(srgb)
    every = torch.cat([burnt, bands.at(index, pool)], 1)
    of_detail = pool.submit(fit_correction, color, every, target, value)
    found: list[tuple[str, Tensor, DetailBands | LearnedBands | None, Future[_Fitted]]]
    found = [("color", burnt, None, of_color), ("detail", every, bands, of_detail)]
    if network is not None:
        learned = LearnedBands.of(bands, network, pool)
        more = torch.cat([every, learned.told_at(index, pool)], 1)
        of_learned = pool.submit(fit_correction, color, more, target, value)
        found.append(("learned", more, learned, of_learned))
    for name, features, read, fitting in found:
        fitted = fitting.result()
        if fitted is not None:
            correction, predicted = fitted
            gain = correction(color.T, features.T).T.contiguous()
            at_samples, left_out = (times_gain(cubic.clone(), g) for g in (gain, predicted))
            guesses[name] = FirstGuess(srgb, coefficients, correction, read, at_samples, left_out)
    return guesses


def bands_of(srgb: Tensor, network: str, pool: Executor) -> DetailBands | LearnedBands:
    """What a model's weights are of, beside what is clipped.

    Args:
        srgb: (3, H, W) in [0, 1]. network: name of a shipped one, or "": none.
        pool: of single-core workers.

    Raises:
        WeightsFileError: no such network ships.
    """
    bands = DetailBands.of(srgb)
    if not network:
        return bands
    return LearnedBands.of(bands, shipped_features(network), pool)


def stored_guess(
    srgb: Tensor,
    index: Tensor,
    model: LocalRBFModel,
    pool: Executor,
    known: LearnedBands | None = None,
) -> FirstGuess:
    """The guess that travels in a model, in place of one that is fitted.

    Args:
        srgb: (3, H, W) in [0, 1]. index: (N,) flat, increasing, of the samples.
        pool: of single-core workers.
        known: bands of the picture, by the network that ships.

    Raises:
        WeightsFileError: it reads a network that does not ship, or another one of that name.
    """
    color = srgb.reshape(3, -1)[:, index]
    cubic = model.cubic.to(srgb.device)
    at_samples = apply_polynomial(cubic, color)
    if not model.weights.shape[1]:
        at_samples = at_samples.T.contiguous()
        return FirstGuess(srgb, cubic, None, None, at_samples, at_samples)
    parts = (part.to(srgb) for part in (model.centers, model.gains, model.weights))
    correction = Correction.through(*parts)
    if known is None:
        bands = bands_of(srgb, model.network, pool)
    else:
        bands = known if model.network else known.bands
    features = torch.cat([clipped(color), bands.at(index, pool).T])
    if len(features) != model.weights.shape[1]:
        raise WeightsFileError(
            f"{model.network}: gives {len(features)} features, the metadata weigh "
            f"{model.weights.shape[1]}"
        )
    at_samples = times_gain(at_samples, correction(color, features)).T.contiguous()
    return FirstGuess(srgb, cubic, correction, bands, at_samples, at_samples)
