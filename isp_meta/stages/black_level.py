"""Sensor codes to linear light: subtract black, divide by the range."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..frame import Frame
from ..stage import Stage

__all__ = ["BlackLevel", "black_level"]


def black_level(codes: Tensor, black: Sequence[float], white: float, clip: bool = True) -> Tensor:
    """Linear mosaic of a sensor's codes.

        mosaic = (codes - black) / (white - black), black by position in the 2x2 pattern

    Args:
        codes: (..., H, W), float32 or float64, any size.
        black: 4 codes at zero light, for the top-left 2x2 pixels, row-major.
        white: code at saturation, above every black.
        clip: confine to [0, 1]; without it noise around black stays negative.

    Returns:
        (..., H, W): 0 at black, 1 at saturation.

    Raises:
        TypeError: codes are not floating point. ValueError: black or white do not fit.

    Source: DNG specification 1.7.1, chapter 5 ("Black Subtraction", "Rescaling", "Clipping").
    """
    if not codes.is_floating_point():
        raise TypeError(f"codes must be floating point, not {codes.dtype}")
    if len(black) != 4 or not all(level < white for level in black):
        raise ValueError(f"black must be 4 levels below white {white}, not {tuple(black)}")
    mosaic = torch.empty_like(codes)
    for position, level in enumerate(black):
        top, left = divmod(position, 2)
        here = (..., slice(top, None, 2), slice(left, None, 2))
        mosaic[here] = (codes[here] - level) / (white - level)
    return mosaic.clamp(0, 1) if clip else mosaic


class BlackLevel(Stage):
    """Codes to mosaic, with the levels of the frame's camera; see :func:`black_level`."""

    needs = frozenset({"codes"})
    gives = frozenset({"mosaic"})

    def __init__(self, clip: bool = True) -> None:
        super().__init__()
        self.clip = clip

    def forward(self, frame: Frame) -> Frame:
        """Fills ``mosaic``."""
        codes = frame.require("codes", by="BlackLevel")
        camera = frame.camera
        return frame.replace(
            mosaic=black_level(codes, camera.black_level, camera.white_level, self.clip)
        )

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        return f"clip={self.clip}"
