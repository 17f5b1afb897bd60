"""Pixels of a mosaic that do not follow the light, replaced by what lies around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from ..camera import BAYER_PATTERNS
from ..frame import Frame
from ..stage import Range, Stage
from .defect_detection import FACING, detect_defects, neighbors_of
from .periodic import least_cfa

__all__ = ["DefectMethod", "DefectivePixels", "defective_pixels"]

DefectMethod = Literal["gradient", "median"]

# How far from its rim a traced graph fills a cluster of listed defects.
_TRACED_ROUNDS = 3


def defective_pixels(
    mosaic: Tensor,
    defects: Tensor,
    method: DefectMethod = "gradient",
    cfa: str = "RGGB",
    *,
    apart: bool = False,
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
        apart: each has a sound neighbor; a traced graph is a third as long then.

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
    if torch.compiler.is_compiling():
        # A graph cannot depend on what is defective: every pixel is looked at, some rounds long.
        for _ in range(1 if apart else _TRACED_ROUNDS):
            neighbors, known = _around_all(values, sound, (height, width), least_cfa(cfa))
            ready = known.any(1)
            value = _replacement(neighbors, known, method)
            values = torch.where(ready & ~sound, value, values)
            sound = sound | ready
        return values.view(mosaic.shape)
    table = torch.tensor(neighbors_of(least_cfa(cfa)), device=mosaic.device)
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


def _around_all(
    values: Tensor, sound: Tensor, size: tuple[int, int], cfa: str
) -> tuple[Tensor, Tensor]:
    """The same as :func:`_around` of every pixel; in a Bayer mosaic without an index."""
    height, width = size
    if cfa not in BAYER_PATTERNS:
        table = torch.tensor(neighbors_of(cfa), device=values.device)
        left = torch.arange(values.shape[0], device=values.device)
        return _around(values, sound, (left, left // width % height, left % width), table, size)
    planes = torch.stack([values, sound.to(values)]).view(-1, 1, height, width)
    windows = functional.unfold(planes, 3, dilation=2, padding=2)
    # From rows of the window to the order of the neighbors.
    order = [3 * (1 + down // 2) + 1 + right // 2 for down, right in FACING]
    windows = windows.view(2, -1, 9, height * width)[:, :, order].transpose(-1, -2)
    neighbors, known = windows.reshape(2, -1, len(order)).unbind(0)
    return neighbors, known > 0


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

    @property
    def tensors_alone(self) -> bool:
        """Whether nothing is looked up in a list of what is found: in a graph alone."""
        return torch.compiler.is_compiling()

    def forward(self, frame: Frame) -> Frame:
        """Replaces ``mosaic``."""
        mosaic = frame.require("mosaic", by="DefectivePixels")
        limits, cfa = (self.threshold.to(mosaic), self.contrast.to(mosaic)), frame.camera.cfa
        mask = detect_defects(mosaic, *limits, cfa)
        if self.defects is not None:
            mask = mask | _listed(self.defects.to(mosaic.device), mosaic)
        # Detected are pixels above all neighbors, or below all: of two neighbors by each other, of
        # three or more that are all one another's neighbors, not each can be.
        apart = self.defects is None and least_cfa(cfa) in BAYER_PATTERNS
        mended = defective_pixels(mosaic, mask, self.method, cfa, apart=apart)
        return frame.replace(mosaic=mended)

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        known = "none" if self.defects is None else len(self.defects)
        limits = f"threshold={self.threshold.item():g}, contrast={self.contrast.item():g}"
        return f"{known} known, {limits}, method={self.method!r}"
