"""Interpolation between the contours of a picture of few bits: one region of equal codes at a time.

Distances run inside a region, from pixel to pixel over eight neighbors, 1 or √2 a move.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .codes import check_codes, low_end

__all__ = ["content_adaptive", "contour_reconstruction"]

_Levels = npt.NDArray[np.int64]
_Distances = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]

# Opposite moves are a half apart.
_MOVES = ((0, 1), (1, 0), (1, 1), (1, -1), (0, -1), (-1, 0), (-1, -1), (-1, 1))
_OUTSIDE = -9  # a level that no code is next to


def _shifted(padded: npt.NDArray[np.generic], move: tuple[int, int]) -> npt.NDArray[np.generic]:
    """(H, W): of every pixel its neighbor, from (H + 2, W + 2)."""
    height, width = padded.shape[0] - 2, padded.shape[1] - 2
    down, right = move
    return padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]


def _flood(levels: _Levels, start: _Distances) -> _Distances:
    """Distances inside regions of equal levels, from pixels that have one; inf: out of reach."""
    padded = np.pad(levels, 1, constant_values=_OUTSIDE)
    distance = np.pad(start, 1, constant_values=np.inf)
    strides = np.array([down * padded.shape[1] + right for down, right in _MOVES])
    lengths = np.array([math.hypot(*move) for move in _MOVES])
    level, best = padded.ravel(), distance.ravel()
    front = np.flatnonzero(np.isfinite(best))
    while front.size:
        neighbors = front[:, None] + strides
        reach = best[front, None] + lengths
        better = (level[neighbors] == level[front, None]) & (reach < best[neighbors])
        neighbors, reach = neighbors[better], reach[better]
        np.minimum.at(best, neighbors, reach)
        front = np.unique(neighbors)
    return distance[1:-1, 1:-1]


def _contour_distance(levels: _Levels, step: int) -> _Distances:
    """How far the nearest pixel is whose level is higher by ``step``, 1 next to it; inf: none."""
    padded = np.pad(levels, 1, constant_values=_OUTSIDE)
    start = np.full(levels.shape, np.inf)
    for move in _MOVES:
        beside = _shifted(padded, move) == levels + step
        start[beside] = np.minimum(start[beside], math.hypot(*move))
    return _flood(levels, start)


def _step_ratio(down: _Distances, up: _Distances) -> _Distances:
    """down / (down + up) in [0, 1]; 1/2 where there is neither contour."""
    ratio = np.full(down.shape, 0.5)
    ratio[np.isfinite(down) & np.isinf(up)] = 0
    ratio[np.isinf(down) & np.isfinite(up)] = 1
    both = np.isfinite(down) & np.isfinite(up)
    ratio[both] = down[both] / (down[both] + up[both])
    return ratio


def _ridge(distance: _Distances) -> _Mask:
    """Where a distance is a crest across at least two of the four lines through a pixel."""
    inside = np.where(np.isfinite(distance), distance, 0)
    padded = np.pad(inside, 1, mode="edge")
    crests = np.zeros(distance.shape, dtype=np.int64)
    for move, opposite in zip(_MOVES[:4], _MOVES[4:], strict=True):
        ahead, behind = _shifted(padded, move), _shifted(padded, opposite)
        # Regions of even width have two middles, one beside the other.
        crests += (inside >= np.maximum(ahead, behind)) & (inside > np.minimum(ahead, behind))
    return (crests >= 2) & (inside > 0)


def _to_skeleton(levels: _Levels, distance: _Distances, where: _Mask) -> _Distances:
    """Distance to the virtual skeleton, 0 on it, of regions where ``distance`` is to their rim."""
    distance = np.where(where, distance, np.inf)
    start = np.where(_ridge(distance), 0.0, np.inf)
    return _flood(levels, start)[where]


def _within_bins(codes: Tensor, ratios: list[_Distances], missing: int) -> Tensor:
    """q 2^n + round(ratio (2^n - 1)), halves up."""
    ratio = torch.from_numpy(np.stack(ratios))
    low: Tensor = (ratio * (2**missing - 1) + 0.5).floor_().long().to(codes.device)
    return low_end(codes, missing) + low


def contour_reconstruction(codes: Tensor, bits: int, true_bits: int) -> Tensor:
    """Contour region reconstruction: a pixel lies between the contours around its region.

        q 2^n + round(r (2^n - 1)),  r = d_down / (d_down + d_up)

    d_down, d_up: to the nearest pixel of the region one level below, above, 1 beside it. A region
    without any above gets r = 0, without any below 1 (what the content adaptive method mends),
    without both 1/2.

    Args:
        codes: (C, H, W), integers in [0, 2^bits - 1]; each channel alone.
        bits, true_bits: 1 <= bits <= true_bits.

    Returns:
        (C, H, W) int64 in the bins of the codes.

    Raises:
        ValueError, TypeError: as :func:`check_codes`.

    Source: Cheng, Au, Liu and Yip, Bit-depth expansion by contour region reconstruction, ISCAS
    2009. Taken here: a step of several levels is an edge, no contour, and rounding to nearest.
    """
    codes = check_codes(codes, bits, true_bits)
    ratios = [
        _step_ratio(_contour_distance(levels, -1), _contour_distance(levels, 1))
        for levels in codes.cpu().numpy()
    ]
    return _within_bins(codes, ratios, true_bits - bits)


def _content_adaptive_ratio(levels: _Levels) -> _Distances:
    down, up = _contour_distance(levels, -1), _contour_distance(levels, 1)
    ratio = _step_ratio(down, up)
    peak = np.isfinite(down) & np.isinf(up)
    pit = np.isinf(down) & np.isfinite(up)
    ratio[peak] = 0.5 * down[peak] / (down[peak] + _to_skeleton(levels, down, peak))
    ratio[pit] = 1 - 0.5 * up[pit] / (up[pit] + _to_skeleton(levels, up, pit))
    return ratio


def content_adaptive(codes: Tensor, bits: int, true_bits: int) -> Tensor:
    """Content adaptive bit-depth expansion: contours, and a virtual skeleton in peaks and pits.

    As :func:`contour_reconstruction`, but where a region has no contour above (a peak) or below
    (a pit), its middle line stands for it, half a step from the contour that there is:

        peak: r = d_down / (d_down + d_skeleton) / 2
        pit:  r = 1 - d_up / (d_up + d_skeleton) / 2

    Arguments, returns and errors as :func:`contour_reconstruction`.

    Source: Wan, Au, Tang, Guo and Fang, From 2D extrapolation to 1D interpolation: content
    adaptive image bit-depth expansion, ICME 2012. Taken here: the skeleton is the crest of the
    distance to the region's contour; every peak and pit has one, however small. Left out: the
    model of its own for the lowest and highest code, and the smoothing along the skeleton.
    """
    codes = check_codes(codes, bits, true_bits)
    ratios = [_content_adaptive_ratio(levels) for levels in codes.cpu().numpy()]
    return _within_bins(codes, ratios, true_bits - bits)
