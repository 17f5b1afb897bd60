"""Where a finished picture lies in its raw: which way it was turned, and how far shifted."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from ..camera import Camera

__all__ = ["Placement", "as_stored", "between", "upright"]

Size = tuple[int, int]

_SWAPPED = (5, 6, 7, 8)
_ROWS_FLIPPED = (3, 4, 7, 8)
_COLUMNS_FLIPPED = (2, 3, 6, 7)


def size_of(picture: Tensor) -> Size:
    """(H, W) of a picture (..., H, W)."""
    return picture.shape[-2], picture.shape[-1]


def upright(picture: Tensor, orientation: int) -> Tensor:
    """The picture as it is to be seen.

    Args:
        picture: (..., H, W), in the order in which the sensor delivered it.
        orientation: of its camera, 1 to 8.

    Returns:
        (..., H, W), or (..., W, H) from 5 on.

    Source: CIPA DC-008 (Exif 2.32), Orientation.
    """
    turned = picture.mT if orientation in _SWAPPED else picture
    flipped = {-1: _COLUMNS_FLIPPED, -2: _ROWS_FLIPPED}
    return turned.flip([side for side, those in flipped.items() if orientation in those])


def as_stored(seen: Tensor, orientation: int) -> Tensor:
    """The picture in the sensor's order again: undoes :func:`upright`.

    Args:
        seen: (..., H, W). orientation: of its camera, 1 to 8.
    """
    # All but the two quarter turns undo themselves.
    return upright(seen, {6: 8, 8: 6}.get(orientation, orientation))


def _remaining(orientation: int, turn: int) -> int:
    """The orientation that a picture still has once its pixels were turned by another."""
    mark = torch.arange(4).view(2, 2)
    seen, turned = upright(mark, orientation), upright(mark, turn)
    return next(rest for rest in range(1, 9) if upright(turned, rest).equal(seen))


@dataclass(frozen=True)
class Placement:
    """Pixel (y, x) of a picture shows pixel (y + top, x + left) of the turned raw.

    Attributes:
        turn: EXIF Orientation by which the raw's pixels were turned, 1 to 8; 1: not at all.
        top, left: of the picture's first pixel in the turned raw; negative outside of it.
    """

    turn: int = 1
    top: int = 0
    left: int = 0

    def turned_size(self, size: Size) -> Size:
        """(H, W) of a raw picture of a size once it is turned."""
        return (size[1], size[0]) if self.turn in _SWAPPED else size

    def shared(self, raw_size: Size, size: Size) -> tuple[slice, slice]:
        """Rows and columns of a picture of ``size`` that a raw of ``raw_size`` has as well."""
        rows, columns = (
            slice(min(max(0, -first), side), max(0, min(side, full - first)))
            for first, full, side in zip(
                (self.top, self.left), self.turned_size(raw_size), size, strict=True
            )
        )
        return rows, columns

    def apply(self, raw: Tensor, size: Size) -> Tensor:
        """What the raw holds at the pixels of a picture.

        Args:
            raw: (C, H, W), as the sensor delivered it.
            size: (h, w) of the picture.

        Returns:
            (C, h, w); 0 where the picture reaches beyond the raw. Shares memory where it can.
        """
        rows, columns = self.shared((raw.shape[-2], raw.shape[-1]), size)
        turned = upright(raw, self.turn)
        part = turned[
            :,
            rows.start + self.top : rows.stop + self.top,
            columns.start + self.left : columns.stop + self.left,
        ]
        if part.shape[1:] == size:
            return part
        placed = raw.new_zeros(raw.shape[0], *size)
        placed[:, rows, columns] = part
        return placed

    def camera(self, camera: Camera, raw_size: Size) -> Camera:
        """The camera as if its sensor had delivered the picture's pixels in the picture's order.

        Args:
            camera: of the raw.
            raw_size: (H, W) of the raw.

        Returns:
            Mosaic and black levels begin at the picture's first pixel, and ``crop`` says where that
            is; the orientation is what remains to be done. :func:`between` undoes it.
        """
        top, left = self._in_raw(self.top, self.left, raw_size)
        # A linear picture's three colors lie at one place: they stay.
        places, side = list(range(len(camera.cfa))), camera.period
        for place, (row, column) in enumerate(product(range(side), repeat=2)):
            y, x = self._in_raw(self.top + row, self.left + column, raw_size)
            places[place] = y % side * side + x % side
        return camera.replace(
            cfa="".join(camera.cfa[place] for place in places),
            black_level=tuple(camera.black_level[place] for place in places),
            orientation=_remaining(camera.orientation, self.turn),
            crop=(camera.crop[0] + top, camera.crop[1] + left),
        )

    def _in_turned(self, y: int, x: int, raw_size: Size) -> tuple[int, int]:
        """Row and column of the turned raw at those of the raw."""
        if self.turn in _SWAPPED:
            y, x = x, y
        return self._flipped(y, x, raw_size)

    def _in_raw(self, y: int, x: int, raw_size: Size) -> tuple[int, int]:
        """Row and column of the raw at those of the turned raw."""
        y, x = self._flipped(y, x, raw_size)
        return (x, y) if self.turn in _SWAPPED else (y, x)

    def _flipped(self, y: int, x: int, raw_size: Size) -> tuple[int, int]:
        height, width = self.turned_size(raw_size)
        y = height - 1 - y if self.turn in _ROWS_FLIPPED else y
        x = width - 1 - x if self.turn in _COLUMNS_FLIPPED else x
        return y, x


def between(raw: Camera, picture: Camera, raw_size: Size) -> Placement:
    """The placement that made one camera into the other; see :meth:`Placement.camera`.

    Args:
        raw: camera of the raw.
        picture: camera that travels with the picture.
        raw_size: (H, W) of the raw.
    """
    turn = next(
        turn for turn in range(1, 9) if _remaining(raw.orientation, turn) == picture.orientation
    )
    y, x = (inside - whole for inside, whole in zip(picture.crop, raw.crop, strict=True))
    top, left = Placement(turn)._in_turned(y, x, raw_size)
    return Placement(turn, top, left)
