"""Red and blue brought back to where green is: lateral chromatic aberration, found and corrected.

mosaic ─▶ three colors, half the size, local contrast alone ─▶ by how far red and blue are off
mosaic ─▶ red - green, blue - green ─▶ moved ─▶ + green ─▶ mosaic
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..camera import LINEAR, MONOCHROME, pattern_of
from ..frame import Frame
from ..optics import interpolated, resampled
from ..stage import Range, Stage
from .demosaic import demosaic
from .rows import channel
from .white_balance import unclipped

__all__ = ["ChromaticAberration", "chromatic_aberration", "lateral_color"]

# Places along each side at which colors are compared, side of a window of local contrast, in pixels
# of the picture at half its size, and share of light that counts as no contrast.
_PLACES, _WINDOW, _FLAT = 192, 17, 0.02
# Of Gauss and Newton; and how much less than everything that is seen counts toward no aberration.
_STEPS, _RIDGE = 6, 3e-4


def chromatic_aberration(raw: Tensor, center: Tensor) -> Tensor:
    """Finds how red and blue are scaled against green, from one picture and no calibration.

        r' = r (1 + k0 + k1 r^2 + k2 r^4),  r = 1 at the picture's farthest corner

    Local contrast of red (blue) at r' is that of green at r, in least squares over places all over
    the picture, weighted by how alike both are there; Gauss-Newton steps from k = 0, which find
    aberrations of some pixels.

    Args:
        raw: (..., 3, H, W) linear in [0, 1], bilinearly demosaiced: other methods take detail of
            red and blue from green, and hide what is to be found.
        center: (2,) of the optical axis, (vertical, horizontal), relative to the picture's size.

    Returns:
        (..., 2, 3) k0, k1, k2 of red and blue, of each picture; not differentiable.

    Source: the model of Mallon and Whelan, "Calibration and removal of lateral chromatic aberration
    in images", Pattern Recognition Letters 28(1), 2007; from a single picture as in Kang,
    "Automatic removal of chromatic aberration from a single image", CVPR 2007.
    """
    raw = raw.detach()
    flat = raw.reshape(-1, *raw.shape[-3:])
    flat = flat if flat.dtype == torch.float64 else flat.float()
    count = flat.shape[0]
    clear = _box(_halved(unclipped(flat)))
    # Means of 3 x 3, whose contrast outweighs their noise.
    smooth = F.avg_pool2d(_halved(flat), 3, 1, 1, count_include_pad=False)
    planes = _local_contrast(smooth)
    y, x, outward, squares = _places(planes, center.to(planes))
    # Red and blue of every picture as pictures of their own, and their slopes down and across.
    colors = torch.stack([planes[:, 0], planes[:, 2]], 1)
    alike = interpolated(_box(colors * planes[:, 1:2]), y, x).clamp(min=0).square()
    weight = ((interpolated(clear, y, x) > 0.999) * alike).flatten(0, 1)
    green = interpolated(planes[:, 1:2], y, x).expand(-1, 2, -1, -1).flatten(0, 1)
    seen = _with_slopes(colors.flatten(0, 1))
    k = flat.new_zeros(2 * count, 3)
    for _ in range(_STEPS):
        factor = sum(k[:, n, None, None] * squares**n for n in range(3))
        there = interpolated(seen, y + factor * outward[0], x + factor * outward[1])
        k = k + _step(there, green, weight, outward, squares, k)
    return k.view(*raw.shape[:-3], 2, 3)


def _halved(picture: Tensor) -> Tensor:
    # A line more, of which an odd side takes the last pair's half: no size is asked for.
    return F.avg_pool2d(F.pad(picture, (0, 1, 0, 1), mode="replicate"), 2)


def _with_slopes(planes: Tensor) -> Tensor:
    """(N, 3, h, w) of (N, h, w): the planes, their slopes down and across."""
    padded = F.pad(planes.unsqueeze(1), (1, 1, 1, 1), mode="replicate")[:, 0]
    down = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    across = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    return torch.stack([planes, down, across], 1)


def _box(planes: Tensor) -> Tensor:
    """Means over windows, which end at the border."""
    reach = _WINDOW // 2
    means = F.avg_pool2d(planes, (_WINDOW, 1), 1, (reach, 0), count_include_pad=False)
    return F.avg_pool2d(means, (1, _WINDOW), 1, (0, reach), count_include_pad=False)


def _local_contrast(planes: Tensor) -> Tensor:
    mean = _box(planes)
    detail = planes - mean
    return detail / (_box(detail * detail) + (_FLAT * mean) ** 2 + 1e-8).sqrt()


def _places(planes: Tensor, center: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows and columns (n, n) to look at, (2, n, n) how far they are from the center, and r^2."""
    share = (torch.arange(_PLACES, device=planes.device).to(planes.dtype) + 0.5) / _PLACES
    axes = [share * size for size in planes.shape[-2:]]
    middle = [c * size for c, size in zip(center, planes.shape[-2:], strict=True)]
    reach = [torch.maximum(m, n - m) for m, n in zip(middle, planes.shape[-2:], strict=True)]
    down = axes[0][:, None].expand(-1, _PLACES)
    across = axes[1].expand(_PLACES, -1)
    outward = torch.stack([down - middle[0], across - middle[1]])
    squares = outward.square().sum(0) / (reach[0] ** 2 + reach[1] ** 2)
    return down - 0.5, across - 0.5, outward, squares


def _step(
    there: Tensor, green: Tensor, weight: Tensor, outward: Tensor, squares: Tensor, k: Tensor
) -> Tensor:
    """(N, 3): what to add to k, by least squares of the picture's slopes."""
    error = green - there[:, 0]
    slope = (there[:, 1] * outward[0] + there[:, 2] * outward[1]).flatten(1)
    # What is far off is no aberration.
    weight = (weight / (1 + error * error)).flatten(1)
    columns = torch.stack([slope * (squares**n).flatten() for n in range(3)], 1).double()
    weighted = columns * weight.unsqueeze(1)
    matrix = (weighted.unsqueeze(2) * columns.unsqueeze(1)).sum(-1)
    wanted = (weighted * error.flatten(1).unsqueeze(1)).sum(-1)
    # Toward none, where there is little to see: a polynomial goes astray beyond what it was fit to.
    ridge = _RIDGE * matrix.diagonal(dim1=1, dim2=2).sum(-1)[:, None] + 1e-6
    held = matrix + ridge.unsqueeze(2) * torch.eye(3, dtype=matrix.dtype, device=matrix.device)
    return _solved(held, wanted - ridge * k).to(there.dtype)


def _solved(matrix: Tensor, wanted: Tensor) -> Tensor:
    """(N, 3): the solution by Cramer's rule, which every runtime has."""
    a, b, c = matrix.unbind(-1)
    across = torch.linalg.cross(b, c)
    determinant = (a * across).sum(-1, keepdim=True)
    first = (wanted * across).sum(-1)
    second = (wanted * torch.linalg.cross(c, a)).sum(-1)
    third = (wanted * torch.linalg.cross(a, b)).sum(-1)
    solution: Tensor = torch.stack([first, second, third], -1) / determinant
    return solution


def lateral_color(mosaic: Tensor, cfa: str, red: Tensor, blue: Tensor, center: Tensor) -> Tensor:
    """Corrects a mosaic for lateral chromatic aberration.

    What red (blue) has more or less than green changes slowly, and is moved in place of red itself:
    no detail is lost by interpolating between every second pixel.

    Args:
        mosaic: (..., 1, H, W) linear, or (..., 3, H, W) under "RGB", any size from 1x1.
        cfa: a Bayer pattern, "RGB", or "W", of which there is nothing to correct.
        red, blue: (3,) k0, k1, k2 of :func:`chromatic_aberration`, or (..., 3) of each picture.
        center: (2,) of the optical axis, (vertical, horizontal), relative to the picture's size.

    Returns:
        Same shape, not confined to any range; differentiable with respect to all but cfa.

    Raises:
        ValueError: another cfa.
    """
    if cfa == MONOCHROME:
        return mosaic
    if cfa != LINEAR and len(cfa) != 4:
        raise ValueError(f"lateral color is corrected in Bayer mosaics and linear raw, not {cfa}")
    flat = mosaic.reshape(-1, *mosaic.shape[-3:])
    flat = flat if flat.dtype == torch.float64 else flat.float()
    axis, warps = center.to(flat), [_warp(k.to(flat)) for k in (red, blue)]
    if cfa == LINEAR:
        red_there, blue_there = (
            resampled(channel(flat, c), warp, axis) for c, warp in zip((0, 2), warps, strict=True)
        )
        done = torch.cat([red_there, flat[:, 1:2], blue_there], 1)
        return done.view(mosaic.shape).to(mosaic.dtype)
    green = channel(demosaic(flat, cfa), 1)
    places = [_is_color(flat, cfa, color) for color in (0, 2)]
    difference = torch.zeros_like(flat)
    for here, warp in zip(places, warps, strict=True):
        apart = flat - resampled(green, warp, axis, inverse=True)
        difference = torch.where(here, apart, difference)
    smooth = demosaic(difference, cfa, "bilinear")
    done = flat
    for color, here, warp in zip((0, 2), places, warps, strict=True):
        moved = resampled(channel(smooth, color), warp, axis)
        done = torch.where(here, green + moved, done)
    return done.view(mosaic.shape).to(mosaic.dtype)


def _warp(k: Tensor) -> Tensor:
    """(6,) or (N, 6) of :func:`isp_meta.optics.source_of`."""
    rows = k.reshape(-1, 3) if k.dim() > 1 else k
    k0, k1, k2 = rows.unbind(-1)
    none = torch.zeros_like(k0)
    return torch.stack([1 + k0, k1, k2, none, none, none], -1)


def _is_color(mosaic: Tensor, cfa: str, color: int) -> Tensor:
    """(H, W) bool: where the mosaic has a color."""
    pattern = pattern_of(cfa).to(mosaic.device) == color
    rows, columns = (torch.arange(n, device=mosaic.device) % 2 for n in mosaic.shape[-2:])
    return pattern[rows][:, columns]


class ChromaticAberration(Stage):
    """Corrects lateral chromatic aberration in the mosaic; see :func:`lateral_color`.

    Belongs before demosaicing, which takes the fringes for detail.
    :class:`isp_meta.stages.LensWarp` corrects finished colors, and simulates aberrations.

    Args:
        red, blue: (3,) k0, k1, k2; an ``nn.Parameter`` is learned. None, both: found in each
            picture (:func:`chromatic_aberration`).
        center: (vertical, horizontal) of the optical axis, relative to the picture's size.
        clip: confine to [0, 1].

    Raises:
        ValueError: one of red and blue alone, another shape, or out of range; when called, another
            mosaic than Bayer's.
    """

    needs = frozenset({"mosaic"})
    gives = frozenset({"mosaic"})
    ranges: ClassVar[Mapping[str, Range]] = {
        "red": Range(-0.1, 0.1),
        "blue": Range(-0.1, 0.1),
        "center": Range(0.0, 1.0),
    }
    red: Tensor | None
    blue: Tensor | None
    center: Tensor

    def __init__(
        self,
        red: Tensor | nn.Parameter | Sequence[float] | None = None,
        blue: Tensor | nn.Parameter | Sequence[float] | None = None,
        center: Tensor | nn.Parameter | Sequence[float] = (0.5, 0.5),
        clip: bool = True,
    ) -> None:
        super().__init__()
        for name, value in (("red", red), ("blue", blue), ("center", center)):
            self.hold(name, value)
        shapes = [None if k is None else tuple(k.shape) for k in (self.red, self.blue)]
        if shapes not in ([None, None], [(3,), (3,)]) or self.center.shape != (2,):
            raise ValueError("ChromaticAberration takes 3 values of red and of blue, 2 of center")
        self.clip = clip

    def coefficients(self, mosaic: Tensor, cfa: str) -> tuple[Tensor, Tensor]:
        """k0, k1, k2 of red and of blue: those given, (3,), or found in each picture, (..., 3).

        Args:
            mosaic: (..., 1 or 3, H, W) linear.
            cfa: as :attr:`isp_meta.Camera.cfa`.
        """
        if self.red is not None and self.blue is not None:
            return self.red, self.blue
        raw = demosaic(mosaic.detach(), cfa, "bilinear")
        red, blue = chromatic_aberration(raw, self.center).unbind(-2)
        return red, blue

    def forward(self, frame: Frame) -> Frame:
        """Replaces ``mosaic``."""
        mosaic, cfa = frame.require("mosaic", by="ChromaticAberration"), frame.camera.cfa
        if cfa == MONOCHROME:
            return frame
        done = lateral_color(mosaic, cfa, *self.coefficients(mosaic, cfa), self.center)
        return frame.replace(mosaic=done.clamp(0, 1) if self.clip else done)

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        return ", ".join(f"{name}={value!r}" for name, value in self.arguments().items())
