"""Finds where a finished picture lies in the raw that it was made from, or says why nowhere.

raw, picture ─▶ tones ─┬─ an eighth of the size ─▶ which way turned, roughly where
                       ├─ windows all over it ─▶ where to the pixel, and what no shift explains
                       └─ tiles ─▶ where both show the same
"""

from __future__ import annotations

import math
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import PictureMismatch
from ..processors.workers import workers
from ..samples import Samples
from .agreement import TILE, agreement, brightness
from .match import directions, match, match_part
from .placement import Placement, Size, size_of, upright
from .windows import local_shifts

__all__ = ["LARGEST_SHIFT", "Registration", "register"]

LARGEST_SHIFT = 64
"""How far a picture may reach beyond its raw, pixels."""

# Longer side of the raw when it is first compared; least side of a picture in which there is
# anything to compare; side of the grid of block means that tell something of the others.
_SMALL, _LEAST_SIDE, _GRID = 512, 32, 32

# A picture is like itself, but for rounding.
_ITSELF = 0.9

# Least side of the small picture: fewer pixels are alike by chance.
_LEAST_SMALL = 16

# Renderings of two photographs correlated by 0.73 to 0.98 at their place, by at most 0.11 elsewhere
# or turned another way.
_LEAST_LIKENESS = 0.2

# How far a place must stand out from the next best; repeated patterns leave little.
# From the larger margin on no other turn needs a try.
_MARGIN, _BEYOND_DOUBT = 1.05, 2.0

# Up to half a pixel the nearest pixel is the right one. Windows of renderings of the whole sensor
# are off by up to 0.2; a corrected lens moves most of the picture by more than 1.
_MOST_RESIDUAL, _SHARE, _MOST_LOST, _LEAST_AGREEING = 0.5, 0.75, 0.4, 0.5

# Block means of one scene's raw and rendered picture rank alike, however the tones were mapped. On
# three photographs renderings correlated by 0.98 or more; mirrored, turned and unrelated pictures
# by at most 0.51.
_LEAST_CORRELATION, _NEGATIVE = 0.6, -0.3

_ADVICE = (
    "its lens distortion was corrected, or it was resized; turn that off in the program that made "
    "it, and export in full size"
)

# Spread of block means in which there is nothing to recognize, and 8-bit codes that are clipped.
_FLAT, _BLACK, _WHITE = 1e-3, 4, 250


@dataclass(frozen=True, eq=False)
class Registration:
    """How a picture fits its raw.

    Attributes:
        placement: which raw pixel each of its pixels shows.
        likeness: correlation of the gradients of both, 0 to 1; NaN where there are none to compare.
        median_residual, largest_residual: how far windows all over the picture are from that
            placement, pixels; NaN where none can tell.
        agrees: (ceil(h / 16), ceil(w / 16)) bool: which tiles show what the raw shows.
        size: (h, w) of the picture.
        raw_size: (H, W) of the raw.
    """

    placement: Placement
    likeness: float
    median_residual: float
    largest_residual: float
    agrees: Tensor
    size: Size
    raw_size: Size

    @property
    def share(self) -> float:
        """Share of the picture that agrees with the raw."""
        return float(self.agrees.float().mean())

    def shown(self) -> Tensor:
        """(h, w) bool: the pixels that show what the raw holds for them."""
        height, width = self.size
        tiles = self.agrees.repeat_interleave(TILE, 0).repeat_interleave(TILE, 1)
        shown = torch.zeros(height, width, dtype=torch.bool, device=tiles.device)
        inside = self.placement.shared(self.raw_size, self.size)
        shown[inside] = tiles[:height, :width][inside]
        return shown

    def keep(self, samples: Samples) -> Samples:
        """The samples at pixels that show what the raw holds for them.

        Args:
            samples: of the placed raw, in the picture's order of pixels.
        """
        kept = self.shown().flatten().to(samples.index.device)[samples.index]
        return replace(samples, index=samples.index[kept], value=samples.value[kept])


def register(
    shown: Tensor, raw: Tensor, orientation: int = 1, *, force: bool = False
) -> Registration:
    """Finds the placement of a finished picture in its raw.

    Args:
        shown: (3, h, w) uint8, the picture.
        raw: (3, H, W) linear in [0, 1], as the sensor delivered it.
        orientation: of the raw's camera: the turn to be expected.
        force: takes the likeliest placement although the two differ.

    Raises:
        PictureMismatch: it shows something else, was resized, or is shifted differently in
            different places; the text does not name the file.
    """
    size, raw_size = size_of(shown), size_of(raw)
    with workers() as pool:
        tone, true = pool.map(brightness, (shown, raw))
        fit = _find(tone, true, orientation, pool, force)
        agrees = agreement(shown, fit.placement.apply(raw, size), pool)
    found = Registration(
        fit.placement, fit.likeness, fit.median, fit.largest, agrees, size, raw_size
    )
    if found.share < _LEAST_AGREEING and not force:
        raise PictureMismatch(
            f"shows what the raw shows in only {100 * found.share:.0f} % of it; "
            "too much of it was retouched"
        )
    return found


@dataclass(frozen=True)
class _Fit:
    placement: Placement
    likeness: float = math.nan
    median: float = math.nan
    largest: float = math.nan


def _find(tone: Tensor, true: Tensor, orientation: int, pool: Executor, force: bool) -> _Fit:
    size, raw_size = size_of(tone), size_of(true)
    likely = sorted(range(1, 9), key=lambda turn: (turn != orientation, turn))
    turns = [turn for turn in likely if _fits(size, Placement(turn).turned_size(raw_size))]
    if min(*size, *raw_size) >= _LEAST_SIDE:
        rough = _roughly(tone, true, turns)
        if rough is not None:
            return _exactly(tone, true, *rough, pool, force)
        if _recognizable(tone) and _recognizable(true) and not force:
            raise PictureMismatch(_why_not(tone, true))
    return _in_place(tone, true, orientation, force)


def _fits(size: Size, whole: Size) -> bool:
    return all(side <= full + 2 * LARGEST_SHIFT for side, full in zip(size, whole, strict=True))


def _small(tone: Tensor, true: Tensor) -> tuple[Tensor, Tensor, int]:
    """Both at a scale at which the raw is small, and that scale."""
    scale = math.ceil(max(true.shape) / _SMALL)
    part, whole = (functional.avg_pool2d(p[None], scale)[0] for p in (tone, true))
    return part, whole, scale


def _roughly(tone: Tensor, true: Tensor, turns: list[int]) -> tuple[Placement, float] | None:
    """The likeliest turn and shift, where one stands out, and its likeness."""
    part, whole, scale = _small(tone, true)
    if min(part.shape) < _LEAST_SMALL:
        return None
    shown, found = directions(part), []
    for turn in turns:
        best = match(shown, directions(upright(whole, turn)), LARGEST_SHIFT // scale)
        found.append((best.likeness, turn, best))
        if best.distinct(_LEAST_LIKENESS, _BEYOND_DOUBT):
            break
    found.sort(key=lambda item: item[0], reverse=True)
    if not found or not found[0][2].distinct(_LEAST_LIKENESS, _MARGIN):
        return None
    likeness, turn, best = found[0]
    placement = Placement(turn, round(best.top * scale), round(best.left * scale))
    # Chance may find its likeness where next to nothing of the picture lies in the raw.
    spans = placement.shared(size_of(true), size_of(tone))
    if any(2 * (s.stop - s.start) < side for s, side in zip(spans, size_of(tone), strict=True)):
        return None
    return placement, likeness


def _exactly(
    tone: Tensor, true: Tensor, placement: Placement, likeness: float, pool: Executor, force: bool
) -> _Fit:
    """The placement to the pixel, once its windows are found to agree on it."""
    turned = upright(true, placement.turn)
    windows = local_shifts(tone, turned, placement, pool)
    placement = replace(
        placement, top=placement.top + windows.top, left=placement.left + windows.left
    )
    median, largest = windows.quantile(0.5), windows.quantile(1.0)
    known = len(windows.residual)
    if not force and windows.lost > _MOST_LOST * (known + windows.lost):
        raise PictureMismatch(
            f"shows what the raw shows in only {known} of {known + windows.lost} places "
            f"compared; {_ADVICE}"
        )
    if not force and windows.quantile(_SHARE) > _MOST_RESIDUAL:
        raise PictureMismatch(
            f"does not fit the raw pixel by pixel: it is off by {median:.1f} pixels in the median, "
            f"by up to {largest:.1f}; {_ADVICE}"
        )
    rows, columns = placement.shared(size_of(true), size_of(tone))
    there = placement.apply(true[None], size_of(tone))[0]
    if not force and _rank_correlation(tone[rows, columns], there[rows, columns]) < _NEGATIVE:
        raise PictureMismatch("is bright where the raw is dark: a negative, or another picture")
    return _Fit(placement, likeness, median, largest)


def _recognizable(tone: Tensor) -> bool:
    """Whether a picture has detail by which a shift of it could be told."""
    small = directions(_small(tone, tone)[0])
    return match_part(small, small)[0].distinct(_ITSELF, _MARGIN)


def _why_not(tone: Tensor, true: Tensor) -> str:
    """What to say of a picture that is found nowhere in the raw."""
    shown, raw = (f"{p.shape[1]}x{p.shape[0]}" for p in (tone, true))
    for turn in range(1, 9):
        turned = upright(true, turn)
        if abs(math.log(tone.shape[0] * turned.shape[1] / tone.shape[1] / turned.shape[0])) < 0.03:
            longer = max(*tone.shape, _SMALL)
            grid = (-(-tone.shape[0] * _SMALL // longer), -(-tone.shape[1] * _SMALL // longer))
            part, whole = (
                directions(functional.adaptive_avg_pool2d(p[None], grid)[0]) for p in (tone, turned)
            )
            if match(part, whole, LARGEST_SHIFT // 8).distinct(_LEAST_LIKENESS, _MARGIN):
                return (
                    f"has {shown} pixels, the raw {raw}: it was resized, or its lens distortion "
                    "corrected; export it in full size, lens correction turned off"
                )
    return (
        f"does not show what the raw shows ({shown} pixels, the raw {raw}); it is another picture, "
        "or was resized, turned by a few degrees, or its lens distortion corrected"
    )


def _in_place(tone: Tensor, true: Tensor, orientation: int, force: bool) -> _Fit:
    """For pictures without detail: no shift; block means must rank alike where not clipped."""
    likely = dict.fromkeys((1, orientation))
    turns = [turn for turn in likely if Placement(turn).turned_size(size_of(true)) == size_of(tone)]
    if not turns:
        raise PictureMismatch(
            f"has {tone.shape[1]}x{tone.shape[0]} pixels, the raw {true.shape[1]}x{true.shape[0]}, "
            "and too little detail to tell where they belong"
        )
    correlation, turn = max((_rank_correlation(tone, upright(true, t)), -t) for t in turns)
    if not correlation >= _LEAST_CORRELATION and not force:
        raise PictureMismatch(
            f"does not show what the raw shows (rank correlation {correlation:.2f})"
        )
    return _Fit(Placement(-turn))


def _rank_correlation(tone: Tensor, true: Tensor) -> float:
    """Of block means, where the picture is not clipped; 1 for a flat raw, NaN for no block."""
    grid = (min(tone.shape[0], _GRID), min(tone.shape[1], _GRID))
    shown, raw = (functional.adaptive_avg_pool2d(p[None], grid).flatten() for p in (tone, true))
    if float(raw.max() - raw.min()) < _FLAT:
        return 1.0
    open_ = (shown > _BLACK / 255) & (shown < _WHITE / 255)
    shown, raw = shown[open_], raw[open_]
    if len(shown) < 2:
        return math.nan
    if float(shown.max() - shown.min()) < 1 / 255:
        return 0.0
    return float(torch.corrcoef(torch.stack([_ranks(shown), _ranks(raw)]))[0, 1])


def _ranks(values: Tensor) -> Tensor:
    """(N,) ranks of (N,) values, equal ones sharing their mean rank, as Spearman's rho needs."""
    _, place, count = torch.unique(values, return_inverse=True, return_counts=True)
    mean_rank: Tensor = count.cumsum(0) - (count - 1) / 2
    return mean_rank[place]
