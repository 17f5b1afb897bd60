"""Where a lens puts light: radial and tangential distortion, and pictures resampled by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .lazily import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["NO_WARP", "Warp", "interpolated", "resampled", "source_of", "undone"]

NO_WARP = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0)

# Newton's steps; from the pixel itself they reach double precision for every warp that moves no
# pixel by more than a third of its distance from the center.
_STEPS = 4


@dataclass(frozen=True)
class Warp:
    """How to undo a lens's distortion, and its lateral chromatic aberration.

    Attributes:
        coefficients: kr0, kr1, kr2, kr3, kt0, kt1; of all colors, or of red, green and blue.
        center: (vertical, horizontal) of the optical axis, relative to the picture's size.

    Raises:
        ValueError: another number of values.

    Source: DNG specification 1.7.1, chapter 7, opcode WarpRectilinear.
    """

    coefficients: tuple[tuple[float, ...], ...] = (NO_WARP,)
    center: tuple[float, float] = (0.5, 0.5)

    def __post_init__(self) -> None:
        sizes = {len(values) for values in self.coefficients}
        if len(self.coefficients) not in (1, 3) or sizes != {6} or len(self.center) != 2:
            raise ValueError("a warp has one or three times six coefficients, and a center of two")


def source_of(place: Tensor, coefficients: Tensor) -> Tensor:
    """Where a place of the corrected picture lies in the distorted one.

        f = kr0 + kr1 r^2 + kr2 r^4 + kr3 r^6
        x' = f x + kt0 2 x y + kt1 (r^2 + 2 x^2),  y' = f y + kt1 2 x y + kt0 (r^2 + 2 y^2)

    Args:
        place: (2, ...) y and x from the optical center, 1 being the distance of the picture's
            farthest corner.
        coefficients: (6,) kr0 to kr3, kt0, kt1; or (N, 6), for N pictures' (2, N or 1, H, W).

    Returns:
        (2, ...) likewise.

    Source: Brown, "Decentering distortion of lenses", Photogrammetric Engineering 32(3), 1966; in
    the form of the DNG specification 1.7.1, chapter 7, opcode WarpRectilinear.
    """
    k0, k1, k2, k3, t0, t1 = _each(coefficients)
    y, x = place.unbind()
    square = y * y + x * x
    factor = k0 + square * (k1 + square * (k2 + square * k3))
    across, down = 2 * t0 * y + t1 * (3 * x), 2 * t1 * x + t0 * (3 * y)
    return torch.stack([factor * y + y * down + t0 * x * x, factor * x + x * across + t1 * y * y])


def undone(place: Tensor, coefficients: Tensor) -> Tensor:
    """Where a place of the distorted picture lies in the corrected one: undoes :func:`source_of`.

    By Newton's method, whose last step alone is differentiated, which is exact where it converged.

    Args:
        place, coefficients: as there; the distortion must not fold the picture.

    Returns:
        (2, ...).
    """
    held = coefficients.detach()
    found = place.detach() / _each(held)[0]
    for _ in range(_STEPS):
        found = found - _divided(source_of(found, held) - place.detach(), found, held)
    return found - _divided(source_of(found, coefficients) - place, found, held)


def _each(coefficients: Tensor) -> list[Tensor]:
    """Each of six, of all pictures or of every one."""
    values = coefficients.unbind(-1)
    return [v[:, None, None] for v in values] if coefficients.dim() > 1 else list(values)


def _divided(error: Tensor, place: Tensor, coefficients: Tensor) -> Tensor:
    """An error of the source as one of the place: by the inverse of the Jacobian."""
    k0, k1, k2, k3, t0, t1 = _each(coefficients)
    y, x = place.unbind()
    square = y * y + x * x
    factor = k0 + square * (k1 + square * (k2 + square * k3))
    slope = 2 * (k1 + square * (2 * k2 + square * 3 * k3))
    yy = factor + slope * y * y + 2 * t1 * x + 6 * t0 * y
    xx = factor + slope * x * x + 2 * t0 * y + 6 * t1 * x
    xy = slope * x * y + 2 * t0 * x + 2 * t1 * y
    determinant = yy * xx - xy * xy
    down, across = error.unbind()
    return torch.stack([xx * down - xy * across, yy * across - xy * down]) / determinant


def resampled(
    picture: Tensor,
    coefficients: Tensor,
    center: Tensor,
    inverse: bool = False,
    rows: tuple[int, int] | None = None,
) -> Tensor:
    """A picture as a lens of that distortion would not have shown it, or would have.

    Args:
        picture: (N, C, H, W), float32 or float64, any size from 1x1; beyond its edges it goes on as
            at them.
        coefficients: (6,) of :func:`source_of`, or (N, 6) of each picture.
        center: (2,) of the optical axis, (vertical, horizontal), relative to the picture's size.
        inverse: distort, in place of correcting.
        rows: first and last + 1 of the result; None: all.

    Returns:
        (N, C, H, W) by :func:`interpolated`; differentiable with respect to picture, coefficients
        and center. A pixel's place is its center, as in Adobe's DNG SDK.
    """
    sizes = picture.shape[-2:]
    top, bottom = (0, sizes[0]) if rows is None else rows
    middle = [c * n for c, n in zip(center, sizes, strict=True)]
    reach = [torch.maximum(m, n - m) for m, n in zip(middle, sizes, strict=True)]
    farthest = (reach[0] ** 2 + reach[1] ** 2).sqrt()
    row = torch.arange(top, bottom, device=picture.device).to(picture.dtype)
    column = torch.arange(sizes[1], device=picture.device).to(picture.dtype)
    down, across = row + 0.5 - middle[0], column + 0.5 - middle[1]
    place = torch.stack([down[:, None].expand(-1, sizes[1]), across.expand(bottom - top, -1)])
    place = (place if coefficients.dim() == 1 else place.unsqueeze(1)) / farthest
    # By how far it moves, so that what does not move stays where it is to the bit.
    moved = ((undone if inverse else source_of)(place, coefficients) - place) * farthest
    return interpolated(picture, row[:, None] + moved[0], column + moved[1])


def interpolated(picture: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """What a picture shows between its pixels: bicubic, exact where it is a quadratic.

    PyTorch's own has a slope of -0.75 in place of -1/2, by which even a straight line ripples.

    Args:
        picture: (N, C, H, W); beyond its edges it goes on as at them.
        y, x: (h, w) rows and columns, 0 being the center of the first pixel; or (N, h, w).

    Returns:
        (N, C, h, w), which may go a little beyond the picture's range.

    Source: Keys, "Cubic convolution interpolation for digital image processing", IEEE TASSP 29(6),
    1981, Eq. 15.
    """
    height, width = picture.shape[-2:]
    planes = picture.flatten(-2)
    rows, down = _taps(y, height)
    columns, across = _taps(x, width)
    if y.dim() > 2:
        down, across = ([w.unsqueeze(1) for w in weights] for weights in (down, across))
    lines = []
    for row in rows:
        found = [_picked(planes, row * width + column) for column in columns]
        line = [pixel * weight for pixel, weight in zip(found, across, strict=True)]
        lines.append(line[0] + line[1] + line[2] + line[3])
    mixed = [line * weight for line, weight in zip(lines, down, strict=True)]
    return mixed[0] + mixed[1] + mixed[2] + mixed[3]


def _picked(planes: Tensor, index: Tensor) -> Tensor:
    """(N, C, h, w): pixels of (N, C, P) by an index (h, w) of all pictures, or (N, h, w)."""
    count, channels, _ = planes.shape
    if index.dim() == 2:
        found = planes.index_select(2, index.flatten())
    else:
        found = planes.gather(2, index.flatten(1).unsqueeze(1).expand(-1, channels, -1))
    return found.view(count, channels, *index.shape[-2:])


def _taps(place: Tensor, size: int) -> tuple[list[Tensor], list[Tensor]]:
    """The four pixels around a place along one axis, and their weights."""
    first = place.detach().floor()
    t = place - first
    weights = [
        t * (t * (1 - 0.5 * t) - 0.5),
        t * t * (1.5 * t - 2.5) + 1,
        t * (t * (2 - 1.5 * t) + 0.5),
        t * t * (0.5 * t - 0.5),
    ]
    index = first.long()
    return [(index + k).clamp(0, size - 1) for k in (-1, 0, 1, 2)], weights
