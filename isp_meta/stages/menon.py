"""Demosaicing along the row or the column, whichever the colors follow more smoothly."""

from __future__ import annotations

import torch
from torch import Tensor

from .bayer import Field, Pair

__all__ = ["MENON_HALO", "menon"]

MENON_HALO = 8

_ROW, _COLUMN = (0, 1), (1, 0)


def menon(mosaic: Field, cfa: str) -> list[Tensor]:
    """Directional filtering with a posteriori decision, and its refining step.

    1. Green at red and blue, once along rows and once along columns: the mean of its two neighbors
       plus a quarter of the second difference of the measured color (Eqs. 3 and 4).
    2. The direction whose color difference (measured color - green) changes less over the 5x5
       pixels around; steps on the pixel's own line count three times (section III).
    3. Red and blue: color differences interpolated along the only line that has them at green
       pixels, and along the chosen direction at blue and red ones (section IV).
    4. Refining: the color differences again, low-pass filtered over three pixels along the chosen
       direction (section V).

    The decision is piecewise constant: gradients go through the chosen branch alone.

    Args:
        mosaic: all four positions, halo :data:`MENON_HALO`.
        cfa: RGGB, BGGR, GRBG or GBRG.

    Returns:
        12 of (..., h, w): for each of red, green, blue the four positions.

    Source: Menon, Andriani, Calvagno, "Demosaicing with directional filtering and a posteriori
    decision", IEEE Transactions on Image Processing 16(1), 2007; weights of the decision as in the
    authors' program.
    """
    size = mosaic.size
    red, blue = cfa.index("R"), cfa.index("B")
    green = [p for p in range(4) if p not in (red, blue)]
    across, down = (
        Field({p: _difference(mosaic, p, along) for p in (red, blue)}, size, (6, 6))
        for along in (_ROW, _COLUMN)
    )
    by_row = _decide(across, down)

    def neighbors(field: Field, position: int, halo: Pair) -> Tensor:
        """Sum of the two along the chosen direction."""
        in_row, in_column = (field.pair(position, along, halo) for along in (_ROW, _COLUMN))
        return torch.where(by_row.at(position, halo=halo), in_row, in_column)

    def at_green(colored: Field, halo: Pair) -> list[Field]:
        """Red - green and blue - green at green pixels."""
        along = {(p, g): _ROW if g == p ^ 1 else _COLUMN for p in (red, blue) for g in green}
        return [
            Field({g: colored.pair(g, along[p, g], halo).mul_(1 / 2) for g in green}, size, halo)
            for p in (red, blue)
        ]

    chosen = {
        p: torch.where(by_row.planes[p], across.at(p, halo=(4, 4)), down.at(p, halo=(4, 4)))
        for p in (red, blue)
    }
    first = at_green(Field(chosen, size, (4, 4)), (3, 3))
    # Step 4, a mean over three pixels; here and in `contrast` the middle one is that of step 3.
    smooth = {
        p: (Field(chosen, size, (4, 4)).at(p, halo=(2, 2)) + neighbors(field, p, (2, 2))) / 3
        for p, field in zip((red, blue), first, strict=True)
    }
    refined = Field(smooth, size, (2, 2))
    second = at_green(refined, (1, 1))
    (of_red, of_blue), (red_again, blue_again) = first, second
    contrast = {
        g: (of_red.at(g, halo=(1, 1)) - of_blue.at(g, halo=(1, 1))) / 2
        + (red_again.planes[g] - blue_again.planes[g])
        for g in green
    }
    colors: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
    for p in range(4):
        here = mosaic.at(p)
        if p in green:
            colors[p] = here + red_again.at(p), here, here + blue_again.at(p)
            continue
        red_blue = neighbors(Field(contrast, size, (1, 1)), p, (0, 0)) / 3
        if p == red:
            colors[p] = here, here - refined.at(p), here - red_blue
        else:
            colors[p] = here + red_blue, here - refined.at(p), here
    return [colors[p][color] for color in range(3) for p in range(4)]


def _difference(mosaic: Field, position: int, along: Pair) -> Tensor:
    """Measured color - green interpolated along one direction, at red or blue; halo 6."""
    down, right = along
    near = mosaic.pair(position, along, (6, 6))
    far = mosaic.pair(position, (2 * down, 2 * right), (6, 6))
    return far.mul_(1 / 2).add_(mosaic.at(position, halo=(6, 6))).sub_(near).mul_(1 / 2)


@torch.no_grad()
def _decide(across: Field, down: Field) -> Field:
    """Whether color differences change less along the row than along the column; halo 4."""
    in_row, in_column = _changes(across, _ROW), _changes(down, _COLUMN)
    return Field({p: in_column[p] >= in_row[p] for p in in_row}, across.size, (4, 4))


def _changes(found: Field, along: Pair) -> dict[int, Tensor]:
    """How much a direction's differences change along it, around red and blue; halo 4."""
    down, right = along
    beside, back = (right, down), (-down, -right)
    # A step is kept at the green pixel in its middle.
    halo = 6 - down, 6 - right
    middle = [p ^ (2 * down + right) for p in found.planes]
    change = {g: (found.at(g, along, halo) - found.at(g, back, halo)).abs_() for g in middle}
    steps = Field(change, found.size, halo)
    halo = 6 - 2 * down, 6 - 2 * right
    lines = Field({p: steps.pair(p, along, halo) for p in found.planes}, found.size, halo)
    return {
        p: lines.pair(p, (2 * right, 2 * down), (4, 4))
        .add_(lines.at(p, halo=(4, 4)), alpha=3)
        .add_(steps.pair(p, beside, (4, 4)))
        for p in found.planes
    }
