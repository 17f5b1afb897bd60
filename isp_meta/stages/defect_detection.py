"""Which pixels of a mosaic are defective: those that stand out, and alone."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from ..camera import BAYER_PATTERNS, LINEAR, MONOCHROME, pattern_of
from .periodic import least_cfa

__all__ = ["FACING", "detect_defects", "neighbors_of"]

Offset = tuple[int, int]
Table = tuple[tuple[tuple[Offset, ...], ...], ...]

# Pixels searched at a time: the extremes of their neighborhoods take ten times their memory.
_BAND = 1 << 20

# Lines around a pixel that are looked at: its own neighbors lie two away, those of pixels beside it
# three.
_REACH = 3

# The pixels of the same place in a Bayer pattern, in eight directions; the second four face the
# first four.
FACING = ((0, 2), (2, 0), (2, 2), (2, -2), (0, -2), (-2, 0), (-2, -2), (-2, 2))


@cache
def neighbors_of(cfa: str) -> Table:
    """(n, n, 8, 2): offsets from each place of a pattern to its neighbors, in pairs as above.

    Of a Bayer pattern those above, of another the four nearest pairs that have the place's color.
    No tensor: one that was first made while a graph is traced would be of no use later.
    """
    if cfa in BAYER_PATTERNS:
        return ((FACING,) * 2,) * 2
    pattern = pattern_of(MONOCHROME if cfa == LINEAR else cfa)
    period = len(pattern)
    reach = range(-period, period + 1)
    half = [(down, right) for down in reach for right in reach if (down, right) > (0, 0)]
    half.sort(key=lambda offset: offset[0] ** 2 + offset[1] ** 2)

    def of_place(y: int, x: int) -> tuple[Offset, ...]:
        pairs = [
            (down, right)
            for down, right in half
            if pattern[(y + down) % period, (x + right) % period] == pattern[y, x]
            and pattern[(y - down) % period, (x - right) % period] == pattern[y, x]
        ][:4]
        return (*pairs, *((-down, -right) for down, right in pairs))

    return tuple(tuple(of_place(y, x) for x in range(period)) for y in range(period))


def detect_defects(
    mosaic: Tensor,
    threshold: Tensor | float,
    contrast: Tensor | float = 4.0,
    cfa: str = "RGGB",
) -> Tensor:
    """Finds single pixels that stand out from all eight neighbors of their color, and alone.

        excess = value - max(neighbors)  or  min(neighbors) - value
        excess > threshold  and  excess > contrast * max(beside)

    ``beside`` is how far each of the eight pixels around, of whatever color, is from the mean of
    its own neighbors. Optics spread a point of light over more than one pixel, so that a glint, a
    star or a line shows beside itself, too, and a defect does not. Where noise or texture make all
    pixels stand out, one must do so the more.

    Defects that touch each other, or are neighbors of one color, hide each other; a pixel without
    a neighbor of its color in a row and in a column is never found.

    Args:
        mosaic: (..., H, W), float32 or float64, any size.
        threshold: >= 0, in the mosaic's units.
        contrast: >= 0; 0 looks at neighbors of the same color alone.
        cfa: as :attr:`isp_meta.Camera.cfa`: who is a neighbor. In a Bayer mosaic those are the
            pixels of the same place of the pattern, in another the nearest of the same color that
            face each other; under "RGB" each color is by itself.

    Returns:
        (..., H, W) bool, without gradient.

    Source: what sets cosmic rays apart from undersampled stars in van Dokkum, "Cosmic-ray rejection
    by Laplacian edge detection", PASP 113, 2001, here between colors.
    """
    height, width = mosaic.shape[-2:]
    planes = mosaic.detach().reshape(-1, height, width)
    cfa = least_cfa(cfa)
    if cfa not in BAYER_PATTERNS:
        return _detected(planes, threshold, contrast, neighbors_of(cfa)).view(mosaic.shape)
    if torch.compiler.is_compiling():
        band = _with_neighbors(_with_neighbors(planes, -2, 0, height), -1, 0, width)
        return _stands_out(band, threshold, contrast).view(mosaic.shape)
    rows = max(_BAND // width, 1)
    bands = []
    for top in range(0, height, rows):
        band = _with_neighbors(planes, -2, top, min(top + rows, height))
        bands.append(_stands_out(_with_neighbors(band, -1, 0, width), threshold, contrast))
    return torch.cat(bands, -2).view(mosaic.shape)


def _with_neighbors(mosaic: Tensor, dim: int, start: int, stop: int) -> Tensor:
    """_REACH more lines on both sides; beyond an edge, those of their color from within."""
    size = mosaic.shape[dim]
    if start >= _REACH and stop <= size - _REACH:
        return mosaic.narrow(dim, start - _REACH, stop - start + 2 * _REACH)
    line = torch.arange(start - _REACH, stop + _REACH, device=mosaic.device)
    line = torch.where(line < 0, torch.where(line + 4 < size, line + 4, line + 2), line)
    line = torch.where(line >= size, torch.where(line >= 4, line - 4, line - 2), line)
    return mosaic.index_select(dim, line.clamp(0, size - 1))


def _stands_out(padded: Tensor, threshold: Tensor | float, contrast: Tensor | float) -> Tensor:
    """(N, H + 6, W + 6) to (N, H, W) bool."""
    near = padded[:, 1:-1, 1:-1]
    # A graph cannot hold a list as long as what is found: it looks beside every pixel.
    beside_all = _beside(padded) if torch.compiler.is_compiling() else None
    left, here, right = near[..., :-4], near[..., 2:-2], near[..., 4:]
    found = []
    for extreme, sign in ((torch.maximum, 1), (torch.minimum, -1)):
        beside = extreme(left, right)
        lines = extreme(beside, here)
        around = extreme(extreme(lines[:, :-4], lines[:, 4:]), beside[:, 2:-2])
        excess = (here[:, 2:-2] - around).mul_(sign)
        if beside_all is not None:
            found.append((excess > threshold) & (excess > contrast * beside_all))
            continue
        place = (excess > threshold).nonzero().unbind(1)
        alone = torch.zeros_like(excess, dtype=torch.bool)
        alone[place] = excess[place] > contrast * _most_beside(padded, place)
        found.append(alone)
    return found[0].logical_or_(found[1])


def _most_beside(padded: Tensor, place: tuple[Tensor, ...]) -> Tensor:
    """(K,) how far the farthest of eight pixels around a place is from its neighbors' mean."""
    number, y, x = (index.view(-1, 1, 1) for index in place)
    window = torch.arange(2 * _REACH + 1, device=padded.device)
    return _beside(padded[number, y + window[:, None], x + window])[:, 0, 0]


def _beside(padded: Tensor) -> Tensor:
    """(N, H + 6, W + 6) to (N, H, W): the same of every pixel."""
    height, width = (size - 2 * _REACH for size in padded.shape[-2:])

    def shifted(plane: Tensor, down: int, right: int, more: int) -> Tensor:
        return plane.narrow(-2, down, height + more).narrow(-1, right, width + more)

    mean = sum(shifted(padded, 2 + down, 2 + right, 2) for down, right in FACING)
    off = (shifted(padded, 2, 2, 2) - mean / len(FACING)).abs()
    around = [(down, right) for down in range(3) for right in range(3) if (down, right) != (1, 1)]
    return torch.stack([shifted(off, down, right, 0) for down, right in around]).amax(0)


def _detected(
    planes: Tensor, threshold: Tensor | float, contrast: Tensor | float, table: Table
) -> Tensor:
    """The same of any pattern: (N, H, W) to bool."""
    height, width = planes.shape[-2:]
    period = len(table)
    reach = max(max(offset) for line in table for place in line for offset in place)
    margin = -(-(reach + 1) // period) * period
    # Beyond an edge lie those of their color from within, the second ones so that no pixel there
    # is its own neighbor.
    padded = planes
    for dim, size in ((-2, height), (-1, width)):
        line = torch.arange(-margin, size + margin + -size % period, device=planes.device)
        first = line % period
        last = line - ((line - size) // period + 1) * period
        line = torch.where(
            line < 0, torch.where(first + period < size, first + period, first), line
        )
        line = torch.where(line >= size, torch.where(last >= period, last - period, last), line)
        padded = padded.index_select(dim, line.clamp(0, size - 1))
    found = []
    rows = max(_BAND // width // period, 1) * period
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        stop = bottom + -bottom % period
        band = padded[:, top : stop + 2 * margin]
        found.append(_stand_out(band, threshold, contrast, table, margin)[:, : bottom - top])
    return torch.cat(found, -2)[..., :width]


def _stand_out(
    padded: Tensor,
    threshold: Tensor | float,
    contrast: Tensor | float,
    table: Table,
    margin: int,
) -> Tensor:
    """Whole periods and ``margin`` pixels around them, to bool without these."""
    period = len(table)
    rim = margin - period
    inner = padded[:, period : padded.shape[1] - period, period : padded.shape[2] - period]
    high, low, mean = (torch.empty_like(inner) for _ in range(3))
    for y in range(period):
        for x in range(period):
            here = (slice(None), slice(y, None, period), slice(x, None, period))
            size = high[here].shape
            around = torch.stack(
                [
                    padded[:, period + y + down :: period, period + x + right :: period][
                        :, : size[1], : size[2]
                    ]
                    for down, right in table[y][x]
                ]
            )
            high[here], low[here], mean[here] = around.amax(0), around.amin(0), around.mean(0)
    off = functional.pad((inner - mean).abs_(), (1, 1, 1, 1))
    shifts = [(down, right) for down in range(3) for right in range(3) if (down, right) != (1, 1)]
    beside = torch.stack(
        [off[:, d : d + inner.shape[1], r : r + inner.shape[2]] for d, r in shifts]
    ).amax(0)
    excess = torch.maximum(inner - high, low - inner)
    found = (excess > threshold) & (excess > contrast * beside)
    return found[:, rim : found.shape[1] - rim, rim : found.shape[2] - rim]
