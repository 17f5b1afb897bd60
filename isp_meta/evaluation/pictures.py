"""Pictures that show where samples lie and where errors are."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..frame import Samples

__all__ = ["error_map", "sample_overlay"]


def error_map(estimate: Tensor, truth: Tensor, full_scale: float = 0.02) -> Image.Image:
    """The largest channel's absolute error: black none, orange half, white ``full_scale`` or more.

    Args:
        estimate, truth: (3, H, W) in [0, 1].
        full_scale: error shown white, as a share of saturation, > 0.

    Returns:
        RGB picture of the same size.
    """
    error = (estimate - truth).abs().amax(0) / full_scale
    gray = Image.fromarray((error.clamp(0, 1) * 255).to(torch.uint8).cpu().numpy())
    return ImageOps.colorize(gray, black="black", mid="orangered", white="white")


def sample_overlay(srgb: Tensor, samples: Samples, zoom: int = 2) -> Image.Image:
    """The picture, dimmed and enlarged, with every kept pixel in yellow.

    Args:
        srgb: (3, H, W) in [0, 1]. samples: of the same picture. zoom: >= 1.

    Returns:
        RGB picture of ``zoom`` times the size.
    """
    shown = srgb * 0.6
    marked = samples.mask()[0].bool().to(srgb.device)
    for channel, level in enumerate((1.0, 0.95, 0.2)):
        shown[channel][marked] = level
    pixels = (shown.clamp(0, 1) * 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(np.repeat(np.repeat(pixels, zoom, 0), zoom, 1))
