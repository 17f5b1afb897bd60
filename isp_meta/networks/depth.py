"""A network that tells where in its quantization bin a value lay.

picture ──────────────┐                    ÷2 ─┬───────────▶ ÷2 ─▶ place in the bin, ×1
its differences ──────┼─ in steps ─────────┐   └▶ ÷4 ─┬─▶ ÷4 ▲
samples' places, mask ┘                    └─▶         └▶ ÷8 ▲

A picture of few bits holds the middles of its bins, (q + 1/2) / 2^b: the numerator over 2^(b + 1)
is odd, so that any one value tells the number of bits.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["DEPTHS", "DepthNetwork", "bin_width"]

DEPTHS = 1, 16
"""Fewest and most bits that a picture of the middles of bins can have: float32 holds them all."""

_AROUND = 5  # side of the square whose mean a value is compared with, pixels
_SEEN = 11


def bin_width(picture: Tensor) -> Tensor:
    """Width 2⁻ᵇ of the bins that pictures hold the middles of.

    Args:
        picture: (..., C, H, W) of (q + 1/2) / 2ᵇ, 1 <= b <= 16, one b for all of a picture, which
            its first pixel tells.

    Returns:
        (..., 1, 1, 1), dtype of the picture.
    """
    scale = 1 << (DEPTHS[1] + 1)
    numerator = (picture[..., :1, :1, :1].double() * scale).round().long().clamp(min=1)
    # The last bit that is set stands for half a bin.
    lowest = numerator & -numerator
    return (2 * lowest / scale).to(picture.dtype)


class _Residual(nn.Module):
    """Two convolutions beside a way past them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        between = functional.relu(self.first(functional.relu(x)))
        result: Tensor = x + self.second(between)
        return result


def _larger(picture: Tensor) -> Tensor:
    return functional.interpolate(picture, scale_factor=2.0, mode="bilinear", align_corners=False)


class DepthNetwork(nn.Module):
    """(B, 7, H, W) picture of few bits, samples and mask to (B, 3, H, W) of many, any size.

    One network for every number of bits: it sees differences, and answers, in steps of the picture.
    At width 48: 781 thousand weights, 52 thousand multiply-adds a pixel.

    Args:
        width: channels at half size, >= 3; a quarter more at a quarter, twice as many at an eighth.

    Attributes:
        halo, multiple: how far it sees and to which grid it pools, pixels.

    Raises:
        ValueError: width out of range.
    """

    halo, multiple = 96, 8

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        if width < 3:
            raise ValueError(f"width must be >= 3, not {width}")
        self.width = width
        quarter, eighth = 4 * width // 3, 2 * width
        self.to_half = nn.Conv2d(4 * _SEEN, width, 3, padding=1)
        self.at_half = _Residual(width)
        self.to_quarter = nn.Conv2d(width, quarter, 2, 2)
        self.at_quarter = nn.Sequential(_Residual(quarter), _Residual(quarter))
        self.to_eighth = nn.Conv2d(quarter, eighth, 2, 2)
        self.at_eighth = nn.Sequential(_Residual(eighth), _Residual(eighth))
        self.back_to_quarter = nn.Conv2d(eighth, quarter, 1)
        self.at_quarter_again = nn.Sequential(_Residual(quarter), _Residual(quarter))
        self.back_to_half = nn.Conv2d(quarter, width, 1)
        self.at_half_again = _Residual(width)
        self.last = nn.Conv2d(width, 12, 3, padding=1)

    def forward(self, inputs: Tensor) -> Tensor:
        """The picture of many bits, float32, which may leave its bins.

        Args:
            inputs: (B, 7, H, W): the middles of bins; at samples the true values, else 0; mask.
        """
        height, width = inputs.shape[-2:]
        pad = (0, -width % self.multiple, 0, -height % self.multiple)
        padded = functional.pad(inputs.float(), pad, mode="replicate")
        step = bin_width(padded[:, :3])
        half = self.to_half(functional.pixel_unshuffle(_seen(padded, step), 2))
        half = self.at_half(half)
        quarter = self.at_quarter(self.to_quarter(half))
        eighth = self.at_eighth(self.to_eighth(quarter))
        quarter = self.at_quarter_again(quarter + _larger(self.back_to_quarter(eighth)))
        half = self.at_half_again(half + _larger(self.back_to_half(quarter)))
        place = functional.pixel_shuffle(self.last(functional.relu(half)).float(), 2)
        return inputs[:, :3].float() + step * place[..., :height, :width]

    def extra_repr(self) -> str:
        """Text inside the parentheses of ``repr``."""
        return f"width={self.width}"


def _seen(inputs: Tensor, step: Tensor) -> Tensor:
    """(B, 11, H, W): the picture, how it differs from its surroundings, samples, mask, bits."""
    picture, kept, mask = inputs[:, :3], inputs[:, 3:6], inputs[:, 6:]
    margin = _AROUND // 2
    beyond = functional.pad(picture, (margin,) * 4, mode="replicate")
    different = (picture - functional.avg_pool2d(beyond, _AROUND, 1)) / (4 * step)
    place = (kept - mask * picture) * 2 / step
    bits = torch.log2(step) / -math.log2(1 << DEPTHS[1]) + torch.zeros_like(mask)
    return torch.cat([picture - 0.5, different.clamp(-2, 2), place, mask, bits], 1)
