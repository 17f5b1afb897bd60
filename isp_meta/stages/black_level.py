"""Sensor codes to linear light: subtract black, divide by the range."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ..camera import Camera
from ..frame import Frame
from ..stage import Stage

__all__ = ["BlackLevel", "black_level"]


def black_level(
    codes: Tensor, black: Tensor | Sequence[float], white: Tensor | float, clip: bool = True
) -> Tensor:
    """Linear mosaic of a sensor's codes.

        mosaic = (codes - black) / (white - black), black by position in the 2x2 pattern

    Args:
        codes: (..., H, W), float32 or float64, any size.
        black: 4 codes at zero light, for the top-left 2x2 pixels, row-major.
        white: code at saturation, above every black.
        clip: confine to [0, 1]; without it noise around black stays negative.

    Returns:
        (..., H, W): 0 at black, 1 at saturation; differentiable with respect to all three.

    Raises:
        TypeError: codes are not floating point. ValueError: black or white do not fit; tensors are
            trusted to lie below white, so that the function can be exported.

    Source: DNG specification 1.7.1, chapter 5 ("Black Subtraction", "Rescaling", "Clipping").
    """
    pairs, level, span = _row_pairs(codes, black, white)
    mosaic = (pairs - level).div_(span)
    mosaic = mosaic.clamp_(0, 1) if clip else mosaic
    return mosaic.flatten(-3, -2)[..., : codes.shape[-2], :]


def _row_pairs(
    values: Tensor, black: Tensor | Sequence[float], white: Tensor | float
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows two by two, (..., ceil(H / 2), 2, W), and (2, W) black and white - black."""
    if not values.is_floating_point():
        raise TypeError(f"codes must be floating point, not {values.dtype}")
    given = not isinstance(black, Tensor) and not isinstance(white, Tensor)
    if len(black) != 4 or (given and not all(level < white for level in black)):
        raise ValueError(f"black must be 4 levels below white {white}, not {tuple(black)}")
    height, width = values.shape[-2:]
    square = torch.as_tensor(black, dtype=values.dtype, device=values.device).view(2, 2)
    level = square.repeat(1, (width + 1) // 2)[:, :width]
    even = functional.pad(values, (0, 0, 0, 1)) if height % 2 else values
    white = white.to(values) if isinstance(white, Tensor) else white
    return torch.unflatten(even, -2, (-1, 2)), level, white - level


class BlackLevel(Stage):
    """Codes to mosaic; see :func:`black_level`.

    Args:
        black: (4,) codes; None: the camera's ``black_level``.
        white: code; None: the camera's ``white_level``.
        clip: confine to [0, 1].

    Raises:
        ValueError: black is not (4,), or not below white.
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
        if self.black is not None and self.black.shape != (4,):
            raise ValueError(f"BlackLevel: black must be (4,), not {tuple(self.black.shape)}")
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
        pairs, level, span = _row_pairs(mosaic, *self._levels(frame.camera))
        codes = torch.addcmul(level, pairs, span).flatten(-3, -2)
        return frame.replace(codes=codes[..., : mosaic.shape[-2], :])

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
