"""Mosaics whose colors repeat in a square of any size: their surroundings, sums over windows."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from ..camera import pattern_of, period_of
from .borders import extended

__all__ = ["Reach", "least_cfa", "nearest", "place_filters", "surrounded", "window_sums"]

Reach = tuple[int, int]

_COLORS = 3


def least_cfa(cfa: str) -> str:
    """The same filter in its least period: a Bayer pattern that was written twice is one again.

    Args:
        cfa: as :attr:`isp_meta.Camera.cfa`; without a mosaic it stays.
    """
    period = period_of(cfa)
    rows = [cfa[start : start + period] for start in range(0, len(cfa), period)]
    for side in range(1, period):
        square = [row[:side] for row in rows[:side]]
        if period % side == 0 and rows == [row * (period // side) for row in square] * (
            period // side
        ):
            return "".join(square)
    return cfa


def surrounded(mosaic: Tensor, cfa: str, rows: Reach, columns: Reach) -> Tensor:
    """A mosaic that goes on beyond its edges in the order of its pattern.

    Beyond an edge the picture is mirrored about its outermost pixel. The pattern is not, so that
    each pixel there has the color that the pattern wants, estimated from those around its image.

    Args:
        mosaic: (N, H, W).
        cfa: as :attr:`isp_meta.Camera.cfa`.
        rows, columns: how many lines before the first and behind the last, each >= 0.

    Returns:
        (N, rows + H + rows, columns + W + columns).
    """
    pattern = pattern_of(cfa).to(mosaic.device)
    taller = _taller(mosaic, pattern, rows)
    return _taller(taller.mT, pattern.roll(rows[0], 0).T, columns).mT


def _taller(plane: Tensor, pattern: Tensor, reach: Reach) -> Tensor:
    height, size = plane.shape[-2], 2 * len(pattern) + 1
    parts = [plane]
    for lines, at_end in ((reach[0], False), (reach[1], True)):
        if lines == 0:
            continue
        # What the mirrored lines are estimated from.
        strip = min(height, lines + size)
        first = height - strip if at_end else 0
        colors = _colors(plane[..., first : first + strip, :], pattern.roll(-first, 0))
        start, stop = (strip, strip + lines) if at_end else (-lines, 0)
        mirrored = extended(colors, -2, start, stop)
        wanted = _color_at(pattern, range(first + start, first + stop), plane.shape[-1])
        chosen = mirrored.gather(1, wanted.expand(len(plane), 1, -1, -1))[:, 0]
        parts.insert(len(parts) if at_end else 0, chosen)
    return torch.cat(parts, -2)


def _color_at(pattern: Tensor, lines: range, width: int) -> Tensor:
    """(lines, width) int64."""
    period = len(pattern)
    rows = torch.arange(lines.start, lines.stop, device=pattern.device) % period
    columns = torch.arange(width, device=pattern.device) % period
    return pattern[rows][:, columns]


def _colors(strip: Tensor, pattern: Tensor) -> Tensor:
    """(N, 3, h, w): means of each color around, the nearer the heavier; of a color that is nowhere
    around, those of all."""
    period = len(pattern)
    line = torch.arange(-period, period + 1, device=strip.device).to(strip.dtype)
    kernel = (1 + line.square() + line.square()[:, None]) ** -3
    color = _color_at(pattern, range(strip.shape[-2]), strip.shape[-1])
    mask = functional.one_hot(color, _COLORS).movedim(-1, 0).to(strip)
    weighted = torch.stack([strip[:, None] * mask, mask.expand(len(strip), -1, -1, -1)])
    sums = functional.conv2d(
        weighted.flatten(0, 2)[:, None], kernel.expand(1, 1, -1, -1), padding=period
    )
    values, weights = sums.view_as(weighted)
    everything = values.sum(1, keepdim=True) / weights.sum(1, keepdim=True)
    some = weights > 0
    return torch.where(some, values / torch.where(some, weights, 1), everything)


def place_filters(filters: Tensor) -> Tensor:
    """One matrix of filters that differ from place to place of the pattern; see `window_sums`.

    Args:
        filters: (n, n, F, K, K): of each place of the period F windows around it, K odd.

    Returns:
        ((n + K - 1)^2, F n n): each column a filter within the window around a whole period.
    """
    period, _, count, size, _ = filters.shape
    whole = filters.new_zeros(count, period, period, *[period + size - 1] * 2)
    for y in range(period):
        for x in range(period):
            whole[:, y, x, y : y + size, x : x + size] = filters[y, x]
    return whole.flatten(0, 2).flatten(1).T.contiguous()


def window_sums(plane: Tensor, matrix: Tensor, period: int, size: Reach) -> Tensor:
    """What filters give that differ from place to place of the pattern.

    Args:
        plane: (N, H + K - 1, W + K - 1): the picture with K // 2 more lines on each side, H and W
            multiples of the period.
        matrix: from :func:`place_filters`.
        period: of the pattern.
        size: (H, W).

    Returns:
        (N, F, H, W).
    """
    side = plane.shape[-1] - size[1] + period
    windows = plane.unfold(-2, side, period).unfold(-2, side, period)
    sums = windows.flatten(-2) @ matrix
    down, across = size[0] // period, size[1] // period
    places = sums.view(len(plane), down, across, -1, period, period)
    return places.permute(0, 3, 1, 4, 2, 5).reshape(len(plane), -1, *size)


def nearest(mosaic: Tensor, cfa: str) -> Tensor:
    """Of each color the mean of the nearest pixels that have it.

    Args:
        mosaic: (..., H, W).
        cfa: as :attr:`isp_meta.Camera.cfa`, of a mosaic.

    Returns:
        (..., 3, H, W): measured pixels exactly as they were.
    """
    height, width = mosaic.shape[-2:]
    period = period_of(cfa)
    size = -(-height // period) * period, -(-width // period) * period
    reach = [
        (period, period + whole - side) for whole, side in zip(size, (height, width), strict=True)
    ]
    padded = surrounded(mosaic.reshape(-1, height, width), cfa, *reach)
    raw = window_sums(padded, _nearest_filters(cfa).to(mosaic), period, size)
    return raw[..., :height, :width].reshape(*mosaic.shape[:-2], _COLORS, height, width)


@cache
def _nearest_filters(cfa: str) -> Tensor:
    pattern = pattern_of(cfa)
    period = len(pattern)
    line = torch.arange(-period, period + 1)
    distance = line.square() + line.square()[:, None]
    place = torch.arange(period)
    at = (place[:, None] + line) % period
    # (y, x, 3, K, K)
    colors = pattern[at[:, None, :, None], at[None, :, None, :]][:, :, None]
    there = colors == torch.arange(_COLORS).view(-1, 1, 1)
    far = torch.where(there, distance, distance.max() + 1)
    chosen = (far == far.amin((-2, -1), keepdim=True)).double()
    return place_filters(chosen / chosen.sum((-2, -1), keepdim=True))
