"""The transfer function of sRGB."""

from __future__ import annotations

import torch
from torch import Tensor

from ..frame import Frame
from ..stage import Stage

__all__ = ["Gamma", "srgb_decode", "srgb_encode"]

# Where the straight piece and the power meet, which the standard rounds to 0.0031308 and 0.04045.
# Unrounded, the curve has no step (3e-8 in the standard's) and its inverse is exact.
_LINEAR_END = 0.00313066844250063
_ENCODED_END = 12.92 * _LINEAR_END


def srgb_encode(linear: Tensor) -> Tensor:
    """Linear light to sRGB values.

        12.92 x up to x = 0.0031307, 1.055 x^(1/2.4) - 0.055 above

    Args:
        linear: any shape, float32 or float64, in [0, 1]; negative values follow the straight part.

    Returns:
        Same shape, in [0, 1]; the gradient is finite everywhere.

    Source: IEC 61966-2-1:1999, section 5.2.
    """
    # The power's gradient is infinite at 0 and NaN below, and NaN * 0 from `where` is NaN.
    power = 1.055 * linear.clamp(min=_LINEAR_END) ** (1 / 2.4) - 0.055
    return torch.where(linear <= _LINEAR_END, 12.92 * linear, power)


def srgb_decode(srgb: Tensor) -> Tensor:
    """sRGB values to linear light: the inverse of :func:`srgb_encode`.

        v / 12.92 up to v = 0.040448, ((v + 0.055) / 1.055)^2.4 above

    Args:
        srgb: any shape, float32 or float64, in [0, 1].

    Returns:
        Same shape, in [0, 1].

    Source: IEC 61966-2-1:1999, section 5.3.
    """
    power = ((srgb.clamp(min=_ENCODED_END) + 0.055) / 1.055) ** 2.4
    return torch.where(srgb <= _ENCODED_END, srgb / 12.92, power)


class Gamma(Stage):
    """Linear or toned rgb, confined to [0, 1], to srgb; see :func:`srgb_encode`."""

    needs = frozenset({"rgb"})
    gives = frozenset({"srgb"})

    def forward(self, frame: Frame) -> Frame:
        """Fills ``srgb``."""
        rgb = frame.require("rgb", by="Gamma")
        # One channel at a time: the formula's intermediate steps take five times its memory.
        channels = [srgb_encode(channel.clamp(0, 1)) for channel in rgb.unbind(-3)]
        return frame.replace(srgb=torch.stack(channels, -3))
