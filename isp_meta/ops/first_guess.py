"""A first guess of raw from sRGB, by one formula for the whole picture; and what it is made of.

srgb ─▶ color, bands of contrast, a network's last layers ─┬─ weighted ─▶ gain × cubic ─▶ guess
                                                           └─ at some pixels ─▶ features
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from . import _native  # noqa: F401
from .grid import center_dtype, check_beside, check_pixels, refused_gradient, register_calls
from .operator import operator

__all__ = [
    "CONTRAST_FEATURES",
    "FineLayers",
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


@operator
def first_guess(
    picture: Tensor,
    cubic: Tensor,
    table: Tensor,
    weights: Tensor,
    contrast: Tensor | None = None,
    told: Tensor | None = None,
    layers: FineLayers | None = None,
    top: int = 0,
    bottom: int | None = None,
) -> Tensor:
    """A cubic in color, times what a table of colors and weighted features tell.

        guess = (cubic(x) + 0.001) exp(gain) - 0.001
        gain  = table(x) + weights . (clipped, contrast, hidden), at most 2 either way

    Without gradient: backward is refused.

    Args:
        picture: (3, H, W) sRGB in [0, 1], float32 or float64, on CUDA float16 and bfloat16 as well.
        cubic: (3, 20) coefficients of red^i green^j blue^k, i + j + k <= 3, k fastest; of the
            result's dtype, as all but ``told`` and ``layers``.
        table: (3, n, n, n), 2 <= n <= 256, log gains at a lattice of colors: blue, green, red.
        weights: (3, F) of 4 features of what is clipped, 29 of contrast, 24 hidden ones; of the
            first 4, or 33, where the others are not given.
        contrast: (9, >= H / 4, >= W / 4) two coarse bands of log light and what remains below them,
            of squares of 4 pixels; None: without local contrast.
        told: (24, >= H / 2, >= W / 2) bfloat16, the half of the hidden layer that is worked out at
            half size; None: without a network. layers: the network's; None as ``told`` is.
        top, bottom: the rows [top, bottom) alone; bottom None: to the last.

    Returns:
        (3, bottom - top, W) in [0, 1], of the picture's dtype, at least float32. Rows asked for
        alone are those of the whole, to the bit.

    Raises:
        ValueError: shapes, devices or rows do not fit. TypeError: dtype.
        NotImplementedError: backward; :func:`isp_meta.ops.reference.first_guess` has one.
    """
    given = _checked(picture, contrast, told, layers)
    rows = _rows(picture, top, bottom)
    dtype, knots = {center_dtype(picture.dtype)}, table.shape[-1]
    features = _CLIPS + (CONTRAST_FEATURES if contrast is not None else 0)
    features += _HIDDEN if layers is not None else 0
    check_beside("cubic", cubic, (3, 20), picture, dtype)
    check_beside("table", table, (3, knots, knots, knots), picture, dtype)
    check_beside("weights", weights, (3, features), picture, dtype)
    if not 2 <= knots <= 256:
        raise ValueError(f"the table must have 2 to 256 knots, not {knots}")
    result: Tensor = _ops.first_guess(picture, *given, cubic, table, weights, *rows)
    return result


@operator
def guess_features(
    picture: Tensor,
    index: Tensor,
    contrast: Tensor,
    told: Tensor | None = None,
    layers: FineLayers | None = None,
    top: int = 0,
    bottom: int | None = None,
) -> Tensor:
    """The features of some pixels that :func:`first_guess` weighs, but for what is clipped.

    Bands are those of an à-trous pyramid (Holschneider et al.; Starck and Murtagh) of log(x² +
    0.005) with a binomial, m the mean of a pixel's colors:

        five bands of each color, the means of each times m, those times m,
        what remains of each color, the square of its mean; then hidden

    Args:
        index: (N,) int64, flat, increasing, all in rows [top, bottom), which alone are looked at.
        picture, contrast, told, layers, top, bottom: as of :func:`first_guess`.

    Returns:
        (N, 29), or (N, 53) with a network, of the picture's dtype, at least float32. Without
        gradient.

    Raises:
        As :func:`first_guess`.
    """
    given = _checked(picture, contrast, told, layers)
    check_beside("index", index, (index.numel(),), picture, {torch.int64})
    result: Tensor = _ops.guess_features(picture, *given, index, *_rows(picture, top, bottom))
    return result


def _rows(picture: Tensor, top: int, bottom: int | None) -> tuple[int, int]:
    height = picture.shape[1]
    bottom = height if bottom is None else bottom
    if not 0 <= top < bottom <= height:
        raise ValueError(f"rows {top} to {bottom} of a picture of {height}")
    return top, bottom


def _checked(
    picture: Tensor, contrast: Tensor | None, told: Tensor | None, layers: FineLayers | None
) -> tuple[Tensor, Tensor, Tensor]:
    """What lies beside a picture, as the native operators take it: what is not there is empty."""
    if picture.dim() != 3:
        raise ValueError(f"picture must be (3, H, W), not {tuple(picture.shape)}")
    check_pixels("picture", picture[None], 3)
    if (told is None) != (layers is None) or (contrast is None and told is not None):
        raise ValueError("told and layers go together, and beside contrast")
    dtype = center_dtype(picture.dtype)
    nothing = picture.new_empty(0, dtype=dtype)
    if contrast is None:
        return nothing, nothing.bfloat16(), nothing
    _check_plane("contrast", contrast, _GIVEN, 4, picture, dtype)
    if told is None or layers is None:
        return contrast, nothing.bfloat16(), nothing
    _check_plane("told", told, _HIDDEN, 2, picture, torch.bfloat16)
    for part, shape in zip(layers, ((8, 7, 3, 3), (8,), (_HIDDEN, 8), (_HIDDEN,)), strict=True):
        if tuple(part.shape) != shape:
            raise ValueError(f"a layer must be {shape}, not {tuple(part.shape)}")
    return contrast, told, layers.packed(picture)


def _check_plane(
    name: str, plane: Tensor, channels: int, factor: int, picture: Tensor, dtype: torch.dtype
) -> None:
    least = tuple(-(-side // factor) for side in picture.shape[1:])
    size = tuple(plane.shape[-2:])
    if plane.dim() != 3 or any(a < b for a, b in zip(size, least, strict=True)):
        raise ValueError(
            f"{name} must be ({channels}, h, w), at least {least}, not {tuple(plane.shape)}"
        )
    check_beside(name, plane, (channels, *size), picture, {dtype})


def _first_guess_fake(
    picture: Tensor,
    contrast: Tensor,
    told: Tensor,
    network: Tensor,
    cubic: Tensor,
    table: Tensor,
    weights: Tensor,
    top: int,
    bottom: int,
) -> Tensor:
    return cubic.new_empty(3, bottom - top, picture.shape[2])


def _guess_features_fake(
    picture: Tensor, contrast: Tensor, told: Tensor, network: Tensor, index: Tensor, *_rows: int
) -> Tensor:
    size = CONTRAST_FEATURES + (_HIDDEN if network.numel() else 0)
    return contrast.new_empty(index.shape[0], size)


for _name, _fake in (("first_guess", _first_guess_fake), ("guess_features", _guess_features_fake)):
    torch.library.register_fake(f"isp_meta::{_name}", _fake)
    torch.library.register_autograd(f"isp_meta::{_name}", refused_gradient(_name))
    register_calls(getattr(_ops, _name), f"isp_meta::{_name}")
