"""How near a recovered picture comes at each brightness: what is left where shadows are lifted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Stop", "stops"]

_DARKEST = 16
# What tells something of a stop: fewer of its values do not.
_LEAST = 64
# Side of a square of a plane over which errors are averaged: 16 pixels of a Bayer mosaic.
_SQUARE = 8
# Of the absolute values of normally distributed noise, the median in parts of its deviation.
_MEDIAN = 0.6745
# The norm of the mask [1 -2 1; -2 4 -2; 1 -2 1].
_NORM = 6.0


@dataclass(frozen=True)
class Stop:
    """The values of a picture from 2^-(below + 1) of full scale up to 2^-below.

    Attributes:
        below: stops below full scale at which it begins, >= 0.
        share: of all values.
        error: root of the mean squared error, in parts of full scale.
        grain: what the sensor's noise and the finest texture are in the true picture, in parts of
            full scale; where that was coded with loss, what the codec left of them.
        mottle: root of the mean squared error of means over squares of 8 values a side, all of one
            place of the mosaic (16 pixels of a Bayer mosaic), in parts of full scale; of grain an
            eighth of the error would remain. None where fewer than 16 squares are that bright.
    """

    below: int
    share: float
    error: float
    grain: float
    mottle: float | None

    @property
    def clumping(self) -> float | None:
        """Mottle in parts of what white noise of the error's size would leave: 1 shows no blotches;
        None where there is no mottle or no error."""
        if self.mottle is None or not self.error:
            return None
        return self.mottle / (self.error / _SQUARE)


def stops(estimate: Tensor, truth: Tensor, period: int = 2) -> tuple[Stop, ...]:
    """Error and grain of the values that a sensor measured, from white down.

    Args:
        estimate, truth: (1, H, W) mosaics in [0, 1]; or (3, H, W) of a linear picture.
        period: of the mosaic, see :attr:`isp_meta.Camera.period`.

    Returns:
        One for each of the first 16 stops that at least 64 values lie in; none of a picture
        of fewer than 3 periods a side.

    Raises:
        ValueError: shapes differ.

    Source: the mask of Immerkær, *Comput. Vis. Image Underst.* 64(2), 1996, on the plane of each
    place of the mosaic; the median in place of his mean, which edges do not reach.
    """
    if estimate.shape != truth.shape:
        raise ValueError(f"shapes differ: {tuple(estimate.shape)} and {tuple(truth.shape)}")
    if min(truth.shape[1:]) < 3 * period:
        return ()
    places = product(range(len(truth)), range(period), range(period))
    parts = [
        _plane(*(picture[channel, y::period, x::period] for picture in (estimate, truth)))
        for channel, y, x in places
    ]
    value, square, rough, level, off = (torch.cat(part) for part in zip(*parts, strict=True))
    place, place_of_square = _stop_of(value), _stop_of(level)
    found = []
    for below in range(_DARKEST):
        here, squares = ((at == below).nonzero()[:, 0] for at in (place, place_of_square))
        if len(here) < _LEAST:
            continue
        grain = float(rough[here].median()) / (_MEDIAN * _NORM)
        mottle = _root(off[squares]) if len(squares) >= _LEAST // 4 else None
        found.append(Stop(below, len(here) / len(value), _root(square[here]), grain, mottle))
    return tuple(found)


def _stop_of(value: Tensor) -> Tensor:
    """Exactly, unlike a logarithm's floor; full scale joins what is below it, black is in none."""
    place = (-torch.frexp(value).exponent).clamp_(min=0)
    return torch.where(value > 0, place, _DARKEST)


def _root(squares: Tensor) -> float:
    return math.sqrt(float(squares.mean(dtype=torch.float64)))


def _plane(estimate: Tensor, truth: Tensor) -> tuple[Tensor, ...]:
    """Of a plane's pixels but those at its border: values, squared errors and roughness; of their
    squares: means and squared errors of these."""
    inner = truth[1:-1, 1:-1]
    error = estimate[1:-1, 1:-1] - inner
    columns = truth[:, :-2] + truth[:, 2:] - 2 * truth[:, 1:-1]
    rough = (columns[:-2] + columns[2:] - 2 * columns[1:-1]).abs_()
    level, off = (_means(plane) for plane in (inner, error))
    found = inner, error.square(), rough, level, off.square()
    return tuple(plane.flatten() for plane in found)


def _means(plane: Tensor) -> Tensor:
    if min(plane.shape) < _SQUARE:
        return plane.new_empty(0)
    return functional.avg_pool2d(plane[None], _SQUARE)[0]
