"""Undoing the fall-off of light and color toward a picture's corners."""

from __future__ import annotations

import dataclasses
import math
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from ..camera import LINEAR, MONOCHROME, Camera, GainMap, check_cfa, pattern_of, period_of
from ..frame import Frame
from ..stage import Range, Stage

__all__ = ["LensShading", "ShadingField", "Vignette", "lens_shading", "vignette"]

ShadingField = Literal["mosaic", "rgb"]

# Rows of rgb corrected at a time, so that no gain of the whole picture is held.
_BAND = 256


def lens_shading(picture: Tensor, maps: Sequence[GainMap], cfa: str = "RGGB") -> Tensor:
    """Multiplies by gains that are interpolated bilinearly between the points of coarse grids.

        v(y) = ((y + 1/2) / H - origin) / spacing, confined to the grid; likewise u(x)
        gain(y, x) = sum over i, j of hat(v - i) hat(u - j) gains[i, j],  hat(t) = max(1 - |t|, 0)

    A map changes every ``pitch``-th pixel of its rectangle; where maps meet, all apply. On three
    colors, a color's gain is the mean over its places in the mosaic's pattern; under "RGB" it is
    that of the map's own plane.

    Args:
        picture: (..., 1, H, W) mosaic or (..., 3, H, W) linear rgb, float32 or float64.
        maps: see :class:`isp_meta.camera.GainMap`.
        cfa: as :attr:`isp_meta.Camera.cfa`; without effect unless there are three colors.

    Returns:
        Same shape, not confined to any range.

    Raises:
        ValueError: shapes or cfa do not fit; three colors and a pitch that does not divide the
            pattern's period, which belongs to no color.

    Source: DNG specification 1.7.1, chapter 7, opcode GainMap; a pixel's place is its center.
    """
    if picture.dim() < 3 or picture.shape[-3] not in (1, 3):
        raise ValueError(
            f"picture must be (..., 1, H, W) or (..., 3, H, W), not {tuple(picture.shape)}"
        )
    check_cfa(cfa)
    corrected = picture.clone()
    if picture.shape[-3] == 1:
        for shading in maps:
            if shading.planes[0] == 0:
                rows, columns = _pixels(shading, picture.shape[-2:])
                corrected[..., rows, columns].mul_(_gain(shading, picture, rows, columns))
        return corrected
    for channel in range(3 if maps else 0):
        # Places to which the same maps apply have one gain.
        shares = Counter(_maps_at(place, maps, channel, cfa) for place in _places(cfa, channel))
        for top in range(0, picture.shape[-2], _BAND):
            band = slice(top, min(top + _BAND, picture.shape[-2]))
            gains = [
                _gain_of([maps[i] for i in chosen], picture, band, channel if cfa == LINEAR else 0)
                * (count / shares.total())
                for chosen, count in shares.items()
            ]
            corrected[..., channel, band, :].mul_(torch.stack(gains).sum(0))
    return corrected


def _places(cfa: str, channel: int) -> list[tuple[int, int]]:
    """Rows and columns of a color in the pattern; a picture without a mosaic has one for all."""
    if cfa in (MONOCHROME, LINEAR):
        return [(0, 0)]
    return [(y, x) for y, x in (pattern_of(cfa) == channel).nonzero().tolist()]


def _maps_at(
    place: tuple[int, int], maps: Sequence[GainMap], channel: int, cfa: str
) -> tuple[int, ...]:
    """Which maps apply to a place of the pattern."""
    chosen, period = [], period_of(cfa)
    for number, shading in enumerate(maps):
        if any(period % pitch for pitch in shading.pitch):
            raise ValueError(f"a gain map of pitch {shading.pitch} belongs to no color of rgb")
        starts = zip(place, shading.rectangle[:2], shading.pitch, strict=True)
        first, count = shading.planes
        plane = channel if cfa == LINEAR else 0
        if all((at - start) % pitch == 0 for at, start, pitch in starts) and (
            first <= plane < first + count
        ):
            chosen.append(number)
    return tuple(chosen)


def _pixels(shading: GainMap, size: Sequence[int]) -> tuple[slice, slice]:
    """The rows and columns of a mosaic to which a map applies."""
    top, left, bottom, right = shading.rectangle
    down, across = shading.pitch
    rows = slice(top, max(min(bottom, size[0]), top), down)
    return rows, slice(left, max(min(right, size[1]), left), across)


def _gain(shading: GainMap, picture: Tensor, rows: slice, columns: slice, plane: int = 0) -> Tensor:
    """(rows, columns) of a map's gain: bilinear means that it takes one matrix a side.

    A map may have fewer planes than colors: its last one is for all that follow.
    """
    weights = [
        _interpolation(shading, axis, picture.shape[axis - 2], pixels).to(picture)
        for axis, pixels in enumerate((rows, columns))
    ]
    own = min(plane - shading.planes[0], shading.gains.shape[-1] - 1)
    gains = shading.gains[..., own].to(picture)
    return weights[0] @ (gains @ weights[1].T)


def _interpolation(shading: GainMap, axis: int, size: int, pixels: slice) -> Tensor:
    """(pixels, points) float64: each pixel's weights of the grid's points along an axis."""
    places = torch.arange(pixels.start, pixels.stop, pixels.step, dtype=torch.float64)
    points = shading.gains.shape[axis]
    position = ((places + 0.5) / size - shading.origin[axis]) / shading.spacing[axis]
    position = position.clamp(0, points - 1)
    return (1 - (position[:, None] - torch.arange(points)).abs()).clamp(min=0)


def _gain_of(maps: Sequence[GainMap], picture: Tensor, band: slice, plane: int) -> Tensor:
    """(band, W) gain, in full resolution, of some maps."""
    width = picture.shape[-1]
    gain = picture.new_ones(band.stop - band.start, width)
    for shading in maps:
        top, left, bottom, right = shading.rectangle
        down, across = shading.pitch
        # A pixel just beside the rectangle has this color from within it.
        rows = slice(max(top - down + 1, band.start), min(bottom + down - 1, band.stop), 1)
        columns = slice(max(left - across + 1, 0), min(right + across - 1, width), 1)
        if rows.start < rows.stop:
            here = (slice(rows.start - band.start, rows.stop - band.start), columns)
            gain[here] *= _gain(shading, picture, rows, columns, plane)
    return gain


def vignette(
    picture: Tensor,
    coefficients: Tensor | Sequence[float],
    center: Tensor | Sequence[float] = (0.5, 0.5),
) -> Tensor:
    """Multiplies by a gain that grows with the distance from the optical center.

        gain = 1 + k0 r^2 + k1 r^4 + k2 r^6 + k3 r^8 + k4 r^10,  r = 1 at the farthest corner

    Args:
        picture: (..., H, W) linear, float32 or float64, any size.
        coefficients: (5,) k0 to k4; they must leave the gain positive.
        center: (vertical, horizontal), relative to the picture's size.

    Returns:
        Same shape, not confined to any range; differentiable with respect to all three.

    Raises:
        ValueError: shapes do not fit.

    Source: DNG specification 1.7.1, chapter 7, opcode FixVignetteRadial; a pixel's place is its
    center, as in Adobe's DNG SDK.
    """
    k = torch.as_tensor(coefficients, dtype=picture.dtype, device=picture.device)
    middle = torch.as_tensor(center, dtype=picture.dtype, device=picture.device)
    if k.shape != (5,) or middle.shape != (2,):
        raise ValueError(
            "coefficients must be (5,) and center (2,), "
            f"not {tuple(k.shape)} and {tuple(middle.shape)}"
        )
    sizes = picture.shape[-2:]
    farthest = [torch.maximum(c, 1 - c) * n for c, n in zip(middle, sizes, strict=True)]
    largest = farthest[0] ** 2 + farthest[1] ** 2
    powers = []
    for c, n in zip(middle, sizes, strict=True):
        distance = torch.arange(n, dtype=picture.dtype, device=picture.device) + 0.5 - c * n
        powers.append(torch.stack([(distance**2 / largest) ** e for e in range(6)]))
    # r^2 = y^2 + x^2, so that binomials make r^2n a sum of products of a row's and a column's
    # share: one matrix product, where the polynomial takes ten passes over the picture.
    series = torch.cat([k.new_ones(1), k, k.new_zeros(5)])
    binomial = k.new_tensor([[math.comb(i + j, i) for j in range(6)] for i in range(6)])
    mixed = binomial * torch.stack([series[i : i + 6] for i in range(6)])
    gain = powers[0].T @ (mixed @ powers[1])
    return picture * gain


class _Shading(Stage):
    """A gain on the mosaic or on rgb."""

    def __init__(self, field: ShadingField, clip: bool) -> None:
        super().__init__()
        if field not in get_args(ShadingField):
            raise ValueError(f"field must be 'mosaic' or 'rgb', not {field!r}")
        self.field: ShadingField = field
        self.clip = clip
        self.needs = self.gives = frozenset({field})

    @abstractmethod
    def _correct(self, picture: Tensor, camera: Camera) -> Tensor:
        """A new picture, multiplied by the gain."""

    def forward(self, frame: Frame) -> Frame:
        """Replaces the field."""
        picture = frame.require(self.field, by=type(self).__name__)
        corrected = self._correct(picture, frame.camera)
        return frame.replace(**{self.field: corrected.clamp(0, 1) if self.clip else corrected})


class LensShading(_Shading):
    """Undoes the lens's shading by gain maps; see :func:`lens_shading`.

    On the mosaic, where a DNG's OpcodeList2 has it; or on rgb, after white balance, so that
    ``frame.raw`` remains what the sensor measured.

    Args:
        maps: of :class:`isp_meta.camera.GainMap`, or mappings of its attributes; None: the
            camera's ``gain_maps``. A camera without them leaves the picture as it is.
        field: "mosaic" or "rgb".
        clip: confine to [0, 1], as the DNG SDK does.

    Raises:
        ValueError: another field; see also :func:`lens_shading`.
    """

    maps: tuple[GainMap, ...] | None

    def __init__(
        self,
        maps: Sequence[GainMap | Mapping[str, Any]] | None = None,
        field: ShadingField = "mosaic",
        clip: bool = True,
    ) -> None:
        super().__init__(field, clip)
        self.maps = None if maps is None else tuple(_map(shading) for shading in maps)

    def _correct(self, picture: Tensor, camera: Camera) -> Tensor:
        maps = camera.gain_maps if self.maps is None else self.maps
        return lens_shading(picture, maps, camera.cfa)

    def bind(self, camera: Camera) -> Stage:
        """A copy that holds the camera's gain maps, where none were given."""
        bound = super().bind(camera)
        if isinstance(bound, LensShading) and bound.maps is None:
            bound.maps = camera.gain_maps
        return bound

    def arguments(self) -> dict[str, Any]:
        """As :meth:`Stage.arguments`; each map as a mapping of its attributes."""
        values = super().arguments()
        if self.maps is not None:
            values["maps"] = [
                {**dataclasses.asdict(shading), "gains": shading.gains.tolist()}
                for shading in self.maps
            ]
        return values

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        maps = "the camera's" if self.maps is None else len(self.maps)
        return f"maps={maps}, field={self.field!r}, clip={self.clip}"


def _map(given: GainMap | Mapping[str, Any]) -> GainMap:
    if not isinstance(given, GainMap):
        values = {k: tuple(v) for k, v in given.items() if k != "gains"}
        given = GainMap(torch.as_tensor(given["gains"], dtype=torch.float32), **values)
    if given.gains.dim() != 3 or not bool((given.gains > 0).all()):
        raise ValueError("LensShading: a map's gains must be (rows, columns, planes), all positive")
    return given


class Vignette(_Shading):
    """Undoes a fall-off that depends on the distance from the optical center; see :func:`vignette`.

    Args:
        coefficients: (5,) k0 to k4; an ``nn.Parameter`` is learned.
        center: (vertical, horizontal), relative to the picture's size, 0 to 1.
        field: "mosaic" or "rgb".
        clip: confine to [0, 1].

    Raises:
        ValueError: another field, or values out of range.
    """

    ranges: ClassVar[Mapping[str, Range]] = {"coefficients": Range(-10, 10), "center": Range(0, 1)}
    coefficients: Tensor
    center: Tensor

    def __init__(
        self,
        coefficients: Tensor | nn.Parameter | Sequence[float] = (0.0,) * 5,
        center: Tensor | nn.Parameter | Sequence[float] = (0.5, 0.5),
        field: ShadingField = "mosaic",
        clip: bool = True,
    ) -> None:
        super().__init__(field, clip)
        self.hold("coefficients", coefficients)
        self.hold("center", center)
        if self.coefficients.shape != (5,) or self.center.shape != (2,):
            raise ValueError("Vignette takes 5 coefficients and 2 values of center")

    @classmethod
    def cos4(cls, angle: float, field: ShadingField = "mosaic", clip: bool = True) -> Vignette:
        """The natural fall-off of a thin lens, cos^4 of the angle to its axis.

            1 / cos^4 = (1 + tan^2)^2 = 1 + 2 t^2 r^2 + t^4 r^4,  t = tan(angle)

        Args:
            angle: between the axis and the ray to the farthest corner, degrees, 0 to below 90.
            field, clip: as above.
        """
        square = math.tan(math.radians(angle)) ** 2
        return cls((2 * square, square**2, 0.0, 0.0, 0.0), field=field, clip=clip)

    def _correct(self, picture: Tensor, camera: Camera) -> Tensor:
        return vignette(picture, self.coefficients, self.center)

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        return ", ".join(f"{name}={value!r}" for name, value in self.arguments().items())
