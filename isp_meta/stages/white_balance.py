"""Gains that make a neutral object gray."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..frame import Frame
from ..stage import Stage

__all__ = ["WhiteBalance", "as_shot_gains", "white_balance"]


def as_shot_gains(neutral: Sequence[float]) -> Tensor:
    """Gains of the camera's own white balance.

        gain = max(neutral) / neutral

    Args:
        neutral: 3 values, camera color of a neutral object, > 0 (DNG AsShotNeutral).

    Returns:
        (3,) float64, the smallest exactly 1: a pixel saturated in every channel reaches at least 1
        in every channel, so that clipping makes it white and not pink.
    """
    color = torch.tensor(tuple(neutral), dtype=torch.float64)
    return color.max() / color


def white_balance(raw: Tensor, gains: Tensor, clip: bool = True) -> Tensor:
    """Multiplies each channel by its gain.

    Args:
        raw: (..., 3, H, W) linear raw-RGB in [0, 1], float32 or float64.
        gains: (3,), brought to the dtype and device of ``raw``.
        clip: confine to [0, 1]; without it highlights keep what lies above white.

    Returns:
        (..., 3, H, W): camera color in which gray has R = G = B.

    Raises:
        ValueError: shapes do not fit.
    """
    if raw.dim() < 3 or raw.shape[-3] != 3 or gains.shape != (3,):
        raise ValueError(
            f"raw must be (..., 3, H, W) and gains (3,), "
            f"not {tuple(raw.shape)} and {tuple(gains.shape)}"
        )
    rgb = raw * gains.to(raw).view(3, 1, 1)
    return rgb.clamp(0, 1) if clip else rgb


class WhiteBalance(Stage):
    """Raw to rgb; see :func:`white_balance`.

    Args:
        gains: (3,) for R, G, B; an ``nn.Parameter`` is learned. None: those that the camera chose,
            see :func:`as_shot_gains`.
        clip: confine to [0, 1].
    """

    needs = frozenset({"raw"})
    gives = frozenset({"rgb"})
    gains: Tensor | None

    def __init__(self, gains: Tensor | Sequence[float] | None = None, clip: bool = True) -> None:
        super().__init__()
        if isinstance(gains, nn.Parameter):
            self.register_parameter("gains", gains)
        else:
            self.register_buffer("gains", None if gains is None else torch.as_tensor(gains))
        if self.gains is not None and self.gains.shape != (3,):
            raise ValueError(f"gains must be (3,), not {tuple(self.gains.shape)}")
        self.clip = clip

    def forward(self, frame: Frame) -> Frame:
        """Fills ``rgb``."""
        raw = frame.require("raw", by="WhiteBalance")
        gains = as_shot_gains(frame.camera.as_shot_neutral) if self.gains is None else self.gains
        return frame.replace(rgb=white_balance(raw, gains, self.clip))

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        gains = None if self.gains is None else [round(gain, 4) for gain in self.gains.tolist()]
        return f"gains={'as shot' if gains is None else gains}, clip={self.clip}"
