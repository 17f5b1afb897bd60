"""A sensor's stored codes to codes that are proportional to light."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..frame import Frame
from ..stage import Stage

__all__ = ["Linearize", "linearize"]

# Pixels looked up at a time: index, entry and slope of each take three times its memory.
_BAND = 1 << 20


def linearize(codes: Tensor, table: Tensor) -> Tensor:
    """Looks every code up in a table; between two entries, linearly.

        linear(c) = table[c];  below 0 the first entry, beyond the end the last one

    Args:
        codes: (..., H, W), float32 or float64, any size.
        table: (K,), K >= 1: the linear code of each stored code; brought to the dtype and device of
            ``codes``.

    Returns:
        Same shape; differentiable with respect to ``codes`` and ``table``.

    Raises:
        TypeError: codes are not floating point. ValueError: the table is not (K,).

    Source: DNG specification 1.7.1, LinearizationTable.
    """
    if not codes.is_floating_point():
        raise TypeError(f"codes must be floating point, not {codes.dtype}")
    if table.dim() != 1 or len(table) < 1:
        raise ValueError(f"table must be (K,) with K >= 1, not {tuple(table.shape)}")
    table = table.to(codes)
    rise = torch.cat([table.diff(), table.new_zeros(1)])

    def look_up(band: Tensor) -> Tensor:
        inside = band.clamp(0, len(table) - 1)
        below = inside.detach().int().flatten()
        start, slope = (t.index_select(0, below).view_as(band) for t in (table, rise))
        return torch.addcmul(start, slope, inside - below.view_as(band))

    if torch.compiler.is_compiling():
        return look_up(codes)
    rows = max(_BAND // codes.shape[-1], 1)
    return torch.cat([look_up(band) for band in torch.split(codes, rows, -2)], -2)


class Linearize(Stage):
    """Stored codes to linear codes; see :func:`linearize`.

    For raw pixels without a file around them: LibRaw has applied a DNG's own LinearizationTable
    before :func:`isp_meta.io.read_raw` returns.

    Args:
        table: (K,) linear code of each stored code, K >= 1; an ``nn.Parameter`` is learned.

    Raises:
        ValueError: the table is not (K,) or not finite.
    """

    needs = frozenset({"codes"})
    gives = frozenset({"codes"})
    pointwise = True
    table: Tensor

    def __init__(self, table: Tensor | nn.Parameter | Sequence[float]) -> None:
        super().__init__()
        self.hold("table", table)
        if self.table.dim() != 1 or len(self.table) < 1:
            raise ValueError(f"Linearize: table must be (K,), not {tuple(self.table.shape)}")

    def forward(self, frame: Frame) -> Frame:
        """Replaces ``codes``."""
        codes = frame.require("codes", by="Linearize")
        return frame.replace(codes=linearize(codes, self.table))

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        return f"{len(self.table)} entries"
