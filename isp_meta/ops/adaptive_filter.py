"""A filter with weights of its own for each phase of a mosaic and each kind of surroundings.

raw, srgb ─▶ differences to 24 pixels around ─┬─ weighted by phase and kind ─▶ gain × raw
                                              └─ of some pixels ─▶ features, kinds
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import _native  # noqa: F401
from .grid import center_dtype, check_beside, check_pixels, refused_gradient, register_calls
from .operator import operator

__all__ = ["FILTER_FEATURES", "FILTER_KINDS", "adaptive_filter", "filter_features"]

_ops = torch.ops.isp_meta

FILTER_KINDS = 6
"""Kinds of surroundings: clipped, dark, bright, each of them calm or active."""

FILTER_FEATURES = 72
"""Features of a pixel: of 12 pairs of pixels, in three colors of raw and of sRGB."""

_PHASES = 4


@operator
def adaptive_filter(
    raw: Tensor, picture: Tensor, weights: Tensor, bright: float, active: float
) -> Tensor:
    """Multiplies a raw picture by what differences to the pixels around tell.

        result = (raw + 0.001) (1 + gain) - 0.001,   gain = weights . features, in [-0.5, 1]

    Features are (p(+d) - p) + (p(-d) - p) for 12 offsets d, half of a diamond of radius 3; p is the
    log of each color of raw + 0.001, then each color of sRGB. A pixel's weights are those of its
    phase, 2 (row % 2) + column % 2, and its kind:

        0, 1  a color at 254/255 or more among these pixels     2, 3  none, and dark   4, 5  bright

    odd where the sums of the three colors of these pixels differ by ``active`` or more.
    The picture goes on beyond its edges as it is at them. Without gradient: backward is refused.

    Args:
        raw: (3, H, W) in [0, 1], of the picture's dtype, at least float32.
        picture: (3, H, W) sRGB in [0, 1], float32 or float64, on CUDA float16 and bfloat16 as well.
        weights: (4, 6, 3, 72) of each phase, kind, color and feature, of raw's dtype.
        bright: the sum of a pixel's colors from which on it is bright.
        active: see above.

    Returns:
        (3, H, W) in [0, 1], of raw's dtype.

    Raises:
        ValueError: shapes or devices do not fit. TypeError: dtype.
        NotImplementedError: backward; :func:`isp_meta.ops.reference.adaptive_filter` has one.

    Source: the adaptive loop filter of VVC (Tsai et al., *IEEE J. Sel. Top. Signal Process.* 7,
    2013; ITU-T H.266), there integer, of the decoded picture alone.
    """
    _check(raw, picture)
    shape = (_PHASES, FILTER_KINDS, 3, FILTER_FEATURES)
    check_beside("weights", weights, shape, picture, {raw.dtype})
    result: Tensor = _ops.adaptive_filter(raw, picture, weights, bright, active)
    return result


@operator
def filter_features(
    raw: Tensor, picture: Tensor, index: Tensor, bright: float, active: float
) -> tuple[Tensor, Tensor]:
    """What :func:`adaptive_filter` weighs, and the kind, of some pixels.

    Args:
        index: (N,) int64, flat, increasing.
        raw, picture, bright, active: as of :func:`adaptive_filter`.

    Returns:
        (N, 72) features, of raw's dtype, and (N,) int64 kinds. Without gradient.

    Raises:
        As :func:`adaptive_filter`.
    """
    _check(raw, picture)
    check_beside("index", index, (index.numel(),), picture, {torch.int64})
    features, kinds = _ops.filter_features(raw, picture, index, bright, active)
    return features, kinds


def _check(raw: Tensor, picture: Tensor) -> None:
    if picture.dim() != 3:
        raise ValueError(f"picture must be (3, H, W), not {tuple(picture.shape)}")
    check_pixels("picture", picture[None], 3)
    check_beside("raw", raw, tuple(picture.shape), picture, {center_dtype(picture.dtype)})


def _adaptive_filter_fake(
    raw: Tensor, picture: Tensor, weights: Tensor, bright: float, active: float
) -> Tensor:
    return torch.empty_like(raw, memory_format=torch.contiguous_format)


def _filter_features_fake(
    raw: Tensor, picture: Tensor, index: Tensor, bright: float, active: float
) -> tuple[Tensor, Tensor]:
    return raw.new_empty(index.shape[0], FILTER_FEATURES), index.new_empty(index.shape[0])


for _name, _fake in (
    ("adaptive_filter", _adaptive_filter_fake),
    ("filter_features", _filter_features_fake),
):
    torch.library.register_fake(f"isp_meta::{_name}", _fake)
    torch.library.register_autograd(f"isp_meta::{_name}", refused_gradient(_name))
    register_calls(getattr(_ops, _name), f"isp_meta::{_name}")
