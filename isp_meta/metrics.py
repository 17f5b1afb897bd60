"""Figures of merit for linear raw pictures in [0, 1]."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["psnr", "ssim"]

_WINDOW = 11
_STRIP_PIXELS = 2_000_000


def psnr(estimate: Tensor, truth: Tensor, where: Tensor | None = None) -> float:
    """Peak signal-to-noise ratio against a peak of 1.

        −10 log10 mean (estimate − truth)²,  the mean over pixels and channels

    Args:
        estimate, truth: (C, H, W).
        where: (H, W) bool, the pixels that count; None: all.

    Returns:
        Decibels; inf where equal, nan where no pixel counts.

    Raises:
        ValueError: shapes differ.
    """
    if estimate.shape != truth.shape:
        raise ValueError(f"shapes differ: {tuple(estimate.shape)} and {tuple(truth.shape)}")
    total, count = 0.0, 0
    for channel in range(len(truth)):
        error = (estimate[channel] - truth[channel]).square_()
        error = error if where is None else error[where]
        total += float(error.sum(dtype=torch.float64))
        count += error.numel()
    if not count:
        return math.nan
    return math.inf if total == 0 else -10 * math.log10(total / count)


def ssim(estimate: Tensor, truth: Tensor) -> float:
    """Mean structural similarity over pixels and channels, data range 1.

    Args:
        estimate, truth: (C, H, W); reflected at the borders.

    Returns:
        At most 1, reached where equal; nan for a picture smaller than the window's half.

    Raises:
        ValueError: shapes differ.

    Source: Wang et al., *IEEE Trans. Image Process.* 13(4), 2004: Gaussian window of 11x11
    pixels, σ = 1.5; kornia's implementation, in strips so that memory stays bounded.
    """
    if estimate.shape != truth.shape:
        raise ValueError(f"shapes differ: {tuple(estimate.shape)} and {tuple(truth.shape)}")
    from kornia.metrics import ssim as ssim_map  # takes longer to load than PyTorch's own parts

    channels, height, width = truth.shape
    halo = _WINDOW // 2
    if min(height, width) <= halo:
        return math.nan
    rows = max(_WINDOW, _STRIP_PIXELS // width)
    total = 0.0
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        first, last = max(0, top - halo), min(height, bottom + halo)
        left, right = estimate[None, :, first:last], truth[None, :, first:last]
        # kornia's own epsilon would make equal dark pictures unequal.
        part = ssim_map(left, right, window_size=_WINDOW, max_val=1.0, eps=0.0)[0]
        total += float(part[:, top - first : bottom - first].sum(dtype=torch.float64))
    return total / (channels * height * width)
