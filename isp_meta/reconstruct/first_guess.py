"""First guesses of raw from sRGB, each one formula for the whole picture.

"cubic": a cubic in color · "color": that times a smooth function of color
                         · "detail": that times what local contrast tells
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

import torch
from torch import Tensor

from ..frame import LocalRBFModel
from .color_estimate import apply_polynomial, fit_polynomial
from .correction import Correction, fit_correction
from .detail import DetailBands

__all__ = [
    "CLIPPED",
    "GUESSES",
    "LOG_FLOOR",
    "FirstGuess",
    "clipped",
    "first_guesses",
    "log_gain",
    "stored_guess",
    "times_gain",
]

GUESSES = ("cubic", "color", "detail")

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
    bands: DetailBands | None
    at_samples: Tensor
    left_out: Tensor

    def rows(self, top: int, bottom: int) -> Tensor:
        """(3, bottom - top, W) of the rows [top, bottom)."""
        srgb = self.srgb[:, top:bottom]
        guess = apply_polynomial(self.cubic, srgb)
        if self.correction is None:
            return guess
        features = clipped(srgb)
        if self.bands is not None:
            features = torch.cat([features, self.bands.rows(top, bottom)])
        return times_gain(guess, self.correction(srgb, features))


def first_guesses(
    srgb: Tensor, index: Tensor, value: Tensor, pool: Executor
) -> dict[str, FirstGuess]:
    """Fits all guesses that the samples suffice for.

    Args:
        srgb: (3, H, W) in [0, 1]. index: (N,) flat, increasing. value: (N, 3) raw there.
        pool: of single-core workers.

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
    of_detail = fit_correction(color, every, target, value)
    for name, features, read, fitted in (
        ("color", burnt, None, of_color.result()),
        ("detail", every, bands, of_detail),
    ):
        if fitted is not None:
            correction, predicted = fitted
            gain = correction(color.T, features.T).T.contiguous()
            at_samples, left_out = (times_gain(cubic.clone(), g) for g in (gain, predicted))
            guesses[name] = FirstGuess(srgb, coefficients, correction, read, at_samples, left_out)
    return guesses


def stored_guess(srgb: Tensor, index: Tensor, model: LocalRBFModel, pool: Executor) -> FirstGuess:
    """The guess that travels in a model, in place of one that is fitted.

    Args:
        srgb: (3, H, W) in [0, 1]. index: (N,) flat, increasing, of the samples.
        pool: of single-core workers.
    """
    color = srgb.reshape(3, -1)[:, index]
    cubic = model.cubic.to(srgb.device)
    at_samples = apply_polynomial(cubic, color)
    if not model.weights.shape[1]:
        at_samples = at_samples.T.contiguous()
        return FirstGuess(srgb, cubic, None, None, at_samples, at_samples)
    parts = (part.to(srgb) for part in (model.centers, model.gains, model.weights))
    correction, bands = Correction.through(*parts), DetailBands.of(srgb)
    features = torch.cat([clipped(color), bands.at(index, pool).T])
    at_samples = times_gain(at_samples, correction(color, features)).T.contiguous()
    return FirstGuess(srgb, cubic, correction, bands, at_samples, at_samples)
