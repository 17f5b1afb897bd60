"""Straight lines made straight, and colors brought together: what a lens distorts, undone."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from ..camera import Camera
from ..frame import Frame
from ..optics import NO_WARP, resampled
from ..stage import Range, Stage
from .rows import channel, in_bands, row_bands

__all__ = ["LensWarp", "WarpField", "lens_warp"]

WarpField = Literal["raw", "rgb", "srgb"]
Coefficients = Tensor | nn.Parameter | Sequence[float] | Sequence[Sequence[float]]


def lens_warp(
    picture: Tensor, coefficients: Tensor, center: Tensor, inverse: bool = False
) -> Tensor:
    """Undoes a lens's distortion, and its lateral chromatic aberration.

    Every pixel takes its light from where :func:`isp_meta.optics.source_of` says, each color by its
    own coefficients where there are several.

    Args:
        picture: (..., 3, H, W), any size from 1x1.
        coefficients: (6,), or (3, 6) of red, green and blue: kr0 to kr3, kt0, kt1.
        center: (2,) of the optical axis, (vertical, horizontal), relative to the picture's size.
        inverse: simulates the lens instead; the picture must not be folded.

    Returns:
        (..., 3, H, W), not confined to any range; differentiable with respect to all three.

    Raises:
        ValueError: shapes do not fit.

    Source: as of :func:`isp_meta.optics.source_of` and :func:`isp_meta.optics.interpolated`.
    """
    if picture.dim() < 3 or picture.shape[-3] != 3 or 0 in picture.shape[-2:]:
        raise ValueError(f"picture must be (..., 3, H, W), not {tuple(picture.shape)}")
    if coefficients.shape not in ((6,), (3, 6)) or center.shape != (2,):
        raise ValueError(
            f"coefficients must be (6,) or (3, 6) and center (2,), "
            f"not {tuple(coefficients.shape)} and {tuple(center.shape)}"
        )
    # Half precision knows no place in a picture of more than 2,048 pixels.
    flat = picture.reshape(-1, *picture.shape[-3:])
    flat = flat if flat.dtype == torch.float64 else flat.float()
    k, axis = coefficients.to(flat), center.to(flat)
    # Colors of one warp are resampled together.
    channels = [(flat, k)] if k.dim() == 1 else [(channel(flat, i), k[i]) for i in range(3)]

    def make(top: int, bottom: int) -> Tensor:
        done = [resampled(color, own, axis, inverse, (top, bottom)) for color, own in channels]
        return torch.cat(done, 1)

    warped = in_bands(make, flat, row_bands(flat, k, axis))
    return warped.view(picture.shape).to(picture.dtype)


class LensWarp(Stage):
    """Corrects distortion and lateral chromatic aberration, or simulates them; see
    :func:`lens_warp`.

    On ``raw`` everything that follows is of the corrected picture, and so is what metadata keeps;
    behind it, ``rgb`` and ``srgb`` no longer show what ``raw`` holds at the same pixel, and
    :func:`isp_meta.embed` refuses such a pipeline.

    Args:
        coefficients: (6,), or (3, 6) of red, green and blue: kr0 to kr3, kt0, kt1; an
            ``nn.Parameter`` is learned. None: the camera's (a DNG's WarpRectilinear); without one
            nothing happens.
        center: (vertical, horizontal) of the optical axis, relative to the picture's size; the
            camera's goes with its coefficients.
        inverse: simulates the lens.
        field: "raw", "rgb" or "srgb".
        clip: confine to [0, 1].

    Raises:
        ValueError: values out of range, or no such field.
    """

    ranges: ClassVar[Mapping[str, Range]] = {
        "coefficients": Range(-10.0, 10.0),
        "center": Range(0.0, 1.0),
    }
    coefficients: Tensor | None
    center: Tensor

    def __init__(
        self,
        coefficients: Coefficients | None = None,
        center: Tensor | nn.Parameter | Sequence[float] = (0.5, 0.5),
        inverse: bool = False,
        field: WarpField = "raw",
        clip: bool = True,
    ) -> None:
        super().__init__()
        if field not in get_args(WarpField):
            raise ValueError(f"field must be 'raw', 'rgb' or 'srgb', not {field!r}")
        self.hold("coefficients", coefficients)
        self.hold("center", center)
        shape = None if self.coefficients is None else tuple(self.coefficients.shape)
        if shape not in (None, (6,), (3, 6)) or self.center.shape != (2,):
            raise ValueError("LensWarp takes 6 coefficients, or 3 times 6, and 2 values of center")
        self.inverse, self.clip = inverse, clip
        self.field: WarpField = field
        self.needs = self.gives = frozenset({field})

    @classmethod
    def brown_conrady(
        cls,
        radial: Sequence[float],
        tangential: Sequence[float] = (0.0, 0.0),
        focal: float = 1.0,
        center: Sequence[float] = (0.5, 0.5),
        inverse: bool = False,
    ) -> LensWarp:
        """By the coefficients of a calibration, such as OpenCV's.

        Args:
            radial: k1, k2, k3, or fewer.
            tangential: p1, p2.
            focal: length, as a share of the distance from the center to the farthest corner.
            center, inverse: as above.

        Raises:
            ValueError: more coefficients, or no focal length.
        """
        if len(radial) > 3 or len(tangential) != 2 or not focal > 0:
            raise ValueError("brown_conrady takes up to 3 radial and 2 tangential, and a focal > 0")
        k = [value / focal ** (2 * n) for n, value in enumerate(radial, 1)]
        k += [0.0] * (3 - len(k))
        return cls([1.0, *k, *(p / focal for p in tangential)], center, inverse)

    def forward(self, frame: Frame) -> Frame:
        """Replaces the field."""
        picture = frame.require(self.field, by="LensWarp")
        if self.coefficients is None and frame.camera.warp is None:
            return frame
        held = self.bind(frame.camera) if self.coefficients is None else self
        assert held.coefficients is not None
        warped = lens_warp(picture, held.coefficients, held.center, self.inverse)
        return frame.replace(**{self.field: warped.clamp(0, 1) if self.clip else warped})

    def bind(self, camera: Camera) -> LensWarp:
        """A copy that holds the camera's warp, where none was given."""
        bound = copy.deepcopy(self)
        if bound.coefficients is None:
            sets = (NO_WARP,) if camera.warp is None else camera.warp.coefficients
            bound.hold("coefficients", sets if len(sets) > 1 else sets[0])
            bound.hold("center", (0.5, 0.5) if camera.warp is None else camera.warp.center)
        return bound

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        values = {**self.arguments(), "coefficients": "the camera's"}
        if self.coefficients is not None:
            values["coefficients"] = self.coefficients.tolist()
        return ", ".join(f"{name}={value}" for name, value in values.items())
