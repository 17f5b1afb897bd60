"""Three colors at every pixel of a Bayer mosaic."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from ..camera import BAYER_PATTERNS
from ..frame import Frame
from ..stage import Stage

__all__ = ["Demosaic", "DemosaicMethod", "demosaic"]

DemosaicMethod = Literal["malvar", "bilinear"]

# On a CPU, pixels worked on at a time. Their intermediates stay in cache, and a quarter of them,
# one position of the pattern, is less than PyTorch splits among threads: thousands of small
# parallel loops stall for seconds as soon as another program wants the same cores.
_BAND = 1 << 17
_REACH = 2


def demosaic(mosaic: Tensor, cfa: str = "RGGB", method: DemosaicMethod = "malvar") -> Tensor:
    """Interpolates the two colors that each pixel did not measure.

        bilinear:  mean of the nearest pixels of that color (2 or 4 of them)
        malvar:    bilinear + gain * (Laplacian of the color that the pixel did measure)

    Borders are mirrored about the outermost pixel, which keeps the pattern's parity. Along a side
    of a single pixel there is nothing to mirror: that line is repeated, and a color that it does
    not hold is guessed from those it does.

    Args:
        mosaic: (..., 1, H, W), float32 or float64, any size from 1x1.
        cfa: RGGB, BGGR, GRBG or GBRG, the top-left 2x2 pixels row-major.
        method: "malvar" may leave the range of its input at edges; "bilinear" never does.

    Returns:
        (..., 3, H, W): measured pixels exactly as they were.

    Raises:
        TypeError: mosaic is not floating point. ValueError: shape, cfa or method do not fit.

    Source: Malvar, He, Cutler, "High-quality linear interpolation for demosaicing of
    Bayer-patterned color images", ICASSP 2004, Eqs. 3 to 6; gains 1/2, 5/8, 3/4.
    """
    if not mosaic.is_floating_point():
        raise TypeError(f"mosaic must be floating point, not {mosaic.dtype}")
    if mosaic.dim() < 3 or mosaic.shape[-3] != 1 or 0 in mosaic.shape[-2:]:
        raise ValueError(f"mosaic must be (..., 1, H, W), not {tuple(mosaic.shape)}")
    if cfa not in BAYER_PATTERNS:
        raise ValueError(f"cfa must be one of {', '.join(BAYER_PATTERNS)}, not {cfa!r}")
    if method not in get_args(DemosaicMethod):
        raise ValueError(f"method must be 'malvar' or 'bilinear', not {method!r}")
    height, width = mosaic.shape[-2:]
    # Even, so that every band starts on the same row of the pattern.
    band = max(_BAND // width // 2 * 2, 2) if mosaic.device.type == "cpu" else height + height % 2
    padded = _mirror(_mirror(mosaic.squeeze(-3), -2), -1)
    bands = [
        _demosaic_band(
            padded[..., top : min(top + band, height) + 2 * _REACH, :], cfa, method == "malvar"
        )
        for top in range(0, height, band)
    ]
    return torch.cat(bands, dim=-2)


def _mirror(plane: Tensor, dim: int) -> Tensor:
    """Two more lines at both ends of ``dim``, mirrored about the outermost line."""
    size = plane.shape[dim]
    outside = torch.tensor([-2, -1, size, size + 1], device=plane.device)
    period = max(2 * (size - 1), 1)
    phase = outside.remainder(period)
    source = torch.minimum(phase, period - phase).clamp(max=size - 1)
    before, after = plane.index_select(dim, source[:2]), plane.index_select(dim, source[2:])
    return torch.cat([before, plane, after], dim)


def _demosaic_band(padded: Tensor, cfa: str, malvar: bool) -> Tensor:
    """(..., H + 4, W + 4) with its borders to (..., 3, H, W)."""
    height, width = padded.shape[-2] - 2 * _REACH, padded.shape[-1] - 2 * _REACH
    colors = padded.new_empty(*padded.shape[:-2], 3, height, width)
    for position, color in enumerate(cfa):
        top, left = divmod(position, 2)

        def at(down: int, right: int, top: int = top, left: int = left) -> Tensor:
            """The neighbors at that offset of all pixels at this position of the pattern."""
            first_row, first_column = _REACH + top + down, _REACH + left + right
            return padded[
                ...,
                first_row : height + _REACH + down : 2,
                first_column : width + _REACH + right : 2,
            ]

        here = at(0, 0)
        columns, rows = at(0, -1) + at(0, 1), at(-1, 0) + at(1, 0)
        diagonals = at(-1, -1) + at(-1, 1) + at(1, -1) + at(1, 1)
        far_columns, far_rows = at(0, -2) + at(0, 2), at(-2, 0) + at(2, 0)
        if color == "G":
            estimates = {
                "G": here,
                cfa[position ^ 1]: columns / 2,
                cfa[position ^ 2]: rows / 2,
            }
            if malvar:
                along_row = here - (diagonals + far_columns - far_rows / 2) / 5
                along_column = here - (diagonals + far_rows - far_columns / 2) / 5
                estimates[cfa[position ^ 1]] += along_row * (5 / 8)
                estimates[cfa[position ^ 2]] += along_column * (5 / 8)
        else:
            estimates = {color: here, "G": (columns + rows) / 4, cfa[position ^ 3]: diagonals / 4}
            if malvar:
                laplacian = here - (far_columns + far_rows) / 4
                estimates["G"] += laplacian / 2
                estimates[cfa[position ^ 3]] += laplacian * (3 / 4)
        for name, value in estimates.items():
            colors[..., "RGB".index(name), top::2, left::2] = value
    return colors


class Demosaic(Stage):
    """Mosaic to raw, confined to [0, 1]; see :func:`demosaic`."""

    needs = frozenset({"mosaic"})
    gives = frozenset({"raw"})

    def __init__(self, method: DemosaicMethod = "malvar") -> None:
        super().__init__()
        if method not in get_args(DemosaicMethod):
            raise ValueError(f"method must be 'malvar' or 'bilinear', not {method!r}")
        self.method: DemosaicMethod = method

    def forward(self, frame: Frame) -> Frame:
        """Fills ``raw``."""
        mosaic = frame.require("mosaic", by="Demosaic")
        return frame.replace(raw=demosaic(mosaic, frame.camera.cfa, self.method).clamp(0, 1))

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        return f"method={self.method!r}"
