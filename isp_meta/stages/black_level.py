"""Sensor codes to linear light: subtract black, divide by the range."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ..camera import Camera
from ..frame import Frame
from ..stage import Stage

__all__ = ["BlackLevel", "black_level"]

_COLORS = 3


def black_level(
    codes: Tensor, black: Tensor | Sequence[float], white: Tensor | float, clip: bool = True
) -> Tensor:
    """Linear mosaic of a sensor's codes.

        mosaic = (codes - black) / (white - black), black by position in the pattern

    Args:
        codes: (..., H, W), float32 or float64, any size; (..., 3, H, W) where colors have a level
            each.
        black: codes at zero light, as :attr:`Camera.black_level`: of a square of n x n pixels at
            the top left, row-major, which repeats; or three, of red, green and blue.
        white: code at saturation, above every black.
        clip: confine to [0, 1]; without it noise around black stays negative.

    Returns:
        As ``codes``: 0 at black, 1 at saturation; differentiable with respect to all three.

    Raises:
        TypeError: codes are not floating point. ValueError: black or white do not fit; tensors are
            trusted to lie below white, so that the function can be exported.

    Source: DNG specification 1.7.1, chapter 5 ("Black Subtraction", "Rescaling", "Clipping").
    """
    periods, level, span = _row_periods(codes, black, white)
    mosaic = (periods - level).div_(span)
    mosaic = mosaic.clamp_(0, 1) if clip else mosaic
    return _rows(mosaic, codes)


def _row_periods(
    values: Tensor, black: Tensor | Sequence[float], white: Tensor | float
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows a period at a time, (..., ceil(H / n), n, W), and black and white - black, (n, W), or of
    three colors (3, 1, 1, 1). Traced, (..., H, 1, W) and (H, 1, W), for a graph cannot depend on
    what a height leaves over."""
    if not values.is_floating_point():
        raise TypeError(f"codes must be floating point, not {values.dtype}")
    given = not isinstance(black, Tensor) and not isinstance(white, Tensor)
    if given and not all(level < white for level in black):
        raise ValueError(f"black must lie below white {white}, not {tuple(black)}")
    height, width = values.shape[-2:]
    side = _side(len(black), values)
    levels = torch.as_tensor(black, dtype=values.dtype, device=values.device)
    if torch.compiler.is_compiling():
        level = _level_by_pixel(levels, height, width).unsqueeze(-2)
        white = white.to(values) if isinstance(white, Tensor) else white
        return values.unsqueeze(-2), level, white - level
    if len(black) == _COLORS:
        level = levels.view(_COLORS, 1, 1, 1)
    else:
        level = levels.view(side, side).repeat(1, -(-width // side))[:, :width]
    whole = functional.pad(values, (0, 0, 0, -height % side)) if height % side else values
    white = white.to(values) if isinstance(white, Tensor) else white
    return torch.unflatten(whole, -2, (-1, side)), level, white - level


def _level_by_pixel(levels: Tensor, height: int, width: int) -> Tensor:
    """(H, W), or of three colors (3, 1, 1)."""
    if len(levels) == _COLORS:
        return levels.view(_COLORS, 1, 1)
    side = math.isqrt(len(levels))
    rows, columns = (torch.arange(lines, device=levels.device) % side for lines in (height, width))
    return levels.view(side, side)[rows][:, columns]


def _side(levels: int, values: Tensor) -> int:
    """Of the square that so many levels are of; 1 where they are of colors."""
    if levels == _COLORS and values.dim() > 2 and values.shape[-3] == _COLORS:
        return 1
    side = math.isqrt(levels)
    if levels == 0 or side**2 != levels:
        raise ValueError(
            f"{levels} black levels are neither of a square of pixels nor of the channels of "
            f"{tuple(values.shape)}"
        )
    return side


def _rows(periods: Tensor, like: Tensor) -> Tensor:
    return periods.flatten(-3, -2)[..., : like.shape[-2], :]


class BlackLevel(Stage):
    """Codes to mosaic; see :func:`black_level`.

    Args:
        black: codes, (4,) for a Bayer mosaic; None: the camera's ``black_level``.
        white: code; None: the camera's ``white_level``.
        clip: confine to [0, 1].

    Raises:
        ValueError: black is not one row of levels, or not below white.
    """

    needs = frozenset({"codes"})
    gives = frozenset({"mosaic"})
    black: Tensor | None
    white: Tensor | None

    def __init__(
        self,
        black: Tensor | Sequence[float] | None = None,
        white: Tensor | float | None = None,
        clip: bool = True,
    ) -> None:
        super().__init__()
        self.hold("black", black)
        self.hold("white", white)
        self.clip = clip
        if self.black is not None and self.black.dim() != 1:
            raise ValueError(f"BlackLevel: black must be (n,), not {tuple(self.black.shape)}")
        if self.white is not None and self.white.shape != ():
            raise ValueError("BlackLevel: white must be one number")
        if self.black is not None and self.white is not None and self.black.max() >= self.white:
            raise ValueError(f"BlackLevel: black {black} must lie below white {white}")

    def _levels(self, camera: Camera) -> tuple[Tensor | Sequence[float], Tensor | float]:
        black = camera.black_level if self.black is None else self.black
        return black, camera.white_level if self.white is None else self.white

    def forward(self, frame: Frame) -> Frame:
        """Fills ``mosaic``."""
        codes = frame.require("codes", by="BlackLevel")
        return frame.replace(mosaic=black_level(codes, *self._levels(frame.camera), self.clip))

    def invert(self, frame: Frame) -> Frame:
        """Fills ``codes`` from ``mosaic``: not rounded, exact where nothing was clipped."""
        mosaic = frame.require("mosaic", by="BlackLevel.invert")
        periods, level, span = _row_periods(mosaic, *self._levels(frame.camera))
        return frame.replace(codes=_rows(torch.addcmul(level, periods, span), mosaic))

    def bind(self, camera: Camera) -> Stage:
        """A copy that holds the camera's levels, where none were given."""
        bound = super().bind(camera)
        for name, level in zip(("black", "white"), self._levels(camera), strict=True):
            if getattr(self, name) is None:
                bound.hold(name, level)
        return bound

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        given = {name: value for name, value in self.arguments().items() if value is not None}
        return ", ".join(f"{name}={value}" for name, value in given.items())
