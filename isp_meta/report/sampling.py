"""Where the kept pixels lie, as pictures for the page."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from ..frame import Frame
from ..pictures import part_of, superpixel_map, superpixel_overlay, tensor_of
from ..samples import Samples
from .windows import Window

__all__ = ["Detail", "detail", "window_size"]

# Cells across and down the detail, and about the pixels of the page that it is drawn with.
_CELLS, _SIDE = (18, 24), 1152
# Beyond this many cells around it nothing in the picture changes a superpixel.
_HALO = 6


def spacing(samples: Samples) -> int:
    """Side of a cell; of samples without one about their distance, pixels."""
    return samples.cell or max(1, round(math.sqrt(samples.height * samples.width / len(samples))))


def window_size(samples: Samples) -> tuple[int, int]:
    """(H, W) of the detail, in the sensor's order."""
    side = spacing(samples)
    return _CELLS[0] * side, _CELLS[1] * side


@dataclass(frozen=True)
class Detail:
    """A part of a picture with what is kept of it.

    Attributes:
        picture: (3, h, w) uint8, enlarged; the superpixels' borders in white, samples in yellow.
        samples: how many it holds. zoom: pixels of it a pixel of the picture.
    """

    picture: Tensor
    samples: int
    zoom: int


def detail(frame: Frame, window: Window, sampler: str) -> Detail:
    """Draws a part of a picture, its superpixels and its samples.

    Args:
        frame: with ``raw``, ``srgb`` and ``samples``. window: the part. sampler: as for
            :func:`isp_meta.pictures.superpixel_map`.
    """
    samples: Samples = frame.require("samples", "detail")
    side = spacing(samples)
    # The grid of cells must begin where it does in the whole picture.
    top, left = (max(0, n // side - _HALO) * side for n in (window.top, window.left))
    bottom = min(samples.height, window.top + window.height + _HALO * side)
    right = min(samples.width, window.left + window.width + _HALO * side)
    wide = part_of(frame, slice(top, bottom), slice(left, right))
    inner = Window(window.top - top, window.left - left, window.height, window.width)
    kept = part_of(frame, window.rows, window.columns)
    zoom = max(1, _SIDE // max(window.height, window.width))
    shown = superpixel_overlay(kept, inner.of(superpixel_map(wide, sampler)), zoom)
    return Detail(tensor_of(shown), len(kept.require("samples", "detail")), zoom)
