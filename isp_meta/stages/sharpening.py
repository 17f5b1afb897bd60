"""Edges as crisp as before the lens and the demosaicing softened them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from ..frame import Frame
from ..stage import Range, Stage
from .color_space import luminance
from .rows import in_bands, row_bands, weighted_sum

__all__ = ["SharpenedField", "Sharpening", "sharpen"]

SharpenedField = Literal["srgb", "rgb"]

# Pixels that the Gaussian reaches to each side: 2.5 times its largest radius. One number for all
# radii, so that a learned one needs no other kernel.
_REACH = 5
_LARGEST_RADIUS = 2.0
_LUMA = luminance("srgb")


def sharpen(
    picture: Tensor,
    amount: Tensor | float,
    radius: Tensor | float = 0.8,
    threshold: Tensor | float = 0.0,
    overshoot: Tensor | float = 0.03,
    clip: bool = True,
) -> Tensor:
    """Unsharp mask of luma, with limited halos.

        d = Y - gaussian(Y),  Y' = Y + amount d d^2 / (d^2 + threshold^2)
        Y' confined to [min - overshoot, max + overshoot] of Y's 3x3 neighborhood
        rgb' = rgb + Y' - Y

    Adding the same to the three channels leaves color differences, and their noise, as they are.
    The border is repeated outward.

    Args:
        picture: (..., 3, H, W), float32 or float64, any size from 1x1; best encoded for display,
            where a step means the same in light and in shadow.
        amount: >= 0; 0 is the identity.
        radius: standard deviation of the Gaussian in pixels, 0.3 to 2.
        threshold: a difference of this size is sharpened by half, smaller ones (noise) less.
        overshoot: how far an edge may pass its neighborhood, >= 0.
        clip: confine to [0, 1].

    Returns:
        (..., 3, H, W)

    Raises:
        ValueError: shapes do not fit.

    Source: Gonzalez and Woods, "Digital image processing", 4th edition, section 3.6; limiting by
    the local extrema after Ramponi et al., "Nonlinear unsharp masking methods for image contrast
    enhancement", Journal of Electronic Imaging 5(3), 1996.
    """
    if picture.dim() < 3 or picture.shape[-3] != 3 or 0 in picture.shape[-2:]:
        raise ValueError(f"picture must be (..., 3, H, W), not {tuple(picture.shape)}")
    parameters = [torch.as_tensor(p).to(picture) for p in (amount, radius, threshold, overshoot)]
    gain, sigma, least, margin = parameters
    flat = picture.reshape(-1, *picture.shape[-3:])
    height = flat.shape[-2]
    weights = _LUMA.to(picture)
    bands = row_bands(picture, *parameters)

    def weighed(top: int, bottom: int) -> Tensor:
        return weighted_sum(flat[..., top:bottom, :], weights)

    luma = in_bands(weighed, flat[:, :1], bands)
    taps = _gaussian(sigma)

    def make(top: int, bottom: int) -> Tensor:
        row = torch.arange(top - _REACH, bottom + _REACH, device=luma.device)
        lines = luma.index_select(-2, row.clamp(0, height - 1))
        padded = F.pad(lines, (_REACH, _REACH, 0, 0), mode="replicate")
        center = luma[..., top:bottom, :]
        difference = center - _blurred(_blurred(padded, taps, -2), taps, -1)
        square = difference * difference
        # The smallest normal number, so that 0 / 0 stays 0 without a threshold.
        kept = square / (square + least * least + torch.finfo(square.dtype).tiny)
        low, high = _extrema(padded)
        sharp = center + gain * kept * difference
        sharp = torch.minimum(torch.maximum(sharp, low - margin), high + margin)
        result = flat[..., top:bottom, :] + (sharp - center)
        return result.clamp(0, 1) if clip else result

    return in_bands(make, flat, bands).view(picture.shape)


def _gaussian(sigma: Tensor) -> Tensor:
    """(_REACH + 1,) weights from the center outward; with their mirror images they sum to 1."""
    place = torch.arange(_REACH + 1, dtype=sigma.dtype, device=sigma.device)
    weight = torch.exp(-0.5 * (place / sigma) ** 2)
    return weight / (2 * weight.sum() - weight[0])


def _blurred(padded: Tensor, taps: Tensor, dim: int) -> Tensor:
    """One pass of the separable filter: shorter by ``2 * _REACH`` along ``dim``."""
    size = padded.shape[dim] - 2 * _REACH
    total = padded.narrow(dim, _REACH, size) * taps[0]
    for k in range(1, _REACH + 1):
        pair = padded.narrow(dim, _REACH - k, size) + padded.narrow(dim, _REACH + k, size)
        total = torch.addcmul(total, pair, taps[k])
    return total


def _extrema(padded: Tensor) -> tuple[Tensor, Tensor]:
    """Least and greatest of each pixel's 3x3 neighborhood."""
    low = high = padded
    for dim in (-2, -1):
        first, size = _REACH - 1, low.shape[dim] - 2 * _REACH
        lows = [low.narrow(dim, first + shift, size) for shift in range(3)]
        highs = [high.narrow(dim, first + shift, size) for shift in range(3)]
        low = torch.minimum(torch.minimum(lows[0], lows[2]), lows[1])
        high = torch.maximum(torch.maximum(highs[0], highs[2]), highs[1])
    return low, high


class Sharpening(Stage):
    """Sharpens the finished picture, or rgb on its way; see :func:`sharpen`.

    Belongs after Gamma and before Quantize. Any of the numbers may be an ``nn.Parameter``, which
    is learned.

    Args:
        amount: 0 is the identity.
        radius: in pixels.
        threshold: of noise.
        overshoot: of halos.
        field: "srgb", which is confined to [0, 1], or "rgb", which is not.

    Raises:
        ValueError: a number out of range, or no such field.
    """

    ranges: ClassVar[Mapping[str, Range]] = {
        "amount": Range(0.0, 8.0),
        "radius": Range(0.3, _LARGEST_RADIUS, "pixels"),
        "threshold": Range(0.0, 1.0),
        "overshoot": Range(0.0, 1.0),
    }
    amount: Tensor
    radius: Tensor
    threshold: Tensor
    overshoot: Tensor

    def __init__(
        self,
        amount: Tensor | float = 1.0,
        radius: Tensor | float = 0.8,
        threshold: Tensor | float = 0.02,
        overshoot: Tensor | float = 0.03,
        field: SharpenedField = "srgb",
    ) -> None:
        super().__init__()
        self.hold("amount", amount)
        self.hold("radius", radius)
        self.hold("threshold", threshold)
        self.hold("overshoot", overshoot)
        if field not in get_args(SharpenedField):
            raise ValueError(f"field must be 'srgb' or 'rgb', not {field!r}")
        self.field: SharpenedField = field
        self.needs = self.gives = frozenset({field})

    def forward(self, frame: Frame) -> Frame:
        """Replaces the field."""
        picture = frame.require(self.field, by="Sharpening")
        numbers = (self.amount, self.radius, self.threshold, self.overshoot)
        return frame.replace(**{self.field: sharpen(picture, *numbers, clip=self.field == "srgb")})

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        numbers = ", ".join(f"{name}={float(getattr(self, name)):g}" for name in self.ranges)
        return f"{numbers}, field={self.field!r}"
