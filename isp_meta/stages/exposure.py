"""Brightness of linear light, in stops."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from ..camera import Camera
from ..frame import Frame
from ..stage import Range, Stage

__all__ = ["Exposure", "exposure"]

# Up to here the shoulder leaves light a straight line.
_KNEE = 0.25


def exposure(rgb: Tensor, stops: Tensor, shoulder: bool = False) -> Tensor:
    """Scales linear light.

        rgb' = 2^stops rgb

    With a shoulder white stays white. Darkening by k = 2^stops < 1 is a straight line of slope k up
    to 1/4, and a parabola through (1, 1) above; brightening is its inverse:

        rgb' = k rgb + 16/9 (1 - k) max(rgb - 1/4, 0)^2

    Args:
        rgb: any shape, linear, float32 or float64.
        stops: (), brought to the dtype and device of ``rgb``.
        shoulder: keep white where it is.

    Returns:
        Same shape. ``exposure(exposure(rgb, s), -s)`` is ``rgb``, with or without a shoulder.

    Source: DNG specification 1.7.1, BaselineExposure; the shoulder for negative exposure is that of
    Adobe's DNG SDK 1.7, ``dng_function_exposure_tone``.
    """
    stops = stops.to(rgb)
    if not shoulder:
        return rgb * torch.exp2(stops)
    slope = torch.exp2(torch.where(stops < 0, stops, -stops))
    bend = (1 - slope) / (1 - _KNEE) ** 2
    darker = slope * rgb + bend * (rgb - _KNEE).clamp(min=0) ** 2
    # The root of the parabola in the form that holds where it becomes a line.
    above = (rgb - _KNEE * slope).clamp(min=0)
    root = (slope**2 + 4 * bend * above).sqrt()
    brighter = rgb.clamp(max=_KNEE * slope) / slope + 2 * above / (slope + root)
    return torch.where(stops < 0, darker, brighter)


class Exposure(Stage):
    """Brightens or darkens linear rgb; see :func:`exposure`.

    Args:
        stops: an ``nn.Parameter`` is learned. None: those of the camera's profile
            (BaselineExposure and its offset), without one 0.
        shoulder: keep white where it is; without it light above 1 is kept, or clipped.
        clip: confine to [0, 1].

    Raises:
        ValueError: stops out of range.
    """

    needs = frozenset({"rgb"})
    gives = frozenset({"rgb"})
    ranges: ClassVar[Mapping[str, Range]] = {"stops": Range(-16.0, 16.0, "stops")}
    pointwise = True
    stops: Tensor | None

    def __init__(
        self, stops: Tensor | float | None = None, shoulder: bool = False, clip: bool = True
    ) -> None:
        super().__init__()
        self.hold("stops", stops)
        self.shoulder = shoulder
        self.clip = clip

    def stops_for(self, camera: Camera) -> Tensor:
        """() stops that a picture of this camera gets."""
        if self.stops is not None:
            return self.stops
        stops = 0.0 if camera.profile is None else camera.profile.exposure
        return torch.tensor(stops, dtype=torch.float64)

    def forward(self, frame: Frame) -> Frame:
        """Replaces ``rgb``."""
        rgb = frame.require("rgb", by="Exposure")
        lit = exposure(rgb, self.stops_for(frame.camera), self.shoulder)
        return frame.replace(rgb=lit.clamp(0, 1) if self.clip else lit)

    def bind(self, camera: Camera) -> Exposure:
        """A copy that holds the stops for this camera."""
        bound = copy.deepcopy(self)
        bound.hold("stops", self.stops_for(camera) if self.stops is None else self.stops)
        return bound

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        stops = "camera" if self.stops is None else f"{self.stops.item():g}"
        return f"stops={stops}, shoulder={self.shoulder}, clip={self.clip}"
