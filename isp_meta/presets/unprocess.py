"""Raw for those who have none: a finished picture led back through a plausible camera.

srgb ─▶ tone⁻¹ ─▶ transfer⁻¹ ─▶ color matrix⁻¹ ─▶ gains⁻¹ ─▶ raw ─▶ mosaic ─▶ + noise ─▶ codes
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from ..camera import MONOCHROME, Camera
from ..frame import Frame
from ..io import remosaic
from ..stages import BlackLevel, add_noise, as_shot_gains, camera_to_srgb, color_matrix, srgb_decode
from .random_cameras import random_camera

__all__ = ["random_noise", "unprocess"]

# Brooks et al., section 3.5: fitted to the Darmstadt Noise Dataset.
_SHOT = (1e-4, 1.2e-2)
_READ_SLOPE, _READ_OFFSET, _READ_SPREAD = 2.18, 1.20, 0.26
# Section 3.3: 1 / brightness is the mean and the spread of what a picture was lifted by.
_BRIGHTNESS, _BRIGHTNESS_SPREAD, _LEAST_BRIGHTNESS = 0.8, 0.1, 0.1
# Section 3.3, Eq. 7: gray level above which gains are left aside, so that white stays white.
_HIGHLIGHT = 0.9


def random_noise(
    generator: torch.Generator | None = None, shot: tuple[float, float] = _SHOT
) -> tuple[float, float]:
    """Shot and read noise of a random camera and ISO, for a mosaic in [0, 1].

        log shot ~ U(log low, log high),  log read ~ N(2.18 log shot + 1.20, 0.26)

    Args:
        generator: None: torch's own.
        shot: low and high, > 0: reciprocals of the largest and the smallest full well, electrons.

    Returns:
        (shot, read): variance = shot * signal + read.

    Source: Brooks et al., "Unprocessing images for learned raw denoising", CVPR 2019, section 3.5.
    """
    low, high = map(math.log, shot)
    log_shot = low + (high - low) * float(torch.rand((), generator=generator))
    spread = _READ_SPREAD * float(torch.randn((), generator=generator))
    log_read = _READ_SLOPE * log_shot + _READ_OFFSET + spread
    return math.exp(log_shot), math.exp(log_read)


def unprocess(
    srgb: Tensor,
    camera: Camera | None = None,
    generator: torch.Generator | None = None,
    *,
    noise: tuple[float, float] | Literal["random"] | None = "random",
    brightness: float | None = None,
) -> Frame:
    """Makes plausible raw from a finished picture.

        linear = decode(smoothstep⁻¹(srgb))
        raw = linear through the color matrix's inverse · brightness / gains, less so toward white
        codes = round((raw at its place in the mosaic + noise) (white - black) + black)

    Args:
        srgb: (3, H, W) in [0, 1], float32 or float64.
        camera: whose raw to make: levels, pattern, color matrix, as-shot neutral. None: a random
            one, see :func:`isp_meta.presets.random_cameras.random_camera`.
        generator: of everything random; None: torch's own.
        noise: (shot, read), >= 0, "random" (see :func:`random_noise`), or None for none at all.
        brightness: > 0, of the sensor's picture against the finished one; None: random, about 0.8.

    Returns:
        A Frame with ``srgb`` as given, ``raw`` (3, H, W) noise-free and linear, ``codes`` of the
        noisy mosaic rounded to whole sensor codes ((1, H, W); (3, H, W) of a linear camera), and
        ``camera``, whose ``noise`` says what was added. ``codes`` go through any pipeline as a raw
        file's do.

    Raises:
        ValueError: a shape or value that does not fit, or a color matrix that is no calibration.

    Source: Brooks et al., "Unprocessing images for learned raw denoising", CVPR 2019, section 3.
    """
    if srgb.dim() != 3 or srgb.shape[0] != 3 or 0 in srgb.shape or not srgb.is_floating_point():
        raise ValueError(f"srgb must be (3, H, W) floating point, not {tuple(srgb.shape)}")
    if not bool(torch.isfinite(srgb).all()):
        raise ValueError("srgb must be finite")
    camera = random_camera(generator) if camera is None else camera
    if brightness is None:
        deviation = _BRIGHTNESS_SPREAD * float(torch.randn((), generator=generator))
        brightness = max(_BRIGHTNESS + deviation, _LEAST_BRIGHTNESS)
    if not brightness > 0:
        raise ValueError(f"brightness must be positive, not {brightness}")
    shot_and_read = random_noise(generator) if noise == "random" else noise
    if shot_and_read is not None and not (len(shot_and_read) == 2 and min(shot_and_read) >= 0):
        raise ValueError(f"noise must be (shot, read) >= 0, 'random' or None, not {noise!r}")
    linear = srgb_decode(_inverse_smoothstep(srgb.clamp(0, 1)))
    from_srgb = torch.linalg.inv(camera_to_srgb(camera.color_matrix))
    gains = as_shot_gains(camera.as_shot_neutral) / brightness
    raw = _undo_gains(color_matrix(linear, from_srgb), gains)
    mosaic = remosaic(raw, camera.cfa)
    if camera.cfa == MONOCHROME:
        raw = mosaic.expand(3, -1, -1)
    if shot_and_read is not None:
        mosaic = add_noise(mosaic, *shot_and_read, generator=generator)
    camera = camera.replace(noise=shot_and_read)
    frame = BlackLevel().invert(Frame(camera, mosaic=mosaic, raw=raw, srgb=srgb))
    codes = frame.require("codes", "unprocess").round_().clamp_(0, camera.white_level)
    return frame.replace(codes=codes, mosaic=None)


def _inverse_smoothstep(toned: Tensor) -> Tensor:
    """Undoes 3 x² - 2 x³, the global tone curve that section 3.1 of the paper assumes."""
    return 0.5 - torch.sin(torch.asin(1 - 2 * toned) / 3)


def _undo_gains(rgb: Tensor, gains: Tensor) -> Tensor:
    """Divides by the gains, but less and less toward white, which may have been clipped (Eq. 7)."""
    divisor = gains.to(rgb).view(3, 1, 1)
    gray = rgb.mean(0, keepdim=True)
    bright = ((gray - _HIGHLIGHT).clamp(min=0) / (1 - _HIGHLIGHT)).square()
    inverse = torch.maximum(bright + (1 - bright) / divisor, 1 / divisor)
    return (rgb * inverse).clamp(0, 1)
