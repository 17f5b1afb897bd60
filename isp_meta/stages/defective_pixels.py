"""Pixels of a mosaic that do not follow the light, replaced by what lies around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from ..camera import BAYER_PATTERNS, LINEAR, MONOCHROME, pattern_of
from ..frame import Frame
from ..stage import Range, Stage
from .periodic import least_cfa

__all__ = ["DefectivePixels", "DefectMethod", "defective_pixels", "detect_defects"]

DefectMethod = Literal["gradient", "median"]
Offset = tuple[int, int]
Table = tuple[tuple[tuple[Offset, ...], ...], ...]

# How far from its rim a traced graph fills a cluster.
_TRACED_ROUNDS = 3

# Pixels searched at a time: the extremes of their neighborhoods take ten times their memory.
_BAND = 1 << 20

# Lines around a pixel that are looked at: its own neighbors lie two away, those of pixels beside it
# three.
_REACH = 3

# The pixels of the same place in a Bayer pattern, in eight directions; the second four face the
# first four.
_NEIGHBORS = ((0, 2), (2, 0), (2, 2), (2, -2), (0, -2), (-2, 0), (-2, -2), (-2, 2))


@cache
def _neighbors(cfa: str) -> Table:
    """(n, n, 8, 2): offsets from each place of a pattern to its neighbors, in pairs as above.

    Of a Bayer pattern those above, of another the four nearest pairs that have the place's color.
    No tensor: one that was first made while a graph is traced would be of no use later.
    """
    if cfa in BAYER_PATTERNS:
        return ((_NEIGHBORS,) * 2,) * 2
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
        return _detected(planes, threshold, contrast, _neighbors(cfa)).view(mosaic.shape)
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

    mean = sum(shifted(padded, 2 + down, 2 + right, 2) for down, right in _NEIGHBORS)
    off = (shifted(padded, 2, 2, 2) - mean / len(_NEIGHBORS)).abs()
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


def defective_pixels(
    mosaic: Tensor, defects: Tensor, method: DefectMethod = "gradient", cfa: str = "RGGB"
) -> Tensor:
    """Replaces defective pixels by sound neighbors of their color.

        gradient:  mean of the two facing neighbors that differ least, of four directions;
                   without a sound pair, as "median"
        median:    median of the eight neighbors that are sound

    What has no sound neighbor waits for those that were just replaced, so that clusters fill from
    their rim; a color that is defective everywhere stays as it is. A traced graph fills clusters of
    up to five neighbors across, and leaves what is within larger ones.

    Args:
        mosaic: (..., H, W), float32 or float64, any size.
        defects: bool, of a shape that broadcasts to the mosaic's.
        method: "gradient" or "median".
        cfa: as :attr:`isp_meta.Camera.cfa`; see :func:`detect_defects` for who is a neighbor.

    Returns:
        Same shape: sound pixels exactly as they were.

    Raises:
        ValueError: shapes or method do not fit.

    Source: the direction of least gradient as in edge-directed interpolation (Hamilton and Adams,
    US patent 5,629,734, 1997), here between pixels of one color, which lie two apart.
    """
    if method not in get_args(DefectMethod):
        raise ValueError(f"method must be 'gradient' or 'median', not {method!r}")
    height, width = mosaic.shape[-2:]
    broken = defects.broadcast_to(mosaic.shape).reshape(-1)
    values = mosaic.reshape(-1)
    sound = ~broken
    table = torch.tensor(_neighbors(least_cfa(cfa)), device=mosaic.device)
    if torch.compiler.is_compiling():
        # A graph cannot depend on what is defective: every pixel is looked at, some rounds long.
        left = torch.arange(values.shape[0], device=mosaic.device)
        rows, columns = (torch.arange(lines, device=mosaic.device) for lines in (height, width))
        y, x = (n.expand(mosaic.shape).reshape(-1) for n in (rows.unsqueeze(1), columns))
        for _ in range(_TRACED_ROUNDS):
            neighbors, known = _around(values, sound, (left, y, x), table, (height, width))
            ready = known.any(1)
            value = _replacement(neighbors, known, method)
            values = torch.where(ready & ~sound, value, values)
            sound = sound | ready
        return values.view(mosaic.shape)
    left = broken.nonzero().squeeze(1)
    y, x = left // width % height, left % width
    while len(left):
        neighbors, known = _around(values, sound, (left, y, x), table, (height, width))
        ready = known.any(1)
        if not bool(ready.any()):
            break
        value = _replacement(neighbors[ready], known[ready], method)
        values = values.index_put((left[ready],), value)
        sound[left[ready]] = True
        left, y, x = left[~ready], y[~ready], x[~ready]
    return values.view(mosaic.shape)


def _around(
    values: Tensor,
    sound: Tensor,
    place: tuple[Tensor, Tensor, Tensor],
    table: Tensor,
    size: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """(K, 8) neighbors of some places, each as flat index, row and column; and which are sound."""
    left, y, x = place
    around, usable = [], []
    for offset in table[y % len(table), x % len(table)].unbind(1):
        down, right = offset.unbind(1)
        inside = (y + down >= 0) & (y + down < size[0]) & (x + right >= 0) & (x + right < size[1])
        index = torch.where(inside, left + down * size[1] + right, left)
        around.append(values[index])
        usable.append(inside & sound[index])
    return torch.stack(around, 1), torch.stack(usable, 1)


def _replacement(neighbors: Tensor, known: Tensor, method: DefectMethod) -> Tensor:
    """(N, 8) neighbors to (N,) values; without meaning where none of a row is known."""
    ordered = torch.where(known, neighbors, torch.inf).sort(1).values
    count = known.sum(1, keepdim=True).clamp(min=1)
    median = (ordered.gather(1, (count - 1) // 2) + ordered.gather(1, count // 2)).squeeze(1) / 2
    if method == "median":
        return median
    one, other = neighbors[:, :4], neighbors[:, 4:]
    paired = known[:, :4] & known[:, 4:]
    step = torch.where(paired, (one - other).abs().detach(), torch.inf)
    direction = step.argmin(1, keepdim=True)
    mean = ((one + other) / 2).gather(1, direction).squeeze(1)
    return torch.where(paired.any(1), mean, median)


def _listed(defects: Tensor, mosaic: Tensor) -> Tensor:
    """(H, W) bool: the places of (N, 2) that lie inside."""
    height, width = mosaic.shape[-2:]
    y, x = defects.unbind(1)
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    # One more pixel, which all those outside fall on.
    place = torch.where(inside, y * width + x, height * width)
    mask = torch.zeros(height * width + 1, device=mosaic.device).index_fill(0, place, 1)
    return mask[:-1].view(height, width) > 0


class DefectivePixels(Stage):
    """Replaces defective pixels of the mosaic; see :func:`defective_pixels`.

    Args:
        defects: (N, 2) rows and columns of known defects, or a bool mask (H, W) or (1, H, W), as
            :meth:`isp_meta.io.dng.opcodes.BadPixelsList.mask` gives; None: none are known. Those
            outside a picture are ignored.
        threshold: by which a pixel must stand out to be found defective, see
            :func:`detect_defects`; 0 to 1, where 1 finds none in a mosaic within [0, 1].
        method: "gradient" or "median".
        contrast: how many times as far as any pixel beside it, 0 to 100, see
            :func:`detect_defects`.

    Raises:
        ValueError: another method or shape, threshold out of range.
    """

    needs = frozenset({"mosaic"})
    gives = frozenset({"mosaic"})
    ranges: ClassVar[Mapping[str, Range]] = {"threshold": Range(0, 1), "contrast": Range(0, 100)}
    defects: Tensor | None
    threshold: Tensor
    contrast: Tensor

    def __init__(
        self,
        defects: Tensor | Sequence[tuple[int, int]] | None = None,
        threshold: float = 0.1,
        method: DefectMethod = "gradient",
        contrast: float = 4.0,
    ) -> None:
        super().__init__()
        if defects is not None:
            defects = torch.as_tensor(defects)
            if defects.dtype == torch.bool:
                defects = defects.reshape(defects.shape[-2:]).nonzero()
            defects = defects.reshape(-1, 2).long()
        if method not in get_args(DefectMethod):
            raise ValueError(f"method must be 'gradient' or 'median', not {method!r}")
        self.register_buffer("defects", defects)
        self.hold("threshold", threshold)
        self.hold("contrast", contrast)
        self.method: DefectMethod = method

    def forward(self, frame: Frame) -> Frame:
        """Replaces ``mosaic``."""
        mosaic = frame.require("mosaic", by="DefectivePixels")
        limits, cfa = (self.threshold.to(mosaic), self.contrast.to(mosaic)), frame.camera.cfa
        mask = detect_defects(mosaic, *limits, cfa)
        if self.defects is not None:
            mask = mask | _listed(self.defects.to(mosaic.device), mosaic)
        return frame.replace(mosaic=defective_pixels(mosaic, mask, self.method, cfa))

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        known = "none" if self.defects is None else len(self.defects)
        limits = f"threshold={self.threshold.item():g}, contrast={self.contrast.item():g}"
        return f"{known} known, {limits}, method={self.method!r}"
