"""Recovered raw in the tones of its picture, and beyond the picture's white.

raw ──comparison.linear_light──▶ light ──Tones──▶ display-linear, white 1
                               picture ───┘ fitted

At equal exposure the two then look alike, wherever the picture has kept what raw holds; and darker
or brighter they differ in that alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..stages import compress_gamut, srgb_decode
from ..stages.color_space import luminance
from ..stages.inverse_tone_curve import fit_curves

__all__ = ["MOST_LIGHT", "Tones"]

MOST_LIGHT = 16.0
"""Display-linear light is kept up to this many times white: 4 stops."""

# Of 255. Brighter pixels of a reduced picture may hold clipped ones, whose light is unknown.
_BRIGHTEST = 248
# Darker codes are mostly noise, which a curve fitted to them would amplify.
_DARKEST = 10
_LEAST_PIXELS = 64


@dataclass(frozen=True, eq=False)
class Tones:
    """A picture's tone curve, the same for all channels.

    Attributes:
        light: (K,) linear light, never falling, from 0. shown: (K,) what the picture makes of it,
            display-linear in [0, 1], from 0. Beyond the last the two stay proportional.
    """

    light: NDArray[np.float64]
    shown: NDArray[np.float64]

    @classmethod
    def between(cls, light: Tensor, srgb: Tensor) -> Tones:
        """The curve that leads from one to the other; a gain, where they are too few pixels.

        Args:
            light: (3, h, w) linear, white about 1. srgb: (3, h, w) in [0, 1].
        """
        kept = (srgb <= _BRIGHTEST / 255) & (srgb > 0) & (light > 0)
        level, target = srgb[kept][None], light[kept][None]
        if level.numel() < _LEAST_PIXELS:
            got = float(srgb_decode(srgb).mean()) if srgb.numel() else 1.0
            had = float(light.clamp(min=0).mean())
            gain = got / had if got > 0 and had > 0 else 1.0
            return cls(np.array([0.0, 1 / gain]), np.array([0.0, 1.0]))
        curve = fit_curves(level, target)[0].clamp(min=0).numpy()
        shown = srgb_decode(torch.linspace(0, 1, len(curve), dtype=torch.float64)).numpy()
        curve[:_DARKEST] = curve[_DARKEST] * shown[:_DARKEST] / shown[_DARKEST]
        return cls(curve[: _BRIGHTEST + 1], shown[: _BRIGHTEST + 1])

    def __call__(self, light: Tensor) -> Tensor:
        """Display-linear light.

        Args:
            light: (3, h, w) linear.

        Returns:
            (3, h, w) float32 in [0, 16], 1 where the picture is white; colors outside the display's
            gamut are brought into it.
        """
        most = light.amax().clamp(min=1)
        inside = compress_gamut(light / most, luminance("srgb")) * most
        values = inside.double().cpu().numpy()
        last = max(float(self.light[-1]), 1e-9)
        shown = np.interp(values, self.light, self.shown)
        beyond = values > last
        shown[beyond] = values[beyond] * (float(self.shown[-1]) / last)
        return torch.from_numpy(shown).float().clamp(0, MOST_LIGHT)
