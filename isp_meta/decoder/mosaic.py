"""The mosaic that a recovered raw must be made of, and the raw that is made of a mosaic.

    raw (3, H, W) ─ fit ─▶ mosaic ─ Enhancement ─▶ mosaic ─ demosaicing ─▶ raw

Raw was demosaiced: of its three values a pixel the sensor measured one. What recovery makes of a
picture knows nothing of that, and most of its error is of a kind that no demosaiced mosaic has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from ..camera import BAYER_PATTERNS
from ..io import remosaic
from ..processors.workers import workers
from ..stages.borders import extended
from ..stages.demosaic import DemosaicMethod, demosaic

__all__ = ["DemosaicedRaw"]

_T = TypeVar("_T")

# Linear, and the same everywhere but for the pattern: others choose directions by what they see.
_LINEAR: tuple[DemosaicMethod, ...] = ("malvar", "bilinear")
# Those that look at nothing but the mosaic.
_KNOWN: tuple[DemosaicMethod, ...] = (*_LINEAR, "menon")
# Squares of the pattern that a pixel's filter reaches over, a side. With five, 0.01 dB is left to
# gain by more.
_TAPS = 5
# Pixels beyond a strip that demosaicing reads, and those of the filter.
_HALO, _REACH = 8, _TAPS // 2 * 2
_LEAST_SIDE = 2 * _HALO
_STRIP_PIXELS = 1 << 18
# Shares that are tried, and what keeps the root of black from being steep.
_SHARES, _DARK = 16, 1e-3
# Root mean square by which rounding may change what was demosaiced.
_SAME = 1e-4


@dataclass(frozen=True)
class DemosaicedRaw:
    """How a raw picture was made of a Bayer sensor's mosaic.

    Args:
        cfa: RGGB, BGGR, GRBG or GBRG.
        method: of demosaicing: malvar, bilinear or menon.
    """

    cfa: str
    method: DemosaicMethod

    @classmethod
    def of(cls, cfa: str, method: str) -> DemosaicedRaw | None:
        """None where the sensor is none of Bayer's, or nobody knows how it was demosaiced.

        Args:
            cfa: as :attr:`isp_meta.Camera.cfa`. method: a name, or "".
        """
        known = next((each for each in _KNOWN if each == method), None)
        return None if known is None or cfa not in BAYER_PATTERNS else cls(cfa, known)

    @torch.no_grad()
    def made(self, raw: Tensor) -> bool:
        """Whether a raw picture is what the method makes of its own mosaic, and nothing came after.

        Args:
            raw: (3, H, W); every eighth strip is looked at, borders, which may be a crop's, not.
        """
        height, width = raw.shape[1:]
        if min(height, width) <= _LEAST_SIDE:
            return True
        mosaic = remosaic(raw, self.cfa)

        def work(top: int, bottom: int) -> Tensor:
            change = self._demosaiced(mosaic, top, bottom) - raw[:, top:bottom]
            rows = slice(max(_HALO - top, 0), max(min(bottom, height - _HALO) - top, 0))
            return change[:, rows, _HALO:-_HALO].square_().flatten()

        change = torch.cat(_each_strip(work, height, width, step=8))
        return float(change.mean(dtype=torch.float64)) < _SAME**2

    @torch.no_grad()
    def fit(self, raw: Tensor) -> Tensor:
        """The mosaic that comes nearest to a raw picture when it is demosaiced.

        Least squares over all three colors where demosaicing is linear, by the shortest unbiased
        filter of 10x10 pixels; else, and in a picture of less than 16 pixels a side, what the raw
        has of each pixel's own color.

        Args:
            raw: (3, H, W) in [0, 1].

        Returns:
            (1, H, W) in [0, 1].

        Source: the pseudoinverse of the demosaicing operator, applied as a periodic filter.
        """
        _, height, width = raw.shape
        if self.method not in _LINEAR or min(height, width) < _LEAST_SIDE:
            return remosaic(raw, self.cfa)
        weight = _filter(self.cfa, self.method).to(raw)
        mosaic = raw.new_empty(1, height, width)

        def work(top: int, bottom: int) -> None:
            rows = extended(raw, 1, top - _REACH, bottom + bottom % 2 + _REACH)
            around = extended(rows, 2, -_REACH, width + width % 2 + _REACH)
            planes = functional.pixel_unshuffle(around[None], 2)
            found = functional.pixel_shuffle(functional.conv2d(planes, weight), 2)[0]
            torch.clamp(found[:, : bottom - top, :width], 0, 1, out=mosaic[:, top:bottom])

        _each_strip(work, height, width)
        return mosaic

    @torch.no_grad()
    def colors(self, mosaic: Tensor, raw: Tensor, share: float) -> None:
        """Makes raw of a mosaic: measured values, and between them part of what demosaicing gives.

            raw ← own color: mosaic; others: share · demosaiced + (1 − share) · raw

        Args:
            mosaic: (1, H, W) in [0, 1].
            raw: (3, H, W), that the mosaic was found in; written over.
            share: of demosaicing, 0 to 1. The nearer the mosaic is to the sensor's, the more.
        """

        def work(top: int, bottom: int) -> None:
            part = raw[:, top:bottom]
            part.lerp_(self._demosaiced(mosaic, top, bottom), share)
            self.put_own(mosaic[:, top:bottom], part)

        _each_strip(work, mosaic.shape[1], mosaic.shape[2])

    def put_own(self, mosaic: Tensor, raw: Tensor) -> None:
        """Writes a mosaic (1, H, W) over each pixel's own color of raw (3, H, W)."""
        for place, color in enumerate(self.cfa):
            at = slice(place // 2, None, 2), slice(place % 2, None, 2)
            raw["RGB".index(color)][at] = mosaic[0][at]

    @torch.no_grad()
    def share_of(self, mosaic: Tensor, raw: Tensor, truth: Tensor) -> float:
        """The share that comes nearest to the truth, as the eye sees what is developed of both.

        Of 0, 1/16, ... 1 the one with the least mean difference of cube roots, which is how CIELAB
        counts lightness, of means over 2x2 pixels; every fourth strip is looked at.

        Args:
            mosaic, raw: as :meth:`colors` takes them. truth: (3, H, W).
        """

        def work(top: int, bottom: int) -> Tensor:
            seen, made = raw[:, top:bottom].clone(), self._demosaiced(mosaic, top, bottom)
            self.put_own(mosaic[:, top:bottom], seen)
            first, last, wanted = (_means(each) for each in (seen, made, truth[:, top:bottom]))
            root = (wanted + _DARK).pow_(1 / 3)
            found = (torch.lerp(first, last, share / _SHARES) for share in range(_SHARES + 1))
            return torch.stack(
                [each.add_(_DARK).pow_(1 / 3).sub_(root).abs_().sum() for each in found]
            ).double()

        height, width = mosaic.shape[1:]
        off = torch.stack(_each_strip(work, height, width, step=4)).sum(0)
        return int(off.argmin()) / _SHARES

    def _demosaiced(self, mosaic: Tensor, top: int, bottom: int) -> Tensor:
        """(3, bottom - top, W) in [0, 1] of rows from an even one on."""
        first, last = max(top - _HALO, 0), min(bottom + _HALO, mosaic.shape[1])
        # Here a picture ends where it does not end: what that changes is cut off.
        made = demosaic(mosaic[:, first:last], self.cfa, self.method)
        return made[:, top - first : bottom - first].clamp_(0, 1)


def _means(picture: Tensor) -> Tensor:
    return functional.avg_pool2d(picture, 2, ceil_mode=True)


def _each_strip(work: Callable[[int, int], _T], height: int, width: int, step: int = 1) -> list[_T]:
    """What is made of every step-th strip of an even number of rows."""
    rows = max(_STRIP_PIXELS // width, 2 * _HALO) // 2 * 2
    tops = range(0, height, rows * step)
    with workers() as pool:
        return list(pool.map(work, tops, [min(top + rows, height) for top in tops]))


@lru_cache
def _filter(cfa: str, method: DemosaicMethod) -> Tensor:
    """(4, 12, 5, 5): raw's colors by places of the pattern, to a mosaic's places.

    Of all filters of this size that give every mosaic back of its demosaiced picture, the one that
    lets least noise through.
    """
    side = 2 * _TAPS + 2 * _HALO
    one_each = torch.eye(side**2, dtype=torch.float64).view(-1, 1, side, side)
    # A mosaic that goes on as it began has no edges.
    around = functional.pad(one_each, (_HALO,) * 4, "circular")
    made = demosaic(around, cfa, method)[..., _HALO:-_HALO, _HALO:-_HALO]
    window = slice(_HALO, _HALO + 2 * _TAPS)
    seen = made[..., window, window].reshape(side**2, -1)
    corner = (_HALO + _REACH) * (side + 1)
    middle = [corner + row * side + column for row in (0, 1) for column in (0, 1)]
    wanted = torch.eye(side**2, dtype=torch.float64)[:, middle]
    taps = torch.linalg.lstsq(seen, wanted, driver="gelsd").solution.T
    return functional.pixel_unshuffle(taps.reshape(4, 3, 2 * _TAPS, 2 * _TAPS), 2).float()
