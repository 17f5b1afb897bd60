"""Demosaicing of any periodic mosaic by the statistics of pictures.

mosaic ─┬─ five priors: edges in four directions, or none ─▶ five estimates of every color ──┐
        └─ each predicts the measured pixels from those around ─▶ errors ─▶ weights ─────────┴▶ raw
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from ..camera import pattern_of, period_of
from .periodic import Reach, place_filters, surrounded, window_sums
from .rows import of_bands, row_bands

__all__ = ["kriging"]

_COLORS = 3
_WINDOW = 4  # pixels to each side that an estimate is made from
_OFFSETS = torch.cartesian_prod(*[torch.arange(-_WINDOW, _WINDOW + 1)] * 2)
_BLUR, _SIGMA = 5, 2.0  # pixels to each side over which errors count, and their Gaussian
_POWER = 3
_NOISE = 1e-4  # of a measured pixel, relative to the prior's variance; it keeps systems regular
_ROWS = 120


@dataclass(frozen=True)
class _Prior:
    """How pixels of a picture vary together.

    Two colors c and d at pixels a vector v apart have the covariance k(v) + s [c = d] k'(v): a
    light that they share and a difference of their own, with k(v) = (1 + r) exp(-r), Matern's of
    order 3/2, and r the length of v in units of the two ranges, along the edge and across it.

    Attributes:
        angle: of the edge, radians.
        light: ranges of what colors share, pixels along and across.
        color: ranges of their differences.
        share: s.
    """

    angle: float
    light: tuple[float, float]
    color: tuple[float, float]
    share: float

    def covariance(self, offsets: Tensor, same: Tensor) -> Tensor:
        """Of pixels (..., 2) apart, of the same color or not, (...)."""
        return self._matern(offsets, self.light) + self.share * same * self._matern(
            offsets, self.color
        )

    def _matern(self, offsets: Tensor, ranges: tuple[float, float]) -> Tensor:
        down, right = offsets.unbind(-1)
        sine, cosine = math.sin(self.angle), math.cos(self.angle)
        along = (right * cosine + down * sine) / ranges[0]
        across = (down * cosine - right * sine) / ranges[1]
        distance = torch.hypot(along, across)
        return (1 + distance) * torch.exp(-distance)


# Chosen for PSNR on half of the McMaster set and some of CBSD68. The last one is of pictures whose
# colors differ by next to nothing but tint.
_PRIORS = (
    *(_Prior(math.pi * quarter / 4, (4.0, 1.6), (4.0, 2.0), 0.3) for quarter in range(4)),
    _Prior(0.0, (2.5, 2.5), (30.0, 30.0), 0.2),
)


def kriging(
    mosaic: Tensor, cfa: str, neutral: Sequence[float] | Tensor = (1.0, 1.0, 1.0)
) -> Tensor:
    """Best linear prediction under five priors, each weighted by how well it predicts nearby.

    1. Under each prior every color of a pixel is the combination of the 9x9 measured pixels around
       that errs least on average, whatever the mean of each color and the slope of their light
       (universal kriging). Of the measured color that is a prediction without the pixel itself.
    2. The square of how far these predictions miss what was measured, smoothed (Gaussian, sigma of
       2 pixels), to the power of -3 is a prior's weight.

    Linear but for the weights, differentiable, and the same for every pattern.

    Args:
        mosaic: (..., H, W), float32 or float64, any size.
        cfa: as :attr:`isp_meta.Camera.cfa`, of a mosaic.
        neutral: (3,) camera color of a neutral object: colors are compared as shares of it.

    Returns:
        (..., 3, H, W): measured pixels exactly as they were; may leave the range of the input.

    Source: Trussell, Hartwig, "Mathematics for demosaicking", IEEE Transactions on Image
    Processing 11(4), 2002, and Condat, "A generic variational approach for demosaicking from an
    arbitrary color filter array", ICIP 2009, for linear prediction under a prior of light and
    chroma; Cressie, *Statistics for Spatial Data*, 1993, sections 3.4 for universal kriging and
    2.6.4 for cross-validation. Weights by the errors of predictions are our own.
    """
    height, width = mosaic.shape[-2:]
    period = period_of(cfa)
    planes = mosaic.reshape(-1, height, width)
    scale = torch.as_tensor(neutral).to(mosaic)
    color = _tiled(pattern_of(cfa).to(mosaic.device), height, width)
    tall, wide = (-(-size // period) * period for size in (height, width))
    margin = _margin(period)
    reach = [
        (margin + _WINDOW, margin + _WINDOW + whole - size)
        for whole, size in ((tall, height), (wide, width))
    ]
    padded = surrounded(planes / scale[color], cfa, *reach)
    matrix = _predictors(cfa).to(mosaic)

    def colors(top: int, bottom: int) -> Tensor:
        stop = top + -(-(bottom - top) // period) * period
        band = padded[:, top : stop + 2 * (margin + _WINDOW)]
        found = _mixed(band, matrix, cfa, (stop - top, wide))
        return found[..., : bottom - top, :width] * scale.view(-1, 1, 1)

    bands = row_bands(mosaic, multiple=_ROWS // period * period)
    if len(bands) == 1:
        raw = colors(0, height)
    else:
        raw = planes.new_empty(len(planes), _COLORS, height, width)

        def fill(top: int, bottom: int) -> None:
            raw[..., top:bottom, :] = colors(top, bottom)

        of_bands(fill, bands)
    measured = functional.one_hot(color, _COLORS).movedim(-1, 0).bool()
    raw = torch.where(measured, planes[:, None], raw)
    return raw.view(*mosaic.shape[:-2], _COLORS, height, width)


def _margin(period: int) -> int:
    """Pixels around a picture whose errors count: whole periods."""
    return -(-_BLUR // period) * period


def _tiled(pattern: Tensor, height: int, width: int) -> Tensor:
    period = len(pattern)
    return pattern.repeat(-(-height // period), -(-width // period))[:height, :width]


def _mixed(band: Tensor, matrix: Tensor, cfa: str, size: Reach) -> Tensor:
    """(N, 3, H, W) of a band with all its surroundings: the mean over the priors."""
    margin = _margin(period_of(cfa))
    large = (size[0] + 2 * margin, size[1] + 2 * margin)
    predicted = window_sums(band, matrix, period_of(cfa), large)
    predicted = torch.unflatten(predicted, 1, (len(_PRIORS), _COLORS))
    measured = band[:, None, _WINDOW:-_WINDOW, _WINDOW:-_WINDOW]
    place = _tiled(pattern_of(cfa).to(band.device), *large).expand(
        len(band), len(_PRIORS), 1, *large
    )
    missed = (predicted.gather(2, place)[:, :, 0] - measured).square()
    rim = margin - _BLUR
    error = _blurred(missed[..., rim : large[0] - rim, rim : large[1] - rim])
    # Relative to the least, so that no power leaves the range of numbers.
    least = error.detach().amin(1, keepdim=True)
    floor = torch.finfo(band.dtype).tiny ** 0.5
    weight = ((least + floor) / (error + floor)) ** _POWER
    weight = weight / weight.sum(1, keepdim=True)
    inner = predicted[..., margin : large[0] - margin, margin : large[1] - margin]
    mean: Tensor = (inner * weight[:, :, None]).sum(1)
    return mean


def _blurred(planes: Tensor) -> Tensor:
    """(..., H, W) without :data:`_BLUR` pixels on each side."""
    weights = [math.exp(-0.5 * (step / _SIGMA) ** 2) for step in range(_BLUR + 1)]
    total = 2 * sum(weights) - weights[0]
    for dim in (-2, -1):
        size = planes.shape[dim] - 2 * _BLUR
        smooth = planes.narrow(dim, _BLUR, size) * (weights[0] / total)
        for step, weight in enumerate(weights[1:], 1):
            for start in (_BLUR - step, _BLUR + step):
                smooth = smooth.add_(planes.narrow(dim, start, size), alpha=weight / total)
        planes = smooth
    return planes


@cache
def _predictors(cfa: str) -> Tensor:
    """For :func:`window_sums`, float64: of each prior three colors."""
    return place_filters(torch.cat([_filters(cfa, prior) for prior in _PRIORS], 2))


def _filters(cfa: str, prior: _Prior) -> Tensor:
    """(n, n, 3, K, K) weights of the pixels around each place of the pattern."""
    pattern, side = pattern_of(cfa), 2 * _WINDOW + 1
    period = len(pattern)
    places = torch.cartesian_prod(torch.arange(period), torch.arange(period))
    at = (places[:, None] + _OFFSETS) % period
    color = pattern[at[..., 0], at[..., 1]]  # (places, pixels)
    apart = (_OFFSETS[:, None] - _OFFSETS).double()
    between = prior.covariance(apart, color[:, :, None] == color[:, None])
    between = between + _NOISE * torch.eye(len(_OFFSETS), dtype=torch.float64)
    wanted = color[..., None] == torch.arange(_COLORS)
    toward = prior.covariance(_OFFSETS[:, None].double(), wanted)  # (places, pixels, 3)
    all_of_them = torch.ones(len(_OFFSETS), dtype=torch.bool)
    others = (_OFFSETS != 0).any(1)
    own = functional.one_hot(pattern.flatten(), _COLORS).bool()[:, None]
    weights = torch.where(
        own,
        _solved(between, toward, color, others),
        _solved(between, toward, color, all_of_them),
    )
    return weights.mT.reshape(period, period, _COLORS, side, side)


def _solved(between: Tensor, toward: Tensor, color: Tensor, usable: Tensor) -> Tensor:
    """(places, pixels, 3) weights of universal kriging; 0 for pixels that are not usable.

    Whatever the mean of each color and the slope that they share, they are predicted exactly.
    """
    levels = functional.one_hot(color, _COLORS).to(between)
    slopes = (_OFFSETS / _WINDOW).to(between).expand(len(color), -1, -1)
    trend = torch.cat([levels, slopes], 2)[:, usable]
    between, known = between[:, usable][:, :, usable], toward[:, usable]
    count, terms = trend.shape[1:]
    # A color that is nowhere in the window has no mean to keep: its multiplier is set to 0.
    absent = torch.diag_embed((trend.abs().sum(1) == 0).to(between))
    equations = torch.cat([torch.cat([between, trend], 2), torch.cat([trend.mT, absent], 2)], 1)
    target = torch.eye(terms, _COLORS).to(between) - absent[..., :_COLORS]
    solution = torch.linalg.solve(equations, torch.cat([known, target], 1))
    weights = toward.new_zeros(toward.shape)
    weights[:, usable] = solution[:, :count]
    return weights
