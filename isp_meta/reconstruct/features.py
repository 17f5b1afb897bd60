"""A reconstructor whose last layer is fitted to each picture, in closed form.

    sRGB ─▶ FeatureNetwork ─▶ features ─┐
         ─▶ color, contrast bands ──────┼─ ridge regression on the samples ─▶ log gain of raw
    samples ────────────────────────────┘        against a cubic in color

Fine-tuning is not a few steps of gradient descent but the solution of its normal equations, inside
the network: training sees through it, as through an inner loop that has converged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..decoder.correction import matern
from ..decoder.cubic import apply_polynomial, fit_polynomial
from ..decoder.detail import contrast
from ..decoder.guess import LOG_FLOOR, log_gain
from ..decoder.guide import clipped
from ..frame import Frame
from .inputs import picture_and_samples
from .local_rbf import LocalRBFReconstructor
from .trainable import TrainableReconstructor

if TYPE_CHECKING:
    from ..networks import FeatureNetwork

__all__ = ["ClosedFormNetwork", "FeatureReconstructor"]

# Colors a side of the lattice on which the smooth function of color has its centers.
_LATTICE = 4
_SMOOTHNESS, _RIDGE = 1e-4, 1e-3
# Pixels of a square over which what is left at the samples is averaged, and the weight of none.
_SQUARE, _PRIOR = 4, 0.25 / 150
_LIMIT = 2.0


class ClosedFormNetwork(nn.Module):
    """(B, 7, H, W) sRGB, samples and mask to (B, 3, H, W) raw, by a regression a picture.

    What training minimizes through. A stand-in, differentiable and without search, for what
    :class:`LocalRBFReconstructor` does with the same features: centers on a lattice in place of the
    picture's own colors, one ridge in place of the best, averages of what is left over in place of
    radial-basis systems.

    Args:
        features: the network that is trained.
    """

    def __init__(self, features: FeatureNetwork) -> None:
        super().__init__()
        self.features = features

    def forward(self, inputs: Tensor) -> Tensor:
        """Raw, not clipped, so that every error has a gradient."""
        features = self.features(inputs[:, :3])
        with torch.autocast(inputs.device.type, enabled=False):
            pairs = zip(inputs.float(), features.float(), strict=True)
            return torch.stack([_reconstruct(*pair) for pair in pairs])


def _reconstruct(inputs: Tensor, features: Tensor) -> Tensor:
    srgb, kept, mask = inputs[:3].detach(), inputs[3:6], inputs[6]
    index = mask.detach().flatten().nonzero()[:, 0]
    if not len(index):
        return srgb
    value = kept.flatten(1)[:, index].T
    # The first guess is not to move, or its gradient would be that of another fit.
    color = srgb.flatten(1)[:, index].T
    cubic = apply_polynomial(fit_polynomial(color, value.detach()), srgb).flatten(1)
    target = log_gain(value, cubic[:, index].T)
    fixed, features = _fixed(srgb), features.flatten(1)
    at_samples = torch.cat([fixed[:, index], features[:, index]]).T
    open_ = (color < 1).all(1)
    weight = (value.detach().mean(1) + 0.005) * torch.where(open_, 1.0, 0.25)
    weight = weight * mask.flatten()[index]
    weights = _ridge(at_samples, target, weight)
    gain = torch.addmm(weights[: len(fixed)].T @ fixed, weights[len(fixed) :].T, features)
    gain = gain.clamp(-_LIMIT, _LIMIT)
    left = _spread(target - at_samples @ weights, weight, index, mask.shape)
    gain = (gain + left.flatten(1)).clamp(-2 * _LIMIT, 2 * _LIMIT)
    return ((cubic + LOG_FLOOR) * gain.exp() - LOG_FLOOR).view(3, *mask.shape)


def _lattice(like: Tensor) -> Tensor:
    knots = torch.linspace(0, 1, _LATTICE, dtype=like.dtype, device=like.device)
    return torch.cartesian_prod(knots, knots, knots)


@torch.no_grad()
def _fixed(srgb: Tensor) -> Tensor:
    """(P, H * W) what the log gain is a weighted sum of, beside the network's features."""
    kernel = matern(srgb.flatten(1).T, _lattice(srgb)).T
    return torch.cat([kernel, torch.cat([clipped(srgb), contrast(srgb)]).flatten(1)])


def _ridge(design: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """(P, 3) weights."""
    design, weight = design.double(), weight.double()[:, None]
    normal = design.T @ (design * weight)
    centers = _lattice(design)
    count, total = len(centers), weight.sum()
    penalty = normal.diagonal() * _RIDGE
    smooth = matern(centers, centers) * (_SMOOTHNESS * total)
    penalty = torch.cat([penalty[:count] * 0, penalty[count:]]) + 1e-7 * total
    rest = len(normal) - count
    normal = normal + functional.pad(smooth, (0, rest, 0, rest)) + torch.diag(penalty)
    right = design.T @ (target.double() * weight)
    factor = torch.linalg.cholesky(normal)
    return torch.cholesky_solve(right, factor).to(target)


def _spread(left: Tensor, weight: Tensor, index: Tensor, size: torch.Size) -> Tensor:
    """(3, H, W) what is left at samples, averaged over their surroundings."""
    height, width = size
    both = torch.cat([left * weight[:, None], weight[:, None]], 1).T
    plane = both.new_zeros(4, height * width).index_copy(1, index, both).view(1, 4, height, width)
    pad = (0, -width % _SQUARE, 0, -height % _SQUARE)
    plane = functional.avg_pool2d(functional.pad(plane, pad), _SQUARE)
    for _ in range(2):
        plane = functional.avg_pool2d(plane, 3, 1, 1)
    plane = functional.interpolate(
        plane, scale_factor=float(_SQUARE), mode="bilinear", align_corners=False
    )[0, :, :height, :width]
    spread: Tensor = plane[:3] / (plane[3:] + _PRIOR * weight.mean())
    return spread


class FeatureReconstructor(TrainableReconstructor):
    """Trained features, fitted to each picture together with what needs no training.

    On a frame it is :class:`LocalRBFReconstructor` with one first guess more, taken where it
    predicts samples that are left out better than the others do.

    Args:
        network: of a :class:`~isp_meta.networks.FeatureNetwork`. Others as in
            :class:`TrainableReconstructor`.
    """

    network: ClosedFormNetwork

    def inputs(self, srgb: Tensor, kept: Tensor, mask: Tensor) -> Tensor:
        """(B, 7, H, W): sRGB, samples, mask."""
        return torch.cat((srgb, kept, mask), 1)

    @torch.no_grad()
    def forward(self, frame: Frame) -> Tensor:
        """(3, H, W) in [0, 1], equal to the stored samples at their pixels.

        Raises:
            PipelineOrderError: srgb or samples is empty. ValueError: no sample, or of another size.
        """
        picture_and_samples(frame, type(self).__name__)
        raw: Tensor = LocalRBFReconstructor(features=self.network.features)(frame)
        return raw

    def fine_tune(
        self, frame: Frame, steps: int = 10, lr: float = 1e-4, **_settings: Any
    ) -> FeatureReconstructor:
        """A copy; what there is to tune is fitted to each frame anyway, to the end."""
        picture_and_samples(frame, type(self).__name__)
        return type(self)(self.network)
