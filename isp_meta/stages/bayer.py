"""A Bayer mosaic as four planes, one for each position of its 2x2 pattern.

    R G R G      position 0  R R    1  G G
    G B G B  ─▶              R R       G G
    R G R G      position 2  G G    3  B B
    G B G B                  G G       B B

Interpolation then adds whole planes, whose pixels lie side by side in memory, in place of every
second pixel of every second row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from .borders import cropped

__all__ = ["Field", "Pair", "interleave", "put", "split"]

Pair = tuple[int, int]


class Field:
    """A quantity at some positions of the pattern, known up to some pixels around a picture.

    Args:
        planes: by position, (..., height / 2 + halo[0], width / 2 + halo[1]).
        size: (height / 2, width / 2) of the picture.
        halo: (rows, columns) of pixels beyond the picture's edges that are known.
    """

    def __init__(self, planes: Mapping[int, Tensor], size: Pair, halo: Pair) -> None:
        self.planes, self.size, self.halo = planes, size, halo

    def at(self, position: int, offset: Pair = (0, 0), halo: Pair = (0, 0)) -> Tensor:
        """The quantity beside the pixels at a position of the pattern.

        Args:
            position: 0 to 3, row-major, of the pixels asked from.
            offset: (down, right) of the pixels wanted.
            halo: (rows, columns) of pixels beyond the picture's edges that are asked from.

        Returns:
            (..., height / 2 + halo[0], width / 2 + halo[1]): a view.
        """
        place, spans = 0, []
        for side, parity in enumerate(divmod(position, 2)):
            periods, source = divmod(parity + offset[side], 2)
            place = place * 2 + source
            # A halo of h pixels begins (h + parity) // 2 periods before the picture.
            start = (self.halo[side] + source) // 2 - (halo[side] + parity) // 2 + periods
            spans.append(slice(start, start + self.size[side] + halo[side]))
        return self.planes[place][..., spans[0], spans[1]]

    def pair(self, position: int, along: Pair, halo: Pair = (0, 0)) -> Tensor:
        """Sum of the two neighbors at an offset and at its opposite; as :meth:`at`."""
        down, right = along
        return self.at(position, (-down, -right), halo) + self.at(position, along, halo)


def split(padded: Tensor, halo: int) -> Field:
    """The four planes of a mosaic.

    Args:
        padded: (..., H + 2 halo, W + 2 halo), H and W even.
        halo: even.
    """
    planes = {}
    for position in range(4):
        # Of one length whether or not the sides are known to be even when this is traced.
        rows, columns = (slice(n, None if n else -1, 2) for n in divmod(position, 2))
        planes[position] = padded[..., rows, columns].contiguous()
    size = padded.shape[-2] // 2 - halo, padded.shape[-1] // 2 - halo
    return Field(planes, size, (halo, halo))


def interleave(planes: Sequence[Tensor], size: Pair) -> Tensor:
    """Colors by position to whole pictures.

    Args:
        planes: 12 of (..., h, w): for each of red, green, blue the four positions.
        size: (height, width) to crop to.

    Returns:
        (..., 3, height, width).
    """
    raw = functional.pixel_shuffle(torch.stack(list(planes), -3), 2)
    return cropped(raw, size).contiguous()


def put(planes: Sequence[Tensor], raw: Tensor) -> None:
    """What :func:`interleave` gives, into memory that is there already.

    Args:
        planes: as there.
        raw: (..., 3, height, width).
    """
    for index, plane in enumerate(planes):
        color, position = divmod(index, 4)
        here = raw[..., color, position // 2 :: 2, position % 2 :: 2]
        here.copy_(plane[..., : here.shape[-2], : here.shape[-1]])
