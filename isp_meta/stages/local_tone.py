"""Light and shadow brought closer together, with the detail of both kept.

rgb ─▶ luminance in stops ─▶ base + detail ─▶ gain in stops ─▶ rgb 2^gain
                              │ edge-preserving, found at low resolution
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..colorimetry import SPACES
from ..frame import Frame
from ..stage import Range, Stage
from .color_space import luminance
from .highlights import smoothstep
from .rows import at_pixels, gaussian, in_bands, of_bands, row_bands, weighted_sum

__all__ = ["LocalToneMapping", "guided_filter", "local_tone_mapping"]

# Added to luminance: what is darker than 14 stops below white counts as black.
_FLOOR = 2.0**-14
# Pixels of the short side, at least, at which the base layer is found.
_SHORT_SIDE = 320
# Stops from mid gray over which the compression levels off: shadows are opened further than
# highlights are lowered, so that deep black stays black and white stays white.
_REACH_DOWN, _REACH_UP = 5.0, 2.0
# Stops from mid gray at which shadows and highlights take full effect.
_SHADOWS, _HIGHLIGHTS = 4.0, 3.0


def guided_filter(picture: Tensor, edge: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """The straight line that stands for a picture around each pixel, guided by itself.

        slope = variance^2 / (variance^2 + edge^4),  offset = mean - slope mean, both smoothed again

    ``slope * picture + offset`` smooths what varies less than ``edge`` and keeps what varies more.
    Windows are Gaussian, and end at the border. The slope as published, variance / (variance +
    edge^2), changes more slowly from one to the other: halos beside large steps, less detail.

    Args:
        picture: (..., H, W), float32 or float64.
        edge: (), in the picture's unit, > 0.
        radius: (), standard deviation of the windows, as a share of the shorter side, > 0.

    Returns:
        Slope and offset, (..., H, W) each.

    Source: He, Sun, Tang, "Guided image filtering", PAMI 35(6), 2013, Eqs. 5, 6, 8; applied to the
    full picture as in He and Sun, "Fast guided filter", arXiv:1505.00996, 2015.
    """
    sigma = radius * min(picture.shape[-2:])
    mean = gaussian(picture, sigma)
    variance = (gaussian(picture * picture, sigma) - mean * mean).clamp(min=0)
    slope = variance**2 / (variance**2 + edge**4)
    return gaussian(slope, sigma), gaussian(mean - slope * mean, sigma)


def local_tone_mapping(
    rgb: Tensor,
    weights: Tensor,
    strength: Tensor | float,
    detail: Tensor | float = 1.0,
    shadows: Tensor | float = 0.0,
    highlights: Tensor | float = 0.0,
    edge: Tensor | float = 1.0,
    radius: Tensor | float = 0.02,
    gray: Tensor | float = 0.18,
) -> Tensor:
    """Compresses the base layer of luminance, and keeps or boosts the detail upon it.

        stops = log2(luminance / gray) = base + detail layer
        gain = (detail - 1) (stops - base) - strength r tanh(base / r)
               + shadows S(-base / 4) + highlights S(base / 3)
        rgb' = rgb 2^gain

    S is the smooth step from 0 at 0 to 1 at 1; r, where the compression levels off, is 5 stops
    below gray and 2 above. Channels share the gain: hue and saturation stay. The order of
    brightness in the base layer stays too while strength + 0.375 shadows and
    strength - 0.5 highlights are below 1.

    Args:
        rgb: (..., 3, H, W) linear, >= 0, float32 or float64, any size from 1x1.
        weights: (3,) of the channels in luminance.
        strength: in [0, 1].
        detail: contrast of the detail layer: 0 takes it away, 1 keeps it.
        shadows, highlights: stops added to what is darker, or brighter, than gray.
        edge: stops; a smaller step is detail.
        radius: of the base layer's windows, as a share of the shorter side.
        gray: luminance that stays.

    Returns:
        (..., 3, H, W), not confined to any range; ``rgb`` itself in value where strength, shadows,
        highlights are 0 and detail 1.

    Raises:
        ValueError: shapes do not fit.

    Source: Durand and Dorsey, "Fast bilateral filtering for the display of high-dynamic-range
    images", SIGGRAPH 2002, with :func:`guided_filter` in place of the bilateral one.
    """
    if rgb.dim() < 3 or rgb.shape[-3] != 3 or 0 in rgb.shape[-2:] or weights.shape != (3,):
        raise ValueError(
            f"rgb must be (..., 3, H, W) and weights (3,), "
            f"not {tuple(rgb.shape)} and {tuple(weights.shape)}"
        )
    numbers = strength, detail, shadows, highlights, edge, radius, gray
    strength, detail, shadows, highlights, edge, radius, gray = parameters = [
        torch.as_tensor(number).to(rgb) for number in numbers
    ]
    flat = rgb.reshape(-1, *rgb.shape[-3:])
    height, width = rgb.shape[-2:]
    weights = weights.to(rgb)
    block = max(min(height, width) // _SHORT_SIDE, 1)
    bands = row_bands(rgb, *parameters, multiple=block)

    def averaged(top: int, bottom: int) -> Tensor:
        light = weighted_sum(flat[..., top:bottom, :], weights)
        return F.avg_pool2d(light, block, ceil_mode=True, count_include_pad=False)

    small = _stops(torch.cat(of_bands(averaged, bands), -2), gray)
    model = torch.cat(guided_filter(small, edge, radius), 1)
    model = at_pixels(model, -1, 0, width, block)

    def mapped(top: int, bottom: int) -> Tensor:
        band = flat[..., top:bottom, :]
        stops = _stops(weighted_sum(band, weights), gray)
        line = at_pixels(model, -2, top, bottom, block)
        base = torch.addcmul(line[:, 1:], line[:, :1], stops)
        reach = _REACH_UP + (_REACH_DOWN - _REACH_UP) * (base < 0).to(base)
        gain = (detail - 1) * (stops - base) - strength * reach * torch.tanh(base / reach)
        gain = gain + shadows * smoothstep(base, 0.0, -_SHADOWS)
        gain = gain + highlights * smoothstep(base, 0.0, _HIGHLIGHTS)
        return band * gain.exp2()

    return in_bands(mapped, flat, bands).view(rgb.shape)


def _stops(light: Tensor, gray: Tensor) -> Tensor:
    return (light.clamp(min=0) + _FLOOR).log2() - gray.log2()


class LocalToneMapping(Stage):
    """Opens shadows and holds highlights in linear rgb; see :func:`local_tone_mapping`.

    Belongs after the color matrix and before HighlightCompression and the tone curve. Any of the
    numbers may be an ``nn.Parameter``, which is learned. The base layer's resolution follows the
    picture's size: an exported graph serves the size that it was traced at.

    Args:
        strength: of the compression, 0 to 1; with the other defaults, 0 is the identity.
        detail: contrast of the detail layer.
        shadows: stops by which shadows are lifted.
        highlights: stops by which highlights are lifted; negative lowers them.
        edge: stops from which a step counts as an edge.
        radius: of the base layer's windows, as a share of the picture's shorter side.
        gray: luminance that stays.
        space: what rgb is in, which says how its channels make luminance: a key of
            :data:`isp_meta.colorimetry.SPACES`.

    Raises:
        ValueError: a number out of range, or no such space.
    """

    needs = frozenset({"rgb"})
    gives = frozenset({"rgb"})
    ranges: ClassVar[Mapping[str, Range]] = {
        "strength": Range(0.0, 1.0),
        "detail": Range(0.0, 4.0),
        "shadows": Range(-4.0, 4.0, "stops"),
        "highlights": Range(-4.0, 4.0, "stops"),
        "edge": Range(0.01, 16.0, "stops"),
        "radius": Range(0.001, 0.5),
        "gray": Range(0.001, 1.0),
    }
    weights: Tensor

    def __init__(
        self,
        strength: Tensor | float = 0.35,
        detail: Tensor | float = 1.0,
        shadows: Tensor | float = 0.0,
        highlights: Tensor | float = 0.0,
        edge: Tensor | float = 1.0,
        radius: Tensor | float = 0.02,
        gray: Tensor | float = 0.18,
        space: str = "srgb",
    ) -> None:
        super().__init__()
        numbers = strength, detail, shadows, highlights, edge, radius, gray
        for name, number in zip(self.ranges, numbers, strict=True):
            self.hold(name, number)
        if space not in SPACES or space == "xyz":
            raise ValueError(f"space must be an RGB space of {', '.join(SPACES)}, not {space!r}")
        self.space = space
        self.register_buffer("weights", luminance(space), persistent=False)

    def forward(self, frame: Frame) -> Frame:
        """Replaces ``rgb``."""
        rgb = frame.require("rgb", by="LocalToneMapping")
        numbers = {name: getattr(self, name) for name in self.ranges}
        return frame.replace(rgb=local_tone_mapping(rgb, self.weights, **numbers))

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        numbers = ", ".join(f"{name}={float(getattr(self, name)):g}" for name in self.ranges)
        return f"{numbers}, space={self.space!r}"
