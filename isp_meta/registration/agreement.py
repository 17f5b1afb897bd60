"""Where a picture shows what its raw shows: not under a watermark, a border or a retouched spot.

    tile of both ─┬─ what of the picture's contrast no mix of the raw's colors explains
                  ├─ what of the raw's contrast no mix of the picture's colors explains
                  ├─ brightness against that of all other tiles as bright in the raw
                  └─ black or white where as bright a raw is elsewhere neither

Clipped pixels say nothing of the contrast around them, so that it is taken without them.
"""

from __future__ import annotations

import dataclasses
from concurrent.futures import Executor
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["TILE", "agreement", "brightness"]

TILE = 16
"""Side of a tile that agrees or does not, pixels."""

# Moments are taken of means over 2 x 2 pixels: a quarter of the work, half of the noise. Bands are
# as high as whole larger tiles, of so many tiles along a side.
_MEAN, _LARGER = 2, 4
_BAND = 8 * _LARGER * TILE

# Contrast (standard deviation within a tile, display range 0 to 1) that needs an explanation: this
# much, so many times what is usual in this picture, and more than this part of the tile's own; and
# the share of pixels that must be there to tell.
_CONTRAST, _TIMES_USUAL, _PART, _LEAST_OPEN = 0.01, 3.0, 0.5, 0.25

# Brightness that is off: this much, and so many times the usual deviation of tiles of its kind.
_BRIGHTNESS, _TIMES_DEVIATION, _KINDS = 0.25, 9.0, 32

# What counts as black and white; share of the pixels as bright in the raw that must be clipped for
# it to be the rendering's doing, share of a tile's pixels that may be clipped otherwise.
_BLACK, _WHITE, _USUALLY, _ODD = 6 / 255, 250 / 255, 0.15, 0.1
_LEVELS = 64

# The colors of both, two by two.
_PAIRS = [(i, j) for i in range(6) for j in range(i, 6)]

_LUMA = (0.25, 0.5, 0.25)
_RIDGE = 1e-5


def brightness(picture: Tensor) -> Tensor:
    """Brightness about evenly spaced for the eye: of 8-bit codes as they are, of light by a root.

    Args:
        picture: (3, H, W), uint8 or linear in [0, 1].

    Returns:
        (H, W) float32 in [0, 1].
    """
    mixed: Tensor = (_LUMA[0] * picture[0]).float()
    for weight, plane in zip(_LUMA[1:], picture[1:], strict=True):
        mixed.add_(plane, alpha=weight)
    return mixed.div_(255) if picture.dtype == torch.uint8 else mixed.clamp_(min=0).sqrt_()


@dataclass(frozen=True)
class _Tiles:
    """Sums over tiles, as means over their pixels: of pixels not clipped, but for the last two."""

    open: Tensor  # (1, h, w) share of pixels not clipped
    sum: Tensor  # (6, h, w) three colors of the picture, three of the raw
    square: Tensor  # (21, h, w) of every two colors, row by row of the upper triangle
    bright: Tensor  # (6, h, w) as the sums, of all pixels
    clipped: Tensor  # (1, 8 h, 8 w) uint8: level of the raw, + 64 where black, + 128 where white

    @classmethod
    def of(cls, shown: Tensor, raw: Tensor) -> _Tiles:
        colors = torch.cat([_means(picture.float(), _MEAN) for picture in (shown, raw)])
        colors[:3] /= 255
        colors[3:].clamp_(min=0).sqrt_()
        darkest, lightest = colors[:3].aminmax(dim=0, keepdim=True)
        black, white = lightest <= _BLACK, darkest >= _WHITE
        level = (_LEVELS * _luma(colors[3:])).clamp(max=_LEVELS - 1).to(torch.uint8)
        level = level[None] + _LEVELS * black.to(torch.uint8) + 2 * _LEVELS * white.to(torch.uint8)
        known = (~black & (lightest < _WHITE)).float()
        side = TILE // _MEAN
        seen = colors * known
        square = [_means(seen[i : i + 1] * colors[j : j + 1], side) for i, j in _PAIRS]
        sums = _means(seen, side), torch.cat(square), _means(colors, side)
        return cls(_means(known, side), *sums, level)

    @classmethod
    def join(cls, parts: list[_Tiles]) -> _Tiles:
        """One above the other."""
        fields = ([getattr(part, f.name) for part in parts] for f in dataclasses.fields(cls))
        return cls(*(torch.cat(field, 1) for field in fields))

    def covariance(self, larger: int = 1) -> Tensor:
        """(h, w, 6, 6) of pixels not clipped, 0 where these are few; of tiles joined to larger."""
        share, total, square = (_means(f, larger) for f in (self.open, self.sum, self.square))
        mean, square = total / share.clamp(min=1e-9), square / share.clamp(min=1e-9)
        found = mean.new_empty(*mean.shape[1:], 6, 6)
        for (i, j), product in zip(_PAIRS, square, strict=True):
            found[..., i, j] = found[..., j, i] = product - mean[i] * mean[j]
        return found * (share[0] >= _LEAST_OPEN)[..., None, None]


def agreement(shown: Tensor, raw: Tensor, pool: Executor) -> Tensor:
    """Which tiles of a picture show what its raw shows.

    Args:
        shown: (3, H, W) uint8. raw: (3, H, W) linear in [0, 1], placed as the picture is.
        pool: works on several bands at a time.

    Returns:
        (ceil(H / TILE), ceil(W / TILE)) bool; a tile beside one that differs does not agree either.
    """
    bands = pool.map(_Tiles.of, torch.split(shown, _BAND, 1), torch.split(raw, _BAND, 1))
    tiles = _Tiles.join(list(bands))
    differs = _off_tone(tiles.bright) | _oddly_clipped(tiles.clipped)
    # A soft spot shows in nothing smaller than itself.
    for larger in (1, _LARGER):
        odd = _odd_contrast(tiles.covariance(larger))
        odd = odd.repeat_interleave(larger, 0).repeat_interleave(larger, 1)
        differs |= odd[: differs.shape[0], : differs.shape[1]]
    grown = functional.max_pool2d(differs[None].float(), 3, stride=1, padding=1)[0]
    return grown == 0


def _means(picture: Tensor, side: int) -> Tensor:
    return functional.avg_pool2d(picture[None], side, ceil_mode=True, count_include_pad=False)[0]


def _luma(colors: Tensor) -> Tensor:
    return torch.einsum("c,chw->hw", colors.new_tensor(_LUMA), colors)


def _odd_contrast(covariance: Tensor) -> Tensor:
    """(h, w) bool: contrast in one of both that the other lacks."""
    picture, raw = slice(0, 3), slice(3, 6)
    return _unexplained(covariance, picture, raw) | _unexplained(covariance, raw, picture)


def _unexplained(covariance: Tensor, of: slice, by: slice) -> Tensor:
    """(h, w) bool: contrast in the brightness of some colors that no mix of the others explains."""
    weight = covariance.new_tensor(_LUMA)
    shared = covariance[..., by, of] @ weight
    variance = covariance[..., of, of] @ weight @ weight
    known = covariance[..., by, by] + _RIDGE * torch.eye(3)
    explained = (shared * torch.linalg.solve(known, shared)).sum(-1)
    left = (variance - explained).clamp(min=0)
    usual = left.median().sqrt()
    odd: Tensor = left.sqrt() > (_TIMES_USUAL * usual).clamp(min=_CONTRAST)
    return odd.logical_and_(left > _PART * variance)


def _oddly_clipped(level: Tensor) -> Tensor:
    """(h, w) bool: black or white where the picture is mostly not at as bright a raw."""
    count = torch.bincount(level.flatten(), minlength=3 * _LEVELS).view(3, _LEVELS).float()
    usual = count / count.sum(0).clamp(min=1)
    odd = (usual < _USUALLY).float()
    odd[0] = 0
    return _means(odd.flatten()[level.int()], TILE // _MEAN)[0] > _ODD


def _off_tone(mean: Tensor) -> Tensor:
    """(h, w) bool: brightness far from that of other tiles with as bright a raw."""
    bright = _luma(mean[:3]).flatten()
    # The mix of the raw's colors that is most like the picture's brightness.
    known = torch.cat([mean[3:].flatten(1), bright.new_ones(1, len(bright))])
    gram = known @ known.T + _RIDGE * len(bright) * torch.eye(4)
    expected = torch.linalg.solve(gram, known @ bright) @ known
    count = min(_KINDS, max(1, len(bright) // _KINDS))
    off = torch.zeros_like(bright)
    for members in expected.argsort().tensor_split(count):
        error = bright[members] - expected[members]
        distance = (error - error.median()).abs()
        off[members] = distance / (_TIMES_DEVIATION * distance.median()).clamp(min=_BRIGHTNESS)
    return (off > 1).view(mean.shape[1:])
