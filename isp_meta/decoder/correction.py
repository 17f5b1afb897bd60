"""What a cubic in color leaves over, as far as one formula for the whole picture can tell it.

log gain = smooth function of color + weights · local contrast

Both are linear in what is fitted, so a ridge regression on the samples finds them, and the same
factorization tells what each sample would have been predicted to be without it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["ColorKernel", "Correction", "fit_correction", "matern"]

_CENTERS, _LENGTH = 128, 0.5
# Fewer samples than this say too little about so many weights.
_FEWEST = 100
_SMOOTHNESS, _RIDGES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2), (1e-5, 1e-3, 1e-1)
# What happened to clipped samples is hardly a function of color; they count as so many others.
_CLIPPED_WEIGHT = 0.25
# Samples that are fitted, of more; and of those the ones on which smoothness and ridge are chosen.
_FITTED, _TRIALS = 16384, 4096
# Knots a color of the table that stands for the function of color; finer ones change nothing.
_KNOTS = 33
# A gain beyond e² is no correction but a mistake.
_LIMIT = 2.0


def matern(color: Tensor, centers: Tensor) -> Tensor:
    """(N, M) kernel of colors and centers: Matérn, 5/2."""
    r = torch.cdist(color, centers).mul_(math.sqrt(5) / _LENGTH)
    return (1 + r + r.square() / 3) * torch.exp(-r)


def _spread(color: Tensor, count: int) -> Tensor:
    """(M, 3) colors as far from each other as they lie, at most so many."""
    color = color[:: max(1, len(color) // 4096)]
    distance = (color - color.mean(0)).norm(dim=1)
    chosen = [int(distance.argmin())]
    distance = (color - color[chosen[0]]).norm(dim=1)
    while len(chosen) < count:
        farthest = int(distance.argmax())
        if distance[farthest] < 1e-3:
            break
        chosen.append(farthest)
        distance = torch.minimum(distance, (color - color[farthest]).norm(dim=1))
    return color[chosen]


@dataclass(frozen=True, eq=False)
class Correction:
    """Log gain of every pixel.

    Attributes:
        solution: (M, 3) float64 weights of the kernel at the centers.
        weights: (3, F) of the features.
        centers: (M, 3) sRGB; the function of color is the smoothest through what it is there.
        gains: (M, 3) what it is there.
    """

    solution: Tensor
    weights: Tensor
    centers: Tensor
    gains: Tensor

    @cached_property
    def table(self) -> Tensor:
        """(1, 3, n, n, n), the function of color on a lattice of sRGB: blue, green, red."""
        like = self.centers
        knots = torch.linspace(0, 1, _KNOTS, dtype=like.dtype, device=like.device)
        lattice = torch.cartesian_prod(knots, knots, knots).flip(1)
        kernel = matern(lattice, like)
        # Weights of near centers all but cancel, so their sum takes doubles.
        parts = [part.double() @ self.solution for part in torch.split(kernel, 4096)]
        return torch.cat(parts).T.reshape(1, 3, *(_KNOTS,) * 3).to(like)

    @classmethod
    def through(cls, centers: Tensor, gains: Tensor, weights: Tensor) -> Correction:
        """Of its centers, its gains there, float, and its weights."""
        kernel = matern(centers.double(), centers.double())
        # As much as the normal equations are ridged by, and what two equal centers need.
        kernel.diagonal().add_(1e-6)
        solution = torch.linalg.solve(kernel, gains.double())
        return _correction(torch.cat([solution, weights.double().T]), centers.double(), gains.dtype)

    def __call__(self, srgb: Tensor, features: Tensor) -> Tensor:
        """Log gain, (3, ...).

        Args:
            srgb: (3, ...) in [0, 1]. features: (F, ...).
        """
        at = srgb.flatten(1).T.mul(2).sub_(1).view(1, 1, 1, -1, 3)
        gain = functional.grid_sample(
            self.table, at, mode="bilinear", padding_mode="border", align_corners=True
        ).view(3, -1)
        gain = torch.addmm(gain, self.weights, features.flatten(1))
        return gain.clamp_(-_LIMIT, _LIMIT).view(srgb.shape)


@dataclass(frozen=True)
class _Ridge:
    """A weighted ridge regression: the normal equations, and what they say of each sample."""

    design: Tensor  # (N, P)
    target: Tensor  # (N, 3)
    weight: Tensor  # (N,)
    penalty: Tensor  # (P, P), of the kernel's weights
    features: int  # the last columns

    @cached_property
    def normal(self) -> Tensor:
        """(P, P) of the normal equations, before any penalty."""
        return self.design.T @ (self.design * self.weight[:, None])

    @cached_property
    def right(self) -> Tensor:
        """(P, 3), their right side."""
        return self.design.T @ (self.target * self.weight[:, None])

    def _penalized(self, smoothness: float, ridge: float) -> Tensor:
        """(P, P) of the normal equations."""
        normal, scale = self.normal, float(self.weight.sum())
        penalized = normal + self.penalty * (smoothness * scale)
        diagonal = penalized.diagonal()
        if self.features:
            diagonal[-self.features :] += normal.diagonal()[-self.features :] * ridge
        diagonal += 1e-9 * (normal.diagonal().mean() + scale)
        return penalized

    def _left_out(self, fitted: Tensor, influence: Tensor) -> Tensor:
        """(N, 3) what each sample is predicted to be without its own influence, (N,)."""
        influence = (influence * self.weight).clamp_(max=0.99)
        return self.target - (self.target - fitted) / (1 - influence)[:, None]

    def solve(self, smoothness: float, ridge: float) -> tuple[Tensor, Tensor]:
        """(P, 3) weights and (N, 3) what each sample is predicted to be without itself."""
        factor = torch.linalg.cholesky(self._penalized(smoothness, ridge))
        solution = torch.cholesky_solve(self.right, factor)
        influence = torch.linalg.solve_triangular(factor, self.design.T, upper=False)
        fitted = self.design @ solution
        return solution, self._left_out(fitted, influence.square_().sum(0))

    def errors(self, smoothnesses: tuple[float, ...], ridge: float) -> list[float]:
        """Weighted mean squares of what the samples left out are missed by, a smoothness each.

        Args:
            smoothnesses: the least first. In the basis that makes the normal equations with that
                one, L Lᵀ, the unit matrix, and the penalty diagonal, the others cost no
                factorization: a generalized eigenvalue problem.
        """
        least, scale = smoothnesses[0], float(self.weight.sum())
        factor = torch.linalg.cholesky(self._penalized(least, ridge))
        half = torch.linalg.solve_triangular(factor, self.penalty * scale, upper=False)
        penalty = torch.linalg.solve_triangular(factor, half.T, upper=False)
        strength, basis = torch.linalg.eigh((penalty + penalty.T) / 2)
        design = basis.T @ torch.linalg.solve_triangular(factor, self.design.T, upper=False)
        right = design @ (self.target * self.weight[:, None])
        squares, found = design.square(), []
        for smoothness in smoothnesses:
            kept = 1 / (1 + (smoothness - least) * strength)
            left_out = self._left_out(design.T @ (right * kept[:, None]), kept @ squares)
            # The weights are brightness, so this is about the error in raw.
            missed = (self.target - left_out).square()
            found.append(float((self.weight.square() @ missed).sum()))
        return found

    def some(self, step: int) -> _Ridge:
        """Every step-th sample."""
        return _Ridge(
            self.design[::step],
            self.target[::step],
            self.weight[::step],
            self.penalty,
            self.features,
        )


class ColorKernel(NamedTuple):
    """What corrections of the same samples share: the colors' part of what is fitted.

    Attributes:
        usable: (N,) which samples are not clipped. step: every step-th sample is fitted.
        centers: (M, 3) float64. design: (n, M) float64, of the samples that are fitted.
    """

    usable: Tensor
    step: int
    centers: Tensor
    design: Tensor

    @classmethod
    def of(
        cls, color: Tensor, *, fitted: int = _FITTED, centers: int = _CENTERS
    ) -> ColorKernel | None:
        """Of (N, 3) sRGB; None where too few are not clipped.

        Args:
            fitted: the most samples that are fitted, of more. centers: the most of the kernel.
        """
        usable = (color < 1).all(1)
        if int(usable.sum()) < _FEWEST:
            return None
        step = -(-len(color) // fitted)
        some, free = color[::step].double(), usable[::step]
        chosen = _spread(some[free] if bool(free.any()) else some, centers)
        return cls(usable, step, chosen, matern(some, chosen))


def fit_correction(
    kernel: ColorKernel,
    color: Tensor,
    features: Tensor,
    target: Tensor,
    value: Tensor,
    *,
    clipped_weight: float = _CLIPPED_WEIGHT,
) -> tuple[Correction, Tensor]:
    """Fits log gains at samples, smoothness and ridge chosen by leaving samples out.

    Args:
        kernel: of the samples' colors.
        color: (N, 3) sRGB of the samples. features: (N, F), F >= 0. target: (N, 3) log gain.
        value: (N, 3) raw, in [0, 1]: bright samples weigh more.
        clipped_weight: of a clipped sample against another.

    Returns:
        The correction, and (N, 3) the log gain of each sample as the others predict it (as all do,
        where there are so many that one does not count).

    Source: leave-one-out errors of linear smoothers by their leverage, Allen's PRESS, 1974.
    """
    step, chosen = kernel.step, kernel.centers
    weight = (value.double().mean(1) + 0.005) * torch.where(kernel.usable, 1.0, clipped_weight)
    system = _system(kernel, features[::step], target[::step], weight[::step])
    trial = system.some(max(1, len(system.target) // _TRIALS))
    ridges = _RIDGES if features.shape[1] else _RIDGES[:1]
    errors = torch.tensor([trial.errors(_SMOOTHNESS, ridge) for ridge in ridges])
    choice, smoothness = divmod(int(errors.argmin()), len(_SMOOTHNESS))
    solution, predicted = system.solve(_SMOOTHNESS[smoothness], ridges[choice])
    correction = _correction(solution, chosen, target.dtype)
    if step > 1:
        return correction, correction(color.T, features.T).T.contiguous()
    return correction, predicted.to(target.dtype).clamp_(-_LIMIT, _LIMIT)


def _system(kernel: ColorKernel, features: Tensor, target: Tensor, weight: Tensor) -> _Ridge:
    """The regression of the samples that are fitted."""
    design, count = torch.cat([kernel.design, features.double()], 1), len(kernel.centers)
    penalty = design.new_zeros(design.shape[1], design.shape[1])
    penalty[:count, :count] = matern(kernel.centers, kernel.centers)
    return _Ridge(design, target.double(), weight, penalty, features.shape[1])


def _correction(solution: Tensor, centers: Tensor, dtype: torch.dtype) -> Correction:
    """Of (M + F, 3) weights of the kernel's centers and of the features."""
    of_color, of_features = torch.split(solution, [len(centers), len(solution) - len(centers)])
    gains = matern(centers, centers) @ of_color
    parts = of_features.T.contiguous(), centers, gains
    return Correction(of_color, *(part.to(dtype) for part in parts))
