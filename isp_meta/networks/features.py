"""A small network that tells, of a finished picture alone, what its camera may have done to it.

sRGB ─ log light ─┬─ ÷2 ─┬─ ÷4 ─┬─ ÷8 ─┐
                  │      │      │      │ 32, 64 and 64 channels, each size added to the finer one
                  │      ◀──────◀──────┘
                  └──────▶ 24 ─▶ features at every pixel

No pixel shuffle at the end: it would give each phase of a square its own offset, and samples on a
grid lie on one phase only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..ops import FineLayers, reference

__all__ = ["FeatureNetwork", "larger"]

_SEEN = 7  # sRGB, its logarithm, and where all of it is clipped
_FINE, _LAST = 8, 24


def _convolution(inputs: int, outputs: int, side: int = 1, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, side, stride, side // 2)


class FeatureNetwork(nn.Module):
    """Features of a picture, of which a few weights fitted to its samples make a correction.

    Args:
        features: number of them a pixel, >= 1.
        width: channels at half size; twice that at a quarter and an eighth, >= 1.
        name: of its weights, where they ship.

    Attributes:
        halo, multiple: how far it sees and to which grid it pools, pixels.

    Raises:
        ValueError: an argument out of range.
    """

    halo, multiple = 48, 8

    def __init__(self, features: int = 16, width: int = 32, name: str = "") -> None:
        super().__init__()
        if features < 1 or width < 1:
            raise ValueError(f"features and width must be >= 1, not {features} and {width}")
        self.features, self.width, self.name = features, width, name
        twice = 2 * width
        self.at_half = _convolution(4 * _SEEN, width, 3)
        self.at_half_again = _convolution(width, width, 3)
        self.at_quarter = _convolution(width, twice, 3, 2)
        self.at_quarter_again = _convolution(twice, twice, 3)
        self.at_eighth = _convolution(twice, twice, 3, 2)
        self.at_eighth_again = _convolution(twice, twice, 3)
        self.at_eighth_last = _convolution(twice, twice, 3)
        self.to_quarter = _convolution(twice, twice)
        self.to_half = _convolution(twice, width)
        self.merged = _convolution(width, width)
        self.to_full = _convolution(width, _LAST)
        self.at_full = nn.Conv2d(_SEEN, _FINE, 3)
        self.joined = _convolution(_FINE + _LAST, _LAST)
        self.last = _convolution(_LAST, features)

    def forward(self, srgb: Tensor) -> Tensor:
        """(B, features, H, W) float32 of (B, 3, H, W) in [0, 1], any size."""
        height, width = srgb.shape[-2:]
        coarse = larger(self.coarse(srgb))[..., :height, :width]
        beyond = functional.pad(srgb, (1, 1, 1, 1), mode="replicate")
        return self.fine(beyond, coarse)

    def coarse(self, srgb: Tensor) -> Tensor:
        """(B, 24, ceil(H / 8) * 4, ceil(W / 8) * 4): its half of the hidden layer.

        Before GELU, at half size; most of the work.

        Args:
            srgb: (B, 3, H, W) in [0, 1].
        """
        height, width = srgb.shape[-2:]
        pad = (0, -width % self.multiple, 0, -height % self.multiple)
        seen = reference.seen(functional.pad(srgb, pad, mode="replicate"))
        if torch.is_autocast_enabled(kind := srgb.device.type):
            # What the first layer would do anyway, before all is moved about twice.
            seen = seen.to(torch.get_autocast_dtype(kind))
        # Half as long in this order, which what follows keeps.
        folded = functional.pixel_unshuffle(seen, 2).contiguous(memory_format=torch.channels_last)
        half = functional.gelu(self.at_half(folded))
        half = half + functional.gelu(self.at_half_again(half))
        quarter = functional.gelu(self.at_quarter(half))
        quarter = quarter + functional.gelu(self.at_quarter_again(quarter))
        eighth = functional.gelu(self.at_eighth(quarter))
        eighth = eighth + functional.gelu(self.at_eighth_again(eighth))
        eighth = eighth + functional.gelu(self.at_eighth_last(eighth))
        quarter = functional.gelu(quarter + larger(self.to_quarter(eighth)))
        half = half + larger(self.to_half(quarter))
        half = half + functional.gelu(self.merged(functional.gelu(half)))
        # A convolution of single pixels and an enlargement may change places: here it is of fewer.
        told = self.to_full(functional.gelu(half))
        return functional.conv2d(told, self.joined.weight[:, _FINE:])

    def fine(self, srgb: Tensor, coarse: Tensor) -> Tensor:
        """(B, features, H, W) float32.

        Args:
            srgb: (B, 3, H + 2, W + 2), a pixel more on each side. coarse: (B, 24, H, W), that of
                :meth:`coarse` made as large as the picture.
        """
        features: Tensor = self.last(reference.hidden(srgb, coarse, self.fine_layers))
        return features.float()

    @property
    def fine_layers(self) -> FineLayers:
        """Those at full size before the last."""
        second = self.joined.weight[:, :_FINE, 0, 0]
        first_bias, second_bias = self.at_full.bias, self.joined.bias
        assert first_bias is not None
        assert second_bias is not None
        return FineLayers(self.at_full.weight, first_bias, second, second_bias)

    @property
    def last_layer(self) -> tuple[Tensor, Tensor]:
        """(features, 24) weights of hidden numbers, and (features,) biases."""
        assert self.last.bias is not None
        return self.last.weight[..., 0, 0], self.last.bias


def larger(picture: Tensor) -> Tensor:
    """Twice as large, bilinear between the centers of pixels."""
    return functional.interpolate(picture, scale_factor=2.0, mode="bilinear", align_corners=False)
