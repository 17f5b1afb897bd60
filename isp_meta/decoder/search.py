"""The setting that suits a picture, of all that are tried.

Recovery leaves samples out and looks how well the others predict them; capture knows every pixel.
What differs is how the error of a setting is told, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from itertools import product, repeat
from operator import itemgetter

import torch
from torch import Tensor

from ..ops import local_rbf_leave_one_out
from .guess import FittedGuess, log_gain, times_gain
from .systems import LocalRBFSetting, NearestSamples

__all__ = ["LeftOut", "search", "settings"]

# A few trials tell the hopeless from the hopeful: one trial in so many, how many settings go on
# from there, and ridges that each of them is tried with.
_ROUNDS = ((16, 8, (1, 5, 20)), (4, 4, (1,)), (1, 1, (1,)))


def settings(spacing: float, guesses: Iterable[str]) -> Iterator[LocalRBFSetting]:
    """Interpolations of log-gains against each of some first guesses.

    Args:
        spacing: of the samples, pixels.
    """
    bases = product(("exponential", "rational"), (1, 2, 4, 8, 16), (0.05, 0.1, 0.2, 0.4))
    for guess, (kernel, steps, color_scale) in product(guesses, bases):
        yield LocalRBFSetting("log_gain", kernel, steps * spacing, color_scale, guess=guess)


def search(
    candidates: Iterable[LocalRBFSetting],
    error: Callable[[LocalRBFSetting, int], float],
    pool: Executor,
) -> LocalRBFSetting:
    """The candidate of the smallest error.

    Args:
        candidates: at least one; the best are tried with larger ridges, too.
        error: of a setting, over one trial in so many.
        pool: of single-core workers.
    """
    left = list(candidates)
    for step, kept, ridges in _ROUNDS:
        errors = pool.map(error, left, repeat(step))
        ranked = sorted(zip(errors, left, strict=True), key=itemgetter(0))
        left = [
            replace(setting, ridge=setting.ridge * ridge)
            for _error, setting in ranked[:kept]
            for ridge in ridges
        ]
    return left[0]


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Samples to leave out, to see how well the others predict them.

    Attributes:
        points: (N, 7) position, color and surroundings of all samples. value: (N, 3).
        guesses: fitted to them, by name.
        around: (M, 1 + K) the one left out, then those nearest to it.
        weight: (M,) how many samples each stands for.
    """

    points: Tensor
    value: Tensor
    guesses: dict[str, FittedGuess]
    around: Tensor
    weight: Tensor

    @classmethod
    def of(
        cls,
        points: Tensor,
        value: Tensor,
        guesses: dict[str, FittedGuess],
        nearest: NearestSamples,
        neighbors: int,
        trials: int,
        pool: Executor,
    ) -> LeftOut:
        """Chooses about so many to leave out, each predicted by so many neighbors.

        Half of them where something is clipped nearby: there lie few samples and most of the error.
        """
        generator = torch.Generator().manual_seed(0)
        burnt = points[:, -1] > 0
        chosen, weight = [], []
        for half, members in enumerate((burnt, ~burnt)):
            index = members.nonzero()[:, 0]
            order = torch.randperm(len(index), generator=generator).to(index.device)
            chosen.append(index[order[: (trials + half) // 2]])
            share = len(index) / max(1, len(chosen[-1]))
            weight.append(points.new_full((len(chosen[-1]),), share))
        # No two samples share a pixel, so the one left out is its own nearest and stands first.
        position = points[torch.cat(chosen), :2]
        size = min(neighbors + 1, len(points))
        parts = pool.map(nearest, torch.split(position, 1024), repeat(size))
        return cls(points, value, guesses, torch.cat(list(parts)), torch.cat(weight))

    @torch.no_grad()
    def error(self, setting: LocalRBFSetting, step: int) -> float:
        """Mean squared error in raw at one in so many of the samples left out."""
        around, weight = self.around[::step], self.weight[::step]
        guess, left_out = self.guesses[setting.guess], around[:, 0]
        is_value = setting.target == "value"
        known = self.value if is_value else log_gain(self.value, guess.at_samples)
        found = local_rbf_leave_one_out(self.points, known, around, setting.basis)
        found = found.clamp_(0, 1) if is_value else times_gain(guess.left_out[left_out], found)
        missed = found - self.value[left_out]
        return float((weight @ missed.square()).mean() / weight.sum())
