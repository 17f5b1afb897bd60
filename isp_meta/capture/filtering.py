"""The adaptive filter that brings what recovery makes of a picture nearest to its raw.

recovered, sRGB, raw ─▶ pixels, most of them where it errs ─▶ normal equations of each phase and
    kind ─▶ weights in steps ─▶ AdaptiveFilter, where its bytes pay
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..codec import AdaptiveFilter
from ..io import remosaic
from ..ops.adaptive_filter import FILTER_FEATURES, FILTER_KINDS, filter_features
from ..processors.workers import workers

__all__ = ["fit_filter"]

# Pixels that are looked at: all of a small picture, one in so many, or so many of a large one; the
# share of them that is chosen anywhere. The others are the likelier the larger their error: a few
# pixels have most of it.
_ALL, _ONE_IN, _MOST_PIXELS, _ANYWHERE = 20_000, 12, 200_000, 0.1
# Rows that a worker takes at a time.
_ROWS = 64
_FLOOR = 1e-3
# Of the mean square of a feature; what is fitted to few pixels stays small.
_RIDGE = 1e-3
_EXPONENTS = (7, 7)
# What a decibel before the enhancement is worth after it, and what it costs to take a share of the
# metadata from the rest: three times the bits bring three decibels (docs/enhancement.md).
_KEPT, _PRICE = 0.5, 2.7
_PHASES = 4


@torch.no_grad()
def fit_filter(
    recovered: Tensor,
    srgb: Tensor,
    raw: Tensor,
    used: float,
    *,
    room: float = math.inf,
    cfa: str = "",
    shown: Tensor | None = None,
) -> AdaptiveFilter | None:
    """The filter of the least squared error whose bytes pay; None where no filter's do.

    The number of threads changes no weight.

    Args:
        recovered: (3, H, W) what recovery makes of the samples. srgb: (3, H, W), of the picture.
        raw: (3, H, W), the truth, all in [0, 1].
        used: bytes of the metadata without it, or that all may take.
        room: bytes that it may take.
        cfa: of a Bayer mosaic, whose own colors alone count; "": all three do.
        shown: (H, W) bool, where the picture shows what the raw holds. None: everywhere.
    """
    pixels = _Pixels.of(recovered, srgb, raw, cfa, shown)
    if not pixels.error > 0:
        return None
    equations = pixels.equations()
    best, most = None, 0.0
    for merged in (equations, equations.sum(1, keepdim=True)):
        levels, gained = _solve(merged)
        made = AdaptiveFilter(levels.numpy(), _EXPONENTS, *pixels.thresholds, cfa)
        left = max(pixels.error - gained, 1e-3 * pixels.error)
        # Pixels that were not looked at gain less (Akaike, IEEE Trans. Autom. Control 19, 1974).
        count, known = sum(map(len, pixels.index)), len(pixels.raw)
        left *= 1 + 2 * levels.numel() / (known * count) * (1 - count / raw[0].numel())
        worth = _KEPT * 10 * math.log10(pixels.error / left) - _PRICE * made.size / max(used, 1)
        if worth > most and made.size <= room:
            best, most = made, worth
    return best


@dataclass(frozen=True, eq=False)
class _Pixels:
    """Those that are looked at, chosen by chance, the likelier the more recovery errs.

    Attributes:
        recovered, srgb: whole pictures.
        found, raw: (3, H, W), or (1, H, W) of a mosaic: what is filtered, and the truth.
        index: by strips, flat. share: how likely each was chosen.
        error: sum of squares over all pixels and colors.
        thresholds: of kinds, as stored: half of what is looked at lies above each.
    """

    recovered: Tensor
    srgb: Tensor
    found: Tensor
    raw: Tensor
    index: list[Tensor]
    share: list[Tensor]
    error: float
    thresholds: tuple[int, int]

    @classmethod
    def of(
        cls, recovered: Tensor, srgb: Tensor, raw: Tensor, cfa: str, shown: Tensor | None
    ) -> _Pixels:
        """Looks at all pixels twice: how large errors are, and which to take."""
        found = recovered
        if cfa:
            found, raw = remosaic(recovered, cfa), remosaic(raw, cfa)
        height, width = recovered.shape[1:]
        strips = [slice(top, top + _ROWS) for top in range(0, height, _ROWS)]

        def missed(rows: slice) -> tuple[Tensor, Tensor]:
            """Squared error, and its power of 3/4."""
            error = (found[:, rows] - raw[:, rows]).square_().sum(0)
            if shown is not None:
                error *= shown[rows]
            root = error.sqrt()
            return error, root.sqrt().mul_(root)

        def measure(rows: slice) -> tuple[float, float]:
            error, size = missed(rows)
            return float(error.sum()), float(size.sum())

        with workers() as pool:
            squares, sizes = (
                math.fsum(part) for part in zip(*pool.map(measure, strips), strict=True)
            )
            count = min(max(height * width / _ONE_IN, _ALL), _MOST_PIXELS)
            even = 1 if height * width <= _ALL else _ANYWHERE * count / (height * width)
            by_size = (1 - _ANYWHERE) * count / max(sizes, 1e-30)

            def choose(rows: slice) -> tuple[Tensor, Tensor]:
                chance = missed(rows)[1].mul_(by_size).add_(even).flatten()
                if shown is not None:
                    chance *= shown[rows].flatten()
                generator = torch.Generator().manual_seed(rows.start)
                drawn = torch.rand(chance.shape, generator=generator).to(chance) < chance
                index = drawn.nonzero()[:, 0]
                return index + rows.start * width, chance[index].clamp(max=1)

            index, share = map(list, zip(*pool.map(choose, strips), strict=True))
        thresholds = _thresholds(srgb, torch.cat(index))
        return cls(recovered, srgb, found, raw, index, share, squares, thresholds)

    def equations(self) -> Tensor:
        """(phases, 6, colors, 73, 73) float64: products of weighted features, and of the target,
        the last."""
        limits = [AdaptiveFilter.threshold(stored) for stored in self.thresholds]
        side, colors = FILTER_FEATURES + 1, len(self.raw)
        phases = _PHASES if colors == 1 else 1
        shape = phases * FILTER_KINDS, colors, side, side
        total = self.raw.new_zeros(shape, dtype=torch.float64)

        def work(index: Tensor, share: Tensor) -> list[tuple[int, Tensor]]:
            features, kind = filter_features(self.recovered, self.srgb, index, *limits)
            group = kind
            if phases > 1:
                y, x = index // self.srgb.shape[2] % 2, index % self.srgb.shape[2] % 2
                group = (2 * y + x) * FILTER_KINDS + kind
            found = self.found.flatten(1)[:, index] + _FLOOR
            target = (self.raw.flatten(1)[:, index] + _FLOOR) / found - 1
            # Beyond what a gain may be it counts as that.
            target = target.clamp_(-0.5, 1)
            weight = found * share.rsqrt()
            parts = []
            for number in sorted(set(group.tolist())):
                chosen = (group == number).nonzero()[:, 0]
                seen = features[chosen].expand(colors, -1, -1)
                rows = torch.cat([seen, target[:, chosen, None]], 2)
                rows *= weight[:, chosen, None]
                parts.append((number, rows.transpose(1, 2) @ rows))
            return parts

        with workers() as pool:
            for parts in pool.map(work, self.index, self.share):
                for number, products in parts:
                    total[number] += products
        return total.view(phases, FILTER_KINDS, colors, side, side)


def _thresholds(srgb: Tensor, index: Tensor) -> tuple[int, int]:
    """Medians of the sum of colors, and of how far apart those of neighbors are."""
    if not len(index):
        return 0, 0
    index = index[:: max(1, len(index) // 20_000)]
    height, width = srgb.shape[1:]
    sums = srgb.sum(0)
    y, x = index // width, index % width
    around = torch.stack(
        [
            sums[(y + dy).clamp(0, height - 1), (x + dx).clamp(0, width - 1)]
            for dy in (-2, 0, 2)
            for dx in (-2, 0, 2)
        ]
    )
    medians = (around[4].median(), (around.amax(0) - around.amin(0)).median())
    bright, active = (min(int(255 * median), AdaptiveFilter.MOST_THRESHOLD) for median in medians)
    return bright, active


def _solve(equations: Tensor) -> tuple[Tensor, float]:
    """Levels of the weights, and by how much they lessen the sum of squares.

    Weights are rounded one by one, the last first, each with what the rounding of those after it
    asks of it: by the factors of Cholesky, as Babai, *Combinatorica* 6, 1986, finds a near point of
    a lattice.
    """
    products, target = equations[..., :-1, :-1], equations[..., :-1, -1]
    steps = torch.from_numpy(AdaptiveFilter.steps(_EXPONENTS)).to(products)
    mean = products.diagonal(dim1=-2, dim2=-1).mean(-1)
    ridge = _RIDGE * mean + 1e-12
    ridged = products + ridge[..., None, None] * torch.eye(FILTER_FEATURES).to(products)
    # In steps.
    scaled = ridged * steps * steps[:, None]
    factor = torch.linalg.cholesky(scaled, upper=True)
    exact = torch.cholesky_solve((target * steps)[..., None], factor, upper=True)[..., 0]
    rounded = torch.zeros_like(exact)
    for place in reversed(range(FILTER_FEATURES)):
        after = factor[..., place, place + 1 :] * (exact - rounded)[..., place + 1 :]
        wished = exact[..., place] + after.sum(-1) / factor[..., place, place]
        rounded[..., place] = wished.round().clamp(-32767, 32767)
    weights = rounded * steps
    kept = 2 * weights * target - weights * (products @ weights[..., None])[..., 0]
    return rounded.to(torch.int16).cpu(), float(kept.sum())
