"""Local contrast of a picture, scale by scale: what sharpening and local tone mapping act on.

log sRGB² ─▶ à-trous pyramid ─▶ five bands a color ─┬─▶ as they are
                              └─▶ what remains ─────┴─▶ their mean times brightness

A camera that sharpens multiplies the finest bands by a gain, one that maps tones locally the
coarsest. The logarithm of what it did is about linear in these bands, so that a few weights,
fitted to the samples, take most of it back.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["DETAIL_FEATURES", "DetailBands"]

# Of square light, which is about linear: keeps noise in the shadows from counting as contrast.
_FLOOR = 5e-3
# Distances between the taps of the finest bands, pixels, and of the others, in coarse pixels.
_FINE, _COARSE, _SHRINK = (1, 2, 4), (2, 4), 4
_BANDS = len(_FINE) + len(_COARSE)
_HALO = sum(_FINE)
# Rows at a time, where only some pixels of them are wanted.
_RUN = 64

DETAIL_FEATURES = 3 * _BANDS + 2 * _BANDS + 4
"""Number of features a pixel."""


def _smooth(picture: Tensor, step: int, dim: int) -> Tensor:
    """Binomial [1, 2, 1] / 4 along a dimension; shorter there by 2 * step."""
    size = picture.shape[dim] - 2 * step
    before, middle, after = (picture.narrow(dim, k * step, size) for k in range(3))
    return torch.add(before, after).mul_(0.25).add_(middle, alpha=0.5)


def _bands(picture: Tensor, steps: tuple[int, ...]) -> tuple[list[Tensor], Tensor]:
    """(C, h, w) bands and what remains, of a (C, h + 2 s, w + 2 s) picture; s: sum of the steps."""
    halo, bands = sum(steps), []
    for step in steps:
        smooth = _smooth(_smooth(picture, step, -1), step, -2)
        finer = picture[..., step:-step, step:-step] - smooth
        halo -= step
        rest = slice(halo, -halo or None)
        bands.append(finer[..., rest, rest])
        picture = smooth
    return bands, picture


def _log_light(srgb: Tensor) -> Tensor:
    return srgb.square().add_(_FLOOR).log_()


def _padded(picture: Tensor, halo: int) -> Tensor:
    return functional.pad(picture[None], (halo,) * 4, mode="replicate")[0]


@dataclass(frozen=True, eq=False)
class DetailBands:
    """The bands of one picture, computed a strip of rows at a time.

    Attributes:
        srgb: (3, H, W). coarse: (9, h, w), the two coarsest bands and what remains below them, one
            a square of 4 pixels.

    Source: the à-trous transform of Holschneider et al. and Starck and Murtagh, with a binomial.
    """

    srgb: Tensor
    coarse: Tensor

    @classmethod
    def of(cls, srgb: Tensor) -> DetailBands:
        """Of (3, H, W) in [0, 1], any size."""
        _, height, width = srgb.shape
        pad = (0, -width % _SHRINK, 0, -height % _SHRINK)
        small = functional.avg_pool2d(functional.pad(srgb[None], pad, mode="replicate"), _SHRINK)
        bands, rest = _bands(_padded(_log_light(small[0]), sum(_COARSE)), _COARSE)
        return cls(srgb, torch.cat([*bands, rest]))

    def rows(self, top: int, bottom: int) -> Tensor:
        """(DETAIL_FEATURES, bottom - top, W) features of the rows [top, bottom)."""
        return _features(*self._planes(top, bottom))

    def at(self, index: Tensor, pool: Executor) -> Tensor:
        """(N, DETAIL_FEATURES) features of the pixels of a flat index that increases."""
        _, height, width = self.srgb.shape

        def work(top: int) -> Tensor:
            bottom = min(height, top + _RUN)
            first, last = torch.searchsorted(index, index.new_tensor([top, bottom]) * width)
            if first == last:
                return self.srgb.new_empty(DETAIL_FEATURES, 0)
            some = index[first:last] - top * width
            bands, *others = self._planes(top, bottom)
            chosen = [plane.reshape(len(plane), -1)[:, some] for plane in (*bands, *others)]
            return _features(chosen[: len(bands)], *chosen[len(bands) :])

        return torch.cat(list(pool.map(work, range(0, height, _RUN))), 1).T.contiguous()

    def _planes(self, top: int, bottom: int) -> tuple[list[Tensor], Tensor, Tensor]:
        """Of the rows [top, bottom): bands, what remains below them, sRGB."""
        _, height, width = self.srgb.shape
        above, below = max(0, top - _HALO), min(height, bottom + _HALO)
        light = _log_light(self.srgb[:, above:below])
        missing = (_HALO, _HALO, _HALO - (top - above), _HALO - (below - bottom))
        fine, _ = _bands(functional.pad(light[None], missing, mode="replicate")[0], _FINE)
        coarse = self._coarse_rows(top, bottom, width)
        bands = [*fine, *torch.split(coarse[:-3], 3)]
        return bands, coarse[-3:], self.srgb[:, top:bottom]

    def _coarse_rows(self, top: int, bottom: int, width: int) -> Tensor:
        """(9, bottom - top, W), bilinear between the centers of the squares."""
        first = max(0, top // _SHRINK - 1)
        part = self.coarse[None, :, first : -(-bottom // _SHRINK) + 1]
        part = functional.interpolate(
            part, scale_factor=float(_SHRINK), mode="bilinear", align_corners=False
        )
        begin = top - first * _SHRINK
        return part[0, :, begin : begin + bottom - top, :width]


def _features(bands: list[Tensor], rest: Tensor, srgb: Tensor) -> Tensor:
    light = srgb.mean(0, keepdim=True)
    contrast = torch.cat([band.mean(0, keepdim=True) for band in bands]) * light
    level = rest.mean(0, keepdim=True).square()
    return torch.cat([*bands, contrast, contrast * light, rest, level])
