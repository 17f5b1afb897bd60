"""Color and tone that change over the picture and with brightness, all of it learned.

picture ─▶ guide (brightness) ─┐
grid of small color matrices ──┴▶ a matrix at every pixel ─▶ picture
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from ..frame import Frame
from ..stage import Range, Stage
from .color_space import luminance
from .rows import in_bands, row_bands, weighted_sum

__all__ = ["BilateralGrid", "GridField", "bilateral_grid", "identity_grid"]

GridField = Literal["rgb", "srgb"]


def identity_grid(rows: int = 8, columns: int = 8, depth: int = 8) -> Tensor:
    """(rows, columns, depth, 3, 4) float32: the grid that changes nothing."""
    return torch.eye(3, 4).expand(rows, columns, depth, 3, 4).clone()


def bilateral_grid(picture: Tensor, grid: Tensor, guide: Tensor) -> Tensor:
    """Multiplies every pixel's color, and 1, by a matrix that a grid holds for its place.

        rgb' = A (r, g, b, 1),  A interpolated linearly over rows, columns and guide

    Cells stand for their centers; beyond the outermost ones the grid is level. Where the guide has
    an edge, so has the matrix, though the grid is coarse.

    Args:
        picture: (..., 3, H, W), any size from 1x1.
        grid: (rows, columns, depth, 3, 4), or of that form for each picture (...), such as a
            network predicts; brought to the dtype and device of ``picture``.
        guide: (..., 1, H, W), 0 at the grid's first depth and 1 at its last.

    Returns:
        (..., 3, H, W), not confined to any range; differentiable with respect to all three.

    Raises:
        ValueError: shapes do not fit.

    Source: Gharbi, Chen, Barron, Hasinoff, Durand, "Deep bilateral learning for real-time image
    enhancement", SIGGRAPH 2017, Eqs. 3, 4; Chen, Paris, Durand, "Real-time edge-aware image
    processing with the bilateral grid", SIGGRAPH 2007.
    """
    if picture.dim() < 3 or picture.shape[-3] != 3 or 0 in picture.shape[-2:]:
        raise ValueError(f"picture must be (..., 3, H, W), not {tuple(picture.shape)}")
    _check(grid)
    flat = picture.reshape(-1, *picture.shape[-3:])
    places = guide.reshape(-1, 1, *picture.shape[-2:])
    rows, columns, depth = grid.shape[-5:-2]
    # (1 or N, depth, 12, rows, columns)
    planes = grid.to(picture).reshape(-1, rows, columns, depth, 12).permute(0, 3, 4, 1, 2)
    height, width = picture.shape[-2:]
    across = _interpolation(picture, 0, width, width, columns).mT

    def make(top: int, bottom: int) -> Tensor:
        down = _interpolation(picture, top, bottom, height, rows)
        level = (places[..., top:bottom, :] * (depth - 1)).clamp(0, depth - 1)
        total = None
        for number in range(depth):
            cells = planes[:, number].flatten(0, 1)
            lines = torch.bmm(down.expand(cells.shape[0], -1, -1), cells)
            matrix = torch.bmm(lines, across.expand(cells.shape[0], -1, -1))
            matrix = matrix.view(-1, 12, bottom - top, width)
            share = (1 - (level - number).abs()).clamp(min=0) * matrix
            total = share if total is None else total + share
        assert total is not None
        colors = total.view(-1, 3, 4, bottom - top, width)
        band = flat[..., top:bottom, :].unsqueeze(1)
        mixed: Tensor = (colors[:, :, :3] * band).sum(2) + colors[:, :, 3]
        return mixed

    return in_bands(make, flat, row_bands(flat, planes, places)).view(picture.shape)


def _check(grid: Tensor) -> None:
    if grid.dim() < 5 or grid.shape[-2:] != (3, 4) or 0 in grid.shape:
        raise ValueError(f"a grid is (rows, columns, depth, 3, 4), not {tuple(grid.shape)}")


def _interpolation(like: Tensor, first: int, last: int, size: int, cells: int) -> Tensor:
    """(last - first, cells): each pixel's weights of the cells along one axis."""
    pixel = torch.arange(first, last, device=like.device).to(torch.float32)
    place = ((pixel + 0.5) * cells / size - 0.5).clamp(0, cells - 1)
    cell = torch.arange(cells, device=like.device)
    return (1 - (place[:, None] - cell).abs()).clamp(min=0).to(like.dtype)


class BilateralGrid(Stage):
    """A learned local tone curve, and local color; see :func:`bilateral_grid`.

    The guide is luminance, by its root where the picture is linear. What the grid holds is the same
    for every picture; a network that predicts a grid for each calls the function.

    Args:
        grid: (rows, columns, depth, 3, 4), such as :func:`identity_grid`; an ``nn.Parameter`` is
            learned.
        weights: (3,) of the channels in the guide; None: those of sRGB luminance.
        field: "rgb", linear, or "srgb".
        clip: confine to [0, 1].

    Raises:
        ValueError: another shape, values out of range, or no such field.
    """

    ranges: ClassVar[Mapping[str, Range]] = {"grid": Range(), "weights": Range(0.0, 1.0)}
    grid: Tensor
    weights: Tensor

    def __init__(
        self,
        grid: Tensor | nn.Parameter | Sequence[Any],
        weights: Tensor | nn.Parameter | Sequence[float] | None = None,
        field: GridField = "rgb",
        clip: bool = True,
    ) -> None:
        super().__init__()
        if field not in get_args(GridField):
            raise ValueError(f"field must be 'rgb' or 'srgb', not {field!r}")
        self.hold("grid", grid)
        _check(self.grid)
        self.hold("weights", luminance("srgb").float() if weights is None else weights)
        if self.grid.dim() != 5 or self.weights.shape != (3,):
            raise ValueError("BilateralGrid takes one grid, and 3 weights")
        self.field: GridField = field
        self.clip = clip
        self.needs = self.gives = frozenset({field})

    def guide(self, picture: Tensor) -> Tensor:
        """(..., 1, H, W): where each pixel lies in the depth of the grid, 0 to 1.

        Args:
            picture: (..., 3, H, W).
        """
        light = weighted_sum(picture, self.weights.to(picture)).clamp(0, 1)
        # The root's gradient is infinite at 0.
        return (light + 2.0**-12).sqrt() - 2.0**-6 if self.field == "rgb" else light

    def forward(self, frame: Frame) -> Frame:
        """Replaces the field."""
        picture = frame.require(self.field, by="BilateralGrid")
        toned = bilateral_grid(picture, self.grid, self.guide(picture))
        return frame.replace(**{self.field: toned.clamp(0, 1) if self.clip else toned})

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        size = "x".join(map(str, self.grid.shape[:3]))
        return f"grid={size}, field={self.field!r}, clip={self.clip}"
