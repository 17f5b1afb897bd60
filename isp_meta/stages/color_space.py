"""From the camera's colors to a linear working space, and from there to a display's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from ..camera import Camera
from ..colorimetry import SPACES, conversion, rgb_to_xyz
from ..frame import Frame
from .camera_profile import camera_to_xyz
from .color_matrix import MatrixStage, color_matrix
from .rows import weighted_sum

__all__ = [
    "CameraToWorking",
    "DisplaySpace",
    "Gamut",
    "WorkingToDisplay",
    "camera_to_working",
    "compress_gamut",
    "luminance",
    "working_to_display",
]

DisplaySpace = Literal["srgb", "display-p3", "rec2020"]
Gamut = Literal["clip", "compress", "keep"]


def luminance(space: str) -> Tensor:
    """(3,) float64, weights of linear RGB in luminance: sum to 1.

    Args:
        space: a key of :data:`isp_meta.colorimetry.SPACES`.
    """
    return rgb_to_xyz(space)[1].clone()


def camera_to_working(camera: Camera, space: str = "prophoto") -> Tensor:
    """Matrix from white-balanced camera color to a linear working space.

    Args:
        camera: with or without a profile; balanced to ``camera.neutral``, or as shot.
        space: a key of :data:`isp_meta.colorimetry.SPACES`; "xyz" is XYZ under D50.

    Returns:
        (3, 3) float64: takes white to white.

    Raises:
        ValueError: no such space, or the camera's matrices are no calibration.

    Source: DNG specification 1.7.1, chapter 6; see
    :func:`isp_meta.stages.camera_profile.camera_to_xyz`.
    """
    return conversion("xyz", space) @ camera_to_xyz(camera)


def compress_gamut(rgb: Tensor, weights: Tensor) -> Tensor:
    """Colors outside [0, 1] are moved toward the gray of their luminance until they are inside.

        rgb' = Y + t (rgb - Y), t <= 1 as large as rgb' in [0, 1] allows

    Luminance and hue (the direction from gray in linear light) stay; saturation gives way. Colors
    inside stay as they are. Light above white becomes white.

    Args:
        rgb: (..., 3, H, W) linear.
        weights: (3,) of the channels in luminance, see :func:`luminance`.

    Returns:
        (..., 3, H, W) in [0, 1]; gradients are finite everywhere.
    """
    gray = weighted_sum(rgb, weights.to(rgb)).clamp(0, 1)
    chroma = rgb - gray
    # Far below what a color can differ by, so that gray divides by no zero.
    least = torch.finfo(rgb.dtype).tiny ** 0.5
    up = (1 - gray) / chroma.amax(-3, keepdim=True).clamp(min=least)
    down = gray / (-chroma.amin(-3, keepdim=True)).clamp(min=least)
    return (gray + chroma * torch.minimum(up, down).clamp(max=1)).clamp(0, 1)


def working_to_display(rgb: Tensor, matrix: Tensor, weights: Tensor, gamut: Gamut) -> Tensor:
    """Linear working color to a display's linear color.

    Args:
        rgb: (..., 3, H, W) linear.
        matrix: (3, 3), see :func:`isp_meta.colorimetry.conversion`.
        weights: (3,) of the display's channels in luminance.
        gamut: what happens to colors that the display cannot show: "clip" channel by channel,
            "compress" (:func:`compress_gamut`), or "keep".

    Returns:
        (..., 3, H, W), in [0, 1] unless kept.

    Raises:
        ValueError: shapes do not fit.
    """
    display = color_matrix(rgb, matrix, clip=gamut == "clip")
    return compress_gamut(display, weights) if gamut == "compress" else display


class CameraToWorking(MatrixStage):
    """White-balanced camera color to a linear working space; see :func:`camera_to_working`.

    The light is that of ``camera.neutral`` where a stage chose one, otherwise as shot. Bind it
    (:meth:`bind`) before it is traced.

    Args:
        space: "prophoto", "xyz" (under D50), "srgb", "display-p3" or "rec2020".
        matrix: (3, 3); an ``nn.Parameter`` is learned. None: by the camera's profile, or by its one
            color matrix.
        clip: confine to [0, 1], as DNG has it before the hue/saturation map.

    Raises:
        ValueError: no such space, or matrix of another shape.
    """

    def __init__(
        self,
        space: str = "prophoto",
        matrix: Tensor | Sequence[Sequence[float]] | None = None,
        clip: bool = True,
    ) -> None:
        super().__init__(matrix, clip)
        if space not in SPACES:
            raise ValueError(f"space must be one of {', '.join(SPACES)}, not {space!r}")
        self.space = space

    def default_matrix(self, camera: Camera) -> Tensor:
        """(3, 3) see :func:`camera_to_working`."""
        return camera_to_working(camera, self.space)

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        return f"space={self.space!r}, {super().extra_repr()}"


class WorkingToDisplay(MatrixStage):
    """Linear working color to a display's; sets ``space``. See :func:`working_to_display`.

    Args:
        space: "srgb", "display-p3" or "rec2020".
        working: the space that rgb is in: a key of :data:`isp_meta.colorimetry.SPACES`.
        gamut: "clip", "compress" or "keep".
        matrix: (3, 3); an ``nn.Parameter`` is learned. None: from the two spaces' primaries.

    Raises:
        ValueError: no such space or gamut, or matrix of another shape.
    """

    weights: Tensor

    def __init__(
        self,
        space: DisplaySpace = "srgb",
        working: str = "prophoto",
        gamut: Gamut = "clip",
        matrix: Tensor | Sequence[Sequence[float]] | None = None,
    ) -> None:
        super().__init__(matrix, clip=gamut == "clip")
        if space not in get_args(DisplaySpace):
            raise ValueError(f"space must be srgb, display-p3 or rec2020, not {space!r}")
        if working not in SPACES:
            raise ValueError(f"working must be one of {', '.join(SPACES)}, not {working!r}")
        if gamut not in get_args(Gamut):
            raise ValueError(f"gamut must be clip, compress or keep, not {gamut!r}")
        self.space: DisplaySpace = space
        self.working = working
        self.gamut: Gamut = gamut
        self.register_buffer("weights", luminance(space), persistent=False)

    def default_matrix(self, camera: Camera) -> Tensor:
        """(3, 3) see :func:`isp_meta.colorimetry.conversion`; the same for all cameras."""
        return conversion(self.working, self.space)

    def forward(self, frame: Frame) -> Frame:
        """Replaces ``rgb``, sets ``space``."""
        rgb = frame.require("rgb", by="WorkingToDisplay")
        matrix = self.matrix_for(frame.camera)
        display = working_to_display(rgb, matrix, self.weights, self.gamut)
        return frame.replace(rgb=display, space=self.space)

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        return f"space={self.space!r}, working={self.working!r}, gamut={self.gamut!r}"
