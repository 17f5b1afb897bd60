"""Figures of merit: for linear raw pictures in [0, 1], and for colors as they are seen."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["delta_e_2000", "psnr", "ssim", "xyz_to_lab"]

_WINDOW = 11
_STRIP_PIXELS = 2_000_000
_DELTA = 6 / 29
_25_TO_7 = 25.0**7


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


def xyz_to_lab(xyz: Tensor, white: Tensor) -> Tensor:
    """CIE 1976 L*a*b*.

    Args:
        xyz: (3, ...). white: (3,) XYZ of what has L* = 100.

    Returns:
        (3, ...), L* from 0 on.

    Source: CIE 15:2018, section 8.2.1.
    """
    t = xyz / white.to(xyz).view(3, *(1,) * (xyz.dim() - 1))
    f = torch.where(t > _DELTA**3, t.clamp(min=_DELTA**3).pow(1 / 3), t / (3 * _DELTA**2) + 4 / 29)
    return torch.stack([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def delta_e_2000(one: Tensor, other: Tensor) -> Tensor:
    """CIEDE2000 color difference, all parametric factors 1.

    Args:
        one, other: (3, ...) CIE L*a*b*.

    Returns:
        (...), about 1 where a difference is just seen.

    Source: Sharma, Wu, Dalal, "The CIEDE2000 color-difference formula", *Color Res. Appl.* 30(1),
    2005.
    """
    mean = (one[1:].norm(dim=0) + other[1:].norm(dim=0)) / 2
    stretch = 1.5 - 0.5 * _chroma_share(mean)
    chroma, hue = zip(*(_polar(color, stretch) for color in (one, other)), strict=True)
    gray = chroma[0] * chroma[1] == 0
    turn = hue[1] - hue[0]
    turn = turn - 360 * torch.round(turn / 360)
    turn = torch.where(gray, 0, turn)
    middle = torch.where(gray, hue[0] + hue[1], hue[0] + turn / 2)
    lightness, chroma_mean = (one[0] + other[0]) / 2, (chroma[0] + chroma[1]) / 2
    weight = (
        1
        - 0.17 * _cosine(middle - 30)
        + 0.24 * _cosine(2 * middle)
        + 0.32 * _cosine(3 * middle + 6)
        - 0.20 * _cosine(4 * middle - 63)
    )
    off = (lightness - 50).square()
    light = (other[0] - one[0]) / (1 + 0.015 * off / (20 + off).sqrt())
    strong = (chroma[1] - chroma[0]) / (1 + 0.045 * chroma_mean)
    around = 2 * (chroma[0] * chroma[1]).sqrt() * torch.sin(torch.deg2rad(turn / 2))
    around = around / (1 + 0.015 * chroma_mean * weight)
    blue = 30 * torch.exp(-(((middle % 360 - 275) / 25).square()))
    rotation = -torch.sin(torch.deg2rad(2 * blue)) * 2 * _chroma_share(chroma_mean)
    squared = light.square() + strong.square() + around.square() + rotation * strong * around
    difference: Tensor = squared.clamp(min=0).sqrt()
    return difference


def _chroma_share(chroma: Tensor) -> Tensor:
    seventh = chroma.double().pow(7)
    return (seventh / (seventh + _25_TO_7)).sqrt().to(chroma)


def _polar(color: Tensor, stretch: Tensor) -> tuple[Tensor, Tensor]:
    """Chroma, and hue in degrees from 0 to 360, of a stretched axis of red and green."""
    a, b = color[1] * stretch, color[2]
    return torch.hypot(a, b), torch.atan2(b, a) * (180 / math.pi) % 360


def _cosine(degrees: Tensor) -> Tensor:
    return torch.cos(torch.deg2rad(degrees))
