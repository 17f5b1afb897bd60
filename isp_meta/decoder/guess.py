"""First guesses of raw from sRGB, each one formula for the whole picture.

"cubic": a cubic in color · "color": that times a smooth function of color
                         · "detail": that times what local contrast tells
                         · "learned": that times what a trained network tells
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import WeightsFileError
from ..networks.shipped import shipped_features
from ..ops import first_guess
from ..ops.first_guess import CONTRAST_FEATURES
from ..processors.workers import workers
from ..samples import LocalRBFModel
from .correction import ColorKernel, Correction, fit_correction
from .cubic import apply_polynomial, fit_polynomial
from .guide import CLIPS, Beside, Guide, clipped

if TYPE_CHECKING:
    from ..networks import FeatureNetwork

__all__ = [
    "GUESSES",
    "LOG_FLOOR",
    "FirstGuess",
    "FittedGuess",
    "fit_guesses",
    "log_gain",
    "times_gain",
]

GUESSES = ("cubic", "color", "detail", "learned")

LOG_FLOOR = 1e-3
"""Added to raw before its logarithm: gains of what is darker say little."""


def log_gain(raw: Tensor, guess: Tensor) -> Tensor:
    """log((raw + floor) / (guess + floor)), of any equal shapes."""
    return torch.log((raw + LOG_FLOOR) / (guess + LOG_FLOOR))


def times_gain(guess: Tensor, gain: Tensor) -> Tensor:
    """Inverse of :func:`log_gain`, in [0, 1], written over both."""
    return guess.add_(LOG_FLOOR).mul_(gain.exp_()).sub_(LOG_FLOOR).clamp_(0, 1)


@dataclass(frozen=True, eq=False)
class FirstGuess:
    """A formula for the whole picture.

    Attributes:
        cubic: (3, 20) coefficients. correction: of the cubic, or None: of what is clipped, of local
            contrast from 33 features on, of a network's from 34 on.
        network: whose features those are, or None.
    """

    cubic: Tensor
    correction: Correction | None = None
    network: FeatureNetwork | None = None

    @classmethod
    def of(cls, model: LocalRBFModel, like: Tensor) -> FirstGuess:
        """The one that travels in a model.

        Args:
            like: tells dtype and device.

        Raises:
            WeightsFileError: it reads a network that does not ship, or another one of that name.
        """
        cubic = model.cubic.to(like.device)
        if not model.weights.shape[1]:
            return cls(cubic)
        network = shipped_features(model.network) if model.network else None
        known = CLIPS + CONTRAST_FEATURES + (network.features if network else 0)
        if known != model.weights.shape[1]:
            raise WeightsFileError(
                f"{model.network}: gives {known} features, the metadata weigh "
                f"{model.weights.shape[1]}"
            )
        parts = (part.to(like) for part in (model.centers, model.gains, model.weights))
        return cls(cubic, Correction.through(*parts), network)

    def equals(self, other: FirstGuess) -> bool:
        """Whether both make the same of every picture."""
        if self is other:
            return True
        if (self.correction is None) != (other.correction is None):
            return False
        mine, others = [self.cubic], [other.cubic]
        if self.correction is not None and other.correction is not None:
            mine += [self.correction.centers, self.correction.gains, self.correction.weights]
            others += [other.correction.centers, other.correction.gains, other.correction.weights]
        same = all(torch.equal(a, b) for a, b in zip(mine, others, strict=True))
        return same and self.network is other.network

    def prepare(self, guide: Guide) -> None:
        """Has what :meth:`rows` reads worked out by all workers, before each of them needs it."""
        if self.correction is not None:
            _ = self._beside(guide), self._weighed

    def rows(self, guide: Guide, top: int, bottom: int) -> Tensor:
        """(3, bottom - top, W) of the rows [top, bottom) of a picture."""
        if self.correction is None:
            return apply_polynomial(self.cubic, guide.srgb[:, top:bottom])
        cubic, table, weights = self._weighed
        contrast, told, layers = self._beside(guide)
        planes = cubic, table, weights, contrast, told
        return first_guess(guide.srgb, *planes, layers, top, bottom)

    def _beside(self, guide: Guide) -> Beside | tuple[None, None, None]:
        assert self.correction is not None
        if self.correction.weights.shape[1] == CLIPS:
            return None, None, None
        return guide.beside(self.network)

    @cached_property
    def _weighed(self) -> tuple[Tensor, Tensor, Tensor]:
        """Cubic, table and weights; those of a network's features on what it makes them of."""
        assert self.correction is not None
        table, weights = self.correction.table[0], self.correction.weights
        if self.network is not None:
            weight, bias = (p.detach().to(table).double() for p in self.network.last_layer)
            known, told = weights[:, : -len(bias)], weights[:, -len(bias) :].double()
            weights = torch.cat([known, (told @ weight).to(table)], 1)
            table = table + (told @ bias).to(table)[:, None, None, None]
        return self.cubic.to(table), table, weights


@dataclass(frozen=True, eq=False)
class FittedGuess:
    """A guess that was fitted to samples.

    Attributes:
        formula: what was found. at_samples: (N, 3) what it is there.
        left_out: (N, 3) what it would be without each of them, by how far their own weight shifts
            it.
    """

    formula: FirstGuess
    at_samples: Tensor
    left_out: Tensor


def fit_guesses(
    guide: Guide, index: Tensor, value: Tensor, network: FeatureNetwork | None = None
) -> dict[str, FittedGuess]:
    """Fits all guesses that the samples suffice for.

    Args:
        guide: the picture. index: (N,) flat, increasing. value: (N, 3) raw there.
        network: for "learned".

    Returns:
        By name of :data:`GUESSES`: "cubic" always, the others where there are samples enough.
    """
    color = guide.srgb.reshape(3, -1)[:, index].T.contiguous()
    coefficients = fit_polynomial(color, value)
    cubic = apply_polynomial(coefficients, color.T).T.contiguous()
    guesses = {"cubic": FittedGuess(FirstGuess(coefficients), cubic, cubic)}
    target, features = log_gain(value, cubic), clipped(color.T).T
    if (kernel := ColorKernel.of(color)) is None:
        return guesses
    found: list[tuple[str, Tensor, Future[tuple[Correction, Tensor]]]] = []
    # Each by one worker, while the others look at the picture.
    with workers() as pool:

        def submit(name: str, features: Tensor) -> None:
            fitting = pool.submit(fit_correction, kernel, color, features, target, value)
            found.append((name, features, fitting))

        submit("color", features)
        for name, read in (("detail", None), ("learned", network)):
            if name == "detail" or read is not None:
                submit(name, torch.cat([features, guide.features(index, read, pool)], 1))
        for name, features, fitting in found:
            correction, predicted = fitting.result()
            gain = correction(color.T, features.T).T.contiguous()
            at_samples, left_out = (times_gain(cubic.clone(), g) for g in (gain, predicted))
            read = network if name == "learned" else None
            formula = FirstGuess(coefficients, correction, read)
            guesses[name] = FittedGuess(formula, at_samples, left_out)
    return guesses
