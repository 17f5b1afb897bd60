"""A first guess of raw from sRGB, by one formula for the whole picture; and what it is made of.

srgb ─▶ color, bands of contrast, a network's last layers ─┬─ weighted ─▶ gain × cubic ─▶ guess
                                                           └─ at some pixels ─▶ features
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from . import _native  # noqa: F401
from .grid import center_dtype, check_beside, check_pixels, refused_gradient

__all__ = [
    "CONTRAST_FEATURES",
    "FineLayers",
    "GuessFormula",
    "GuessPicture",
    "first_guess",
    "guess_features",
]

_ops = torch.ops.isp_meta

CONTRAST_FEATURES = 29
"""Number of features of local contrast."""

_CLIPS, _HIDDEN, _GIVEN = 4, 24, 9
# What is added to square light before its logarithm, and what the network sees of both.
_LIGHT_SCALE, _LIGHT_SHIFT, _COLOR_SHIFT = 0.3, 0.5, -0.5


class FineLayers(NamedTuple):
    """What a feature network does at full size, up to its last layer, which is linear.

    Attributes:
        first: (8, 7, 3, 3) weights of a convolution. first_bias: (8,).
        second: (24, 8) weights of the hidden layer, of the half that comes from there.
        second_bias: (24,).
    """

    first: Tensor
    first_bias: Tensor
    second: Tensor
    second_bias: Tensor

    def packed(self, like: Tensor) -> Tensor:
        """(728,) as the native operators take it: of color and log light as they are."""
        first, bias, second, second_bias = (part.detach().double() for part in self)
        bias = bias + first[:, :3].sum((1, 2, 3)) * _COLOR_SHIFT
        bias = bias + first[:, 3:6].sum((1, 2, 3)) * _LIGHT_SHIFT
        scale = first.new_tensor([1.0] * 3 + [_LIGHT_SCALE] * 3 + [1.0])
        taps = (first * scale[:, None, None]).flatten(1).T
        hidden = torch.cat([second, second_bias[:, None]], 1)
        packed = torch.cat([taps.flatten(), bias, hidden.flatten()])
        return packed.to(like.device, center_dtype(like.dtype))


@dataclass(frozen=True, eq=False)
class GuessPicture:
    """What a first guess is made of.

    Attributes:
        srgb: (3, H, W) in [0, 1], float32 or float64, on CUDA float16 and bfloat16 as well.
        contrast: (9, >= H / 4, >= W / 4), of the dtype of results: two coarse bands of log light
            and what remains below them, of squares of 4 pixels; None: without local contrast.
        told: (24, >= H / 2, >= W / 2) bfloat16, the half of the hidden layer that is worked out at
            half size; None: without a network. layers: the network's; None as ``told`` is.
    """

    srgb: Tensor
    contrast: Tensor | None = None
    told: Tensor | None = None
    layers: FineLayers | None = None

    @property
    def features(self) -> int:
        """Number of features a pixel: 4 of what is clipped, 29 of contrast, 24 hidden ones."""
        contrast = CONTRAST_FEATURES if self.contrast is not None else 0
        return _CLIPS + contrast + (_HIDDEN if self.layers is not None else 0)

    @property
    def arguments(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As the native operators take them: what is not there is empty."""
        srgb, dtype = self.srgb, center_dtype(self.srgb.dtype)
        contrast, told, network = self.contrast, self.told, self._network
        nothing = srgb.new_empty(0, dtype=dtype)
        return (
            srgb,
            nothing if contrast is None else contrast,
            nothing.bfloat16() if told is None else told,
            nothing if network is None else network,
        )

    @cached_property
    def _network(self) -> Tensor | None:
        return None if self.layers is None else self.layers.packed(self.srgb)

    def check(self, top: int, bottom: int) -> None:
        """Raises unless all of it fits, and [top, bottom) are rows of it."""
        srgb, contrast, told = self.srgb, self.contrast, self.told
        if srgb.dim() != 3:
            raise ValueError(f"srgb must be (3, H, W), not {tuple(srgb.shape)}")
        check_pixels("srgb", srgb[None], 3)
        if not 0 <= top < bottom <= srgb.shape[1]:
            raise ValueError(f"rows {top} to {bottom} of a picture of {srgb.shape[1]}")
        if (told is None) != (self.layers is None) or (contrast is None and told is not None):
            raise ValueError("told and layers go together, and beside contrast")
        for name, plane, channels, factor in (
            ("contrast", contrast, _GIVEN, 4),
            ("told", told, _HIDDEN, 2),
        ):
            if plane is None:
                continue
            dtype = torch.bfloat16 if name == "told" else center_dtype(srgb.dtype)
            least = tuple(-(-side // factor) for side in srgb.shape[1:])
            size = tuple(plane.shape[-2:])
            if plane.dim() != 3 or any(a < b for a, b in zip(size, least, strict=True)):
                raise ValueError(
                    f"{name} must be ({channels}, h, w), at least {least}, not {tuple(plane.shape)}"
                )
            check_beside(name, plane, (channels, *size), srgb, {dtype})
        if self.layers is not None:
            shapes = ((8, 7, 3, 3), (8,), (_HIDDEN, 8), (_HIDDEN,))
            for part, shape in zip(self.layers, shapes, strict=True):
                if tuple(part.shape) != shape:
                    raise ValueError(f"a layer must be {shape}, not {tuple(part.shape)}")


@dataclass(frozen=True, eq=False)
class GuessFormula:
    """The weights of a first guess, all of one dtype, the results' own.

    Attributes:
        cubic: (3, 20) coefficients of red^i green^j blue^k, i + j + k <= 3, k fastest.
        table: (3, n, n, n), 2 <= n <= 256, log gains at a lattice of colors: blue, green, red.
        weights: (3, F) of the features that the picture has.
    """

    cubic: Tensor
    table: Tensor
    weights: Tensor


def first_guess(
    picture: GuessPicture, formula: GuessFormula, top: int = 0, bottom: int | None = None
) -> Tensor:
    """A cubic in color, times what a table of colors and weighted features tell.

        guess = (cubic(x) + 0.001) exp(gain) - 0.001
        gain  = table(x) + weights . (clipped, contrast, hidden), at most 2 either way

    Without gradient: backward is refused.

    Args:
        picture, formula: as of their classes.
        top, bottom: the rows [top, bottom) alone; bottom None: to the last.

    Returns:
        (3, bottom - top, W) in [0, 1], of the srgb's dtype, at least float32. The rows of the whole
        and those asked for alone are the same to the bit.

    Raises:
        ValueError: shapes, devices or rows do not fit. TypeError: dtype.
        NotImplementedError: backward; :func:`isp_meta.ops.reference.first_guess` has one.
    """
    bottom = picture.srgb.shape[-2] if bottom is None else bottom
    picture.check(top, bottom)
    knots = formula.table.shape[-1]
    shapes = {"cubic": (3, 20), "table": (3, *(knots,) * 3), "weights": (3, picture.features)}
    for field in fields(formula):
        tensor, dtype = getattr(formula, field.name), center_dtype(picture.srgb.dtype)
        check_beside(field.name, tensor, shapes[field.name], picture.srgb, {dtype})
    if not 2 <= knots <= 256:
        raise ValueError(f"the table must have 2 to 256 knots, not {knots}")
    weights = formula.cubic, formula.table, formula.weights
    result: Tensor = _ops.first_guess(*picture.arguments, *weights, top, bottom)
    return result


def guess_features(
    picture: GuessPicture, index: Tensor, top: int = 0, bottom: int | None = None
) -> Tensor:
    """The features of some pixels that :func:`first_guess` weighs, but for what is clipped.

    Bands are those of an à-trous pyramid (Holschneider et al.; Starck and Murtagh) of log(x² +
    0.005) with a binomial, m the mean of a pixel's colors:

        five bands of each color, the means of each times m, those times m,
        what remains of each color, the square of its mean; then hidden

    Args:
        picture: as of its class, with contrast.
        index: (N,) int64, flat, increasing, all in rows [top, bottom), which alone are looked at.

    Returns:
        (N, 29), or (N, 53) with a network, of the srgb's dtype, at least float32. Without gradient.

    Raises:
        As :func:`first_guess`; ValueError: no contrast.
    """
    bottom = picture.srgb.shape[-2] if bottom is None else bottom
    picture.check(top, bottom)
    if picture.contrast is None:
        raise ValueError("features are those of local contrast; there is none")
    check_beside("index", index, (index.numel(),), picture.srgb, {torch.int64})
    result: Tensor = _ops.guess_features(*picture.arguments, index, top, bottom)
    return result


def _first_guess_fake(
    srgb: Tensor,
    contrast: Tensor,
    told: Tensor,
    network: Tensor,
    cubic: Tensor,
    table: Tensor,
    weights: Tensor,
    top: int,
    bottom: int,
) -> Tensor:
    return cubic.new_empty(3, bottom - top, srgb.shape[2])


def _guess_features_fake(
    srgb: Tensor, contrast: Tensor, told: Tensor, network: Tensor, index: Tensor, *_rows: int
) -> Tensor:
    size = CONTRAST_FEATURES + (_HIDDEN if network.numel() else 0)
    return contrast.new_empty(index.shape[0], size)


for _name, _fake in (("first_guess", _first_guess_fake), ("guess_features", _guess_features_fake)):
    torch.library.register_fake(f"isp_meta::{_name}", _fake)
    torch.library.register_autograd(f"isp_meta::{_name}", refused_gradient(_name))
