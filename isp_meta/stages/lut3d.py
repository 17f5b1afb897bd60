"""A table of colors: any look, as editors exchange it, or learned."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from ..camera import Camera
from ..frame import Frame
from ..stage import Range, Stage
from .cube_file import Domain, read_cube

__all__ = ["Interpolation", "Lut3D", "LutField", "identity_lut", "lut3d"]

Interpolation = Literal["tetrahedral", "trilinear"]
LutField = Literal["srgb", "rgb"]
Table = Tensor | Sequence[Sequence[Sequence[Sequence[float]]]]


def identity_lut(size: int) -> Tensor:
    """(size, size, size, 3) float32: the table that changes nothing.

    Args:
        size: entries a side, >= 2.
    """
    axis = torch.linspace(0, 1, size)
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1)


def lut3d(
    picture: Tensor,
    table: Tensor,
    interpolation: Interpolation = "tetrahedral",
    domain: Domain = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
) -> Tensor:
    """Looks every color up in a table, and interpolates between its entries.

    Tetrahedral: of the six tetrahedra of a cell that share its gray diagonal, the one with the
    color in it; four entries, and gray stays gray where the table's diagonal is. Trilinear: all
    eight corners of the cell.

    Args:
        picture: (..., 3, H, W); what lies outside the domain is taken for its edge.
        table: (N, N, N, 3), by red, green and blue, N >= 2; brought to the dtype and device of
            ``picture``.
        interpolation: see above.
        domain: colors of the first and the last entry.

    Returns:
        (..., 3, H, W), differentiable with respect to picture and table.

    Raises:
        ValueError: shapes do not fit.

    Source: Kasson, Nin, Plouffe, Hafner, "Performing color space conversions with three-dimensional
    linear interpolation", Journal of Electronic Imaging 4(3), 1995.
    """
    if picture.dim() < 3 or picture.shape[-3] != 3:
        raise ValueError(f"picture must be (..., 3, H, W), not {tuple(picture.shape)}")
    _check(table)
    low, high = (picture.new_tensor(color).view(3, 1, 1) for color in domain)
    place = ((picture - low) / (high - low)).clamp(0, 1) * (table.shape[0] - 1)
    cell = place.detach().long().clamp(max=table.shape[0] - 2)
    shares = (place - cell).unbind(-3)
    strides = (table.shape[0] ** 2, table.shape[0], 1)
    corner = sum(index * stride for index, stride in zip(cell.unbind(-3), strides, strict=True))
    vertices = _trilinear if interpolation == "trilinear" else _tetrahedral
    found = vertices(shares, strides)
    # A plane a color: looking up triples is slow.
    planes = table.to(picture).reshape(-1, 3).unbind(1)
    colors = []
    for plane in planes:
        terms = [
            plane.index_select(0, (corner + offset).flatten()).view_as(shares[0]) * weight
            for offset, weight in found
        ]
        colors.append(torch.stack(terms).sum(0))
    return torch.stack(colors, -3)


def _check(table: Tensor) -> None:
    size = table.shape[0] if table.dim() else 0
    if table.shape != (size, size, size, 3) or size < 2:
        raise ValueError(f"a table must be (N, N, N, 3), N >= 2, not {tuple(table.shape)}")


Vertices = list[tuple[Any, Tensor]]


def _trilinear(shares: Sequence[Tensor], strides: Sequence[int]) -> Vertices:
    """Offset in the table and weight of a cell's eight corners."""
    corners: Vertices = [(0, torch.ones_like(shares[0]))]
    for share, stride in zip(shares, strides, strict=True):
        corners = [
            (offset + step, weight * part)
            for offset, weight in corners
            for step, part in ((0, 1 - share), (stride, share))
        ]
    return corners


def _tetrahedral(shares: Sequence[Tensor], strides: Sequence[int]) -> Vertices:
    """Of the four corners on the way along the axes, that of the largest share first."""
    red, green, blue = shares
    largest = torch.maximum(torch.maximum(red, green), blue)
    least = torch.minimum(torch.minimum(red, green), blue)
    low, high = torch.minimum(red, green), torch.maximum(red, green)
    middle = torch.maximum(low, torch.minimum(high, blue))
    along_red, along_green, along_blue = (torch.full_like(red, s).long() for s in strides)
    first = torch.where(
        largest == red, along_red, torch.where(largest == green, along_green, along_blue)
    )
    last = torch.where(
        least == blue, along_blue, torch.where(least == green, along_green, along_red)
    )
    whole = sum(strides)
    return [
        (0, 1 - largest),
        (first, largest - middle),
        (whole - last, middle - least),
        (whole, least),
    ]


class Lut3D(Stage):
    """Changes colors by a table; see :func:`lut3d`.

    A look that was made for finished pictures belongs between Gamma and Quantize. A table that is
    learned begins as :func:`identity_lut`; :func:`isp_meta.stages.cube_file.cube_text` makes the
    file of it.

    Args:
        table: (N, N, N, 3), by red, green and blue; an ``nn.Parameter`` is learned.
        file: a ``.cube`` file in place of a table, with its domain; in a pipeline's file relative
            to it.
        interpolation: "tetrahedral" or "trilinear".
        domain: colors of the first and the last entry; None: those of the file, or 0 and 1.
        field: "srgb", which is confined to [0, 1], or "rgb", which is not.

    Raises:
        ValueError: not one of table and file, a table of another shape, an empty domain.
        PipelineFileError: the file cannot be read (:func:`isp_meta.stages.cube_file.read_cube`).
    """

    ranges: ClassVar[Mapping[str, Range]] = {"table": Range()}
    files: ClassVar[frozenset[str]] = frozenset({"file"})
    pointwise = True
    table: Tensor

    def __init__(
        self,
        table: Table | nn.Parameter | None = None,
        file: str | None = None,
        interpolation: Interpolation = "tetrahedral",
        domain: Sequence[Sequence[float]] | None = None,
        field: LutField = "srgb",
    ) -> None:
        super().__init__()
        if (table is None) == (file is None):
            raise ValueError("Lut3D takes a table or a file")
        if interpolation not in get_args(Interpolation):
            raise ValueError(f"interpolation must be one of {get_args(Interpolation)}")
        if field not in get_args(LutField):
            raise ValueError(f"field must be 'srgb' or 'rgb', not {field!r}")
        self.file = None if file is None else os.fspath(file)
        own: Domain | None = None
        if self.file is not None:
            table, own = read_cube(self.file)
        self.hold("table", table)
        _check(self.table)
        self.domain = domain
        self._domain = _domain(domain or own or ((0.0,) * 3, (1.0,) * 3))
        self.interpolation: Interpolation = interpolation
        self.field: LutField = field
        self.needs = self.gives = frozenset({field})

    def learn(self, *names: str) -> Stage:
        """As :meth:`Stage.learn`; a table that is learned is no longer that of its file."""
        self._keep_table()
        return super().learn(*names)

    def _keep_table(self) -> None:
        if self.file is not None:
            self.file, self.domain = None, self._domain

    def bind(self, camera: Camera) -> Stage:
        """A copy that holds the table of its file."""
        bound = copy.deepcopy(self)
        bound._keep_table()
        return bound

    def arguments(self) -> dict[str, Any]:
        """As :meth:`Stage.arguments`; a file stands for its table."""
        values = super().arguments()
        return values | {"table": None} if self.file is not None else values

    def forward(self, frame: Frame) -> Frame:
        """Replaces the field."""
        picture = frame.require(self.field, by="Lut3D")
        found = lut3d(picture, self.table, self.interpolation, self._domain)
        return frame.replace(**{self.field: found.clamp(0, 1) if self.field == "srgb" else found})

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        table = self.file or f"{self.table.shape[0]}^3"
        return f"{table}, interpolation={self.interpolation!r}, field={self.field!r}"


def _domain(given: Sequence[Sequence[float]]) -> Domain:
    colors = [tuple(float(value) for value in color) for color in given]
    if [len(color) for color in colors] != [3, 3]:
        raise ValueError("Lut3D: domain must be two colors")
    if not all(a < b for a, b in zip(*colors, strict=True)):
        raise ValueError("Lut3D: domain must begin below its end")
    return colors[0], colors[1]  # type: ignore[return-value]
