"""What the ops of the adaptive filter mean; a part of :mod:`isp_meta.ops.reference`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["adaptive_filter", "filter_features"]

_REACH = 3
# Half of a diamond: the pixel opposite makes the pair.
_PAIRS = [
    (y, x)
    for y in range(_REACH + 1)
    for x in range(-_REACH, _REACH + 1)
    if (y, x) > (0, 0) and abs(y) + abs(x) <= _REACH
]


def _shifted(planes: Tensor, y: int, x: int) -> Tensor:
    """Of each pixel of (C, H, W) the one so far beside it."""
    height, width = planes.shape[1:]
    beyond = functional.pad(planes[None], (_REACH,) * 4, mode="replicate")[0]
    return beyond[:, _REACH + y : _REACH + y + height, _REACH + x : _REACH + x + width]


def _features_and_kinds(
    raw: Tensor, picture: Tensor, bright: float, active: float
) -> tuple[Tensor, Tensor]:
    """(72, H, W) and (H, W) int64."""
    picture = picture.to(raw)
    planes = torch.cat([(raw + 1e-3).log(), picture])
    pairs = [_shifted(planes, y, x) + _shifted(planes, -y, -x) - 2 * planes for y, x in _PAIRS]
    features = torch.stack(pairs, 1).flatten(0, 1)
    sums = (picture[:1] + picture[1:2]) + picture[2:]
    around = [(0, 0), *_PAIRS, *((-y, -x) for y, x in _PAIRS)]
    near = torch.cat([_shifted(sums, y, x) for y, x in around])
    largest = torch.cat([_shifted(picture.amax(0, keepdim=True), y, x) for y, x in around])
    is_active = (near.amax(0) - near.amin(0) >= active).long()
    plain = 2 + 2 * (sums[0] >= bright).long()
    return features, torch.where(largest.amax(0) >= 254 / 255, 0, plain) + is_active


def filter_features(
    raw: Tensor, picture: Tensor, index: Tensor, bright: float, active: float
) -> tuple[Tensor, Tensor]:
    """All pixels' features and kinds, then some of them."""
    features, kinds = _features_and_kinds(raw, picture, bright, active)
    return features.flatten(1)[:, index].T, kinds.flatten()[index]


def adaptive_filter(
    raw: Tensor, picture: Tensor, weights: Tensor, bright: float, active: float
) -> Tensor:
    """Each pixel with the weights of its phase and kind."""
    features, kinds = _features_and_kinds(raw, picture, bright, active)
    y, x = (torch.arange(size, device=raw.device) % 2 for size in raw.shape[1:])
    gain = torch.einsum("hwcf,fhw->chw", weights[2 * y[:, None] + x, kinds], features)
    return ((raw + 1e-3) * (1 + gain.clamp(-0.5, 1)) - 1e-3).clamp(0, 1)
