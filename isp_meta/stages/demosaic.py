"""Three colors at every pixel of a Bayer mosaic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from ..camera import BAYER_PATTERNS, LINEAR, MONOCHROME, Camera, check_cfa
from ..frame import Frame
from ..stage import Stage
from .bayer import Field, interleave, put, split
from .borders import extended
from .kriging import kriging
from .menon import MENON_HALO, menon
from .periodic import least_cfa, nearest
from .rows import of_bands, row_bands

__all__ = ["METHODS", "Demosaic", "DemosaicMethod", "demosaic", "method_for"]

DemosaicMethod = Literal["malvar", "bilinear", "menon", "kriging"]
METHODS: tuple[DemosaicMethod, ...] = get_args(DemosaicMethod)
_OF_BAYER = ("malvar", "menon")

# Rows of a band at least, so that what a band reads beyond its own rows is little.
_ROWS = 64


def method_for(cfa: str, method: DemosaicMethod) -> DemosaicMethod | None:
    """What a mosaic is demosaiced by where a method was asked for.

    Args:
        cfa: as :attr:`isp_meta.Camera.cfa`.
        method: asked for.

    Returns:
        "kriging" in place of what is for Bayer mosaics alone; None without a mosaic.
    """
    if cfa in (MONOCHROME, LINEAR):
        return None
    is_bayer = least_cfa(cfa) in BAYER_PATTERNS
    return method if is_bayer or method not in _OF_BAYER else "kriging"


def demosaic(
    mosaic: Tensor,
    cfa: str = "RGGB",
    method: DemosaicMethod = "malvar",
    neutral: Sequence[float] | Tensor = (1.0, 1.0, 1.0),
) -> Tensor:
    """Interpolates the two colors that each pixel did not measure.

        bilinear:  mean of the nearest pixels of that color
        malvar:    bilinear + gain * (Laplacian of the color that the pixel did measure)
        menon:     along the row or the column, whichever changes less; see :func:`menon`
        kriging:   best linear prediction, along the direction that predicts best nearby; see
                   :func:`kriging`

    "malvar" and "menon" are for Bayer mosaics: another one is demosaiced by "kriging" then. A
    monochrome picture is repeated three times, and a linear one has its three colors already.

    Borders are mirrored about the outermost pixel, which keeps a Bayer pattern's parity; of other
    patterns see :func:`isp_meta.stages.periodic.surrounded`. Along a side of a single pixel there
    is nothing to mirror: that line is repeated, and a color that it does not hold is guessed from
    those it does.

    Args:
        mosaic: (..., 1, H, W), float32 or float64, any size from 1x1; (..., 3, H, W) under "RGB".
        cfa: as :attr:`isp_meta.Camera.cfa`.
        method: all but "bilinear" may leave the range of their input at edges.
        neutral: (3,) camera color of a neutral object, all > 0, which "kriging" takes for gray.

    Returns:
        (..., 3, H, W): measured pixels exactly as they were.

    Raises:
        TypeError: mosaic is not floating point. ValueError: shape, cfa or method do not fit.

    Source: Malvar, He, Cutler, "High-quality linear interpolation for demosaicing of
    Bayer-patterned color images", ICASSP 2004, Eqs. 3 to 6; gains 1/2, 5/8, 3/4.
    """
    if not mosaic.is_floating_point():
        raise TypeError(f"mosaic must be floating point, not {mosaic.dtype}")
    check_cfa(cfa)
    channels = 3 if cfa == LINEAR else 1
    if mosaic.dim() < 3 or mosaic.shape[-3] != channels or 0 in mosaic.shape[-2:]:
        raise ValueError(f"mosaic must be (..., {channels}, H, W), not {tuple(mosaic.shape)}")
    _check_method(method)
    if cfa in (MONOCHROME, LINEAR):
        return mosaic.expand(*mosaic.shape[:-3], 3, -1, -1).clone()
    cfa = least_cfa(cfa)
    plane = mosaic.squeeze(-3)
    if method_for(cfa, method) == "kriging":
        return kriging(plane, cfa, neutral)
    if cfa not in BAYER_PATTERNS:
        return nearest(plane, cfa)
    return _of_bayer(plane, cfa, method)


def _of_bayer(plane: Tensor, cfa: str, method: str) -> Tensor:
    estimate, halo = _ESTIMATES[method]
    height, width = plane.shape[-2:]

    def planes(top: int, bottom: int) -> list[Tensor]:
        rows = extended(plane, -2, top - halo, bottom + halo)
        return estimate(split(extended(rows, -1, -halo, _even(width) + halo), halo), cfa)

    bands = row_bands(plane, multiple=_ROWS)
    if len(bands) == 1:
        return interleave(planes(0, _even(height)), (height, width))
    raw = plane.new_empty(*plane.shape[:-2], 3, height, width)

    def fill(top: int, bottom: int) -> None:
        put(planes(top, top + _even(bottom - top)), raw[..., top:bottom, :])

    of_bands(fill, bands)
    return raw


def _even(size: int) -> int:
    # Tracing goes two lines beyond any size, so that the graph does not depend on its parity.
    return size + 2 if torch.compiler.is_compiling() else size + size % 2


def _check_method(method: str) -> None:
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")


def _bilinear(mosaic: Field, cfa: str) -> list[Tensor]:
    return _linear(mosaic, cfa, malvar=False)


def _malvar(mosaic: Field, cfa: str) -> list[Tensor]:
    return _linear(mosaic, cfa, malvar=True)


def _linear(mosaic: Field, cfa: str, malvar: bool) -> list[Tensor]:
    """For each color the four planes of its estimates."""
    in_row = {p: mosaic.pair(p, (0, 1), (1, 0)) for p in range(4)}
    beside = Field(in_row, mosaic.size, (1, 0))
    colors: dict[tuple[str, int], Tensor] = {}

    def far(position: int) -> tuple[Tensor, Tensor]:
        return mosaic.pair(position, (0, 2)), mosaic.pair(position, (2, 0))

    for position, color in enumerate(cfa):
        here, columns = mosaic.at(position), beside.at(position)
        rows, diagonals = mosaic.pair(position, (1, 0)), beside.pair(position, (1, 0))
        colors[color, position] = here
        if color == "G":
            along_row, along_column = columns * (1 / 2), rows.mul_(1 / 2)
            if malvar:
                far_columns, far_rows = far(position)
                center = diagonals.mul_(-1 / 5).add_(here).mul_(5 / 8)
                along_row.add_(center).sub_(far_columns, alpha=1 / 8).add_(far_rows, alpha=1 / 16)
                along_column.add_(center).sub_(far_rows, alpha=1 / 8)
                along_column.add_(far_columns, alpha=1 / 16)
            colors[cfa[position ^ 1], position] = along_row
            colors[cfa[position ^ 2], position] = along_column
        else:
            green, other = rows.add_(columns).mul_(1 / 4), diagonals.mul_(1 / 4)
            if malvar:
                far_columns, far_rows = far(position)
                laplacian = here - far_columns.add_(far_rows).mul_(1 / 4)
                green.add_(laplacian, alpha=1 / 2)
                other.add_(laplacian, alpha=3 / 4)
            colors["G", position], colors[cfa[position ^ 3], position] = green, other
    return [colors[name, position] for name in "RGB" for position in range(4)]


# For each method its estimate of all colors, and how many pixels around the picture that reads.
_ESTIMATES: dict[str, tuple[Callable[[Field, str], list[Tensor]], int]] = {
    "malvar": (_malvar, 2),
    "bilinear": (_bilinear, 2),
    "menon": (menon, MENON_HALO),
}


class Demosaic(Stage):
    """Mosaic to raw, confined to [0, 1]; see :func:`demosaic`.

    Args:
        method: see :func:`demosaic`.
        neutral: (3,) all > 0; None: the camera's ``as_shot_neutral``. "kriging" alone looks at it.

    Raises:
        ValueError: another method, or a neutral of another shape or not positive.
    """

    needs = frozenset({"mosaic"})
    gives = frozenset({"raw"})
    neutral: Tensor | None

    def __init__(
        self, method: DemosaicMethod = "malvar", neutral: Tensor | Sequence[float] | None = None
    ) -> None:
        super().__init__()
        _check_method(method)
        self.method: DemosaicMethod = method
        self.hold("neutral", neutral)
        if self.neutral is not None and not (
            self.neutral.shape == (3,) and bool((self.neutral > 0).all())
        ):
            raise ValueError(f"Demosaic: neutral must be 3 positive values, not {neutral}")

    def forward(self, frame: Frame) -> Frame:
        """Fills ``raw``."""
        mosaic, camera = frame.require("mosaic", by="Demosaic"), frame.camera
        neutral = camera.as_shot_neutral if self.neutral is None else self.neutral
        return frame.replace(raw=demosaic(mosaic, camera.cfa, self.method, neutral).clamp_(0, 1))

    def bind(self, camera: Camera) -> Stage:
        """A copy that holds the camera's neutral, where none was given and it is looked at."""
        bound = super().bind(camera)
        if self.neutral is None and method_for(camera.cfa, self.method) == "kriging":
            bound.hold("neutral", camera.as_shot_neutral)
        return bound

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        neutral = "" if self.neutral is None else f", neutral={self.neutral.tolist()}"
        return f"method={self.method!r}{neutral}"
