"""From the camera's colors to those of a display."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ..camera import Camera
from ..frame import Frame
from ..stage import Range, Stage
from .rows import weighted_sum

__all__ = [
    "SRGB_TO_XYZ",
    "ColorMatrix",
    "MatrixStage",
    "camera_to_srgb",
    "color_matrix",
]

# Linear sRGB to XYZ (D65) as IEC 61966-2-1 rounds it: the inverse of Camera's default matrix.
SRGB_TO_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))


def camera_to_srgb(xyz_to_camera: Sequence[float]) -> Tensor:
    """Matrix from white-balanced camera color to linear sRGB.

        srgb_to_camera = xyz_to_camera @ srgb_to_xyz, each row divided by its sum
        camera_to_srgb = inverse(srgb_to_camera)

    Rows that sum to 1 take white to white: under ``xyz_to_camera``'s illuminant the row sums are
    the white balance itself, and under any other they are replaced by it.

    Args:
        xyz_to_camera: 9 values, 3x3 row-major, as in the tag DNG ColorMatrix for D65.

    Returns:
        (3, 3) float64; its rows sum to 1.

    Raises:
        ValueError: the matrix is no calibration: singular, or blind to white in a channel.

    Source: dcraw 9.28 and LibRaw 0.21, ``cam_xyz_coeff``.
    """
    matrix = torch.tensor(tuple(xyz_to_camera), dtype=torch.float64).view(3, 3)
    from_srgb = matrix @ torch.tensor(SRGB_TO_XYZ, dtype=torch.float64)
    white = from_srgb.sum(1, keepdim=True)
    if not bool((white > 0).all()) or float(torch.linalg.cond(from_srgb / white)) > 1e6:
        raise ValueError(f"color_matrix {tuple(xyz_to_camera)} is no camera calibration")
    to_srgb: Tensor = torch.linalg.inv(from_srgb / white)
    return to_srgb


def color_matrix(rgb: Tensor, matrix: Tensor, clip: bool = True) -> Tensor:
    """Multiplies every pixel's color by a matrix.

    Args:
        rgb: (..., 3, H, W), float32 or float64.
        matrix: (3, 3), brought to the dtype and device of ``rgb``.
        clip: confine to [0, 1], which clips colors outside the display's gamut channel by channel.

    Returns:
        (..., 3, H, W)

    Raises:
        ValueError: shapes do not fit.
    """
    if rgb.dim() < 3 or rgb.shape[-3] != 3 or matrix.shape != (3, 3):
        raise ValueError(
            f"rgb must be (..., 3, H, W) and matrix (3, 3), "
            f"not {tuple(rgb.shape)} and {tuple(matrix.shape)}"
        )
    matrix = matrix.to(rgb)
    if torch.compiler.is_compiling():
        # A product of matrices would ask how many pictures there are.
        product = torch.cat([weighted_sum(rgb, row) for row in matrix], -3)
    else:
        product = (matrix @ rgb.flatten(-2)).view_as(rgb)
    return product.clamp(0, 1) if clip else product


class MatrixStage(Stage):
    """Multiplies rgb by a matrix: what :class:`ColorMatrix` and its kin have in common.

    Args:
        matrix: (3, 3); an ``nn.Parameter`` is learned. None: :meth:`default_matrix`.
        clip: confine to [0, 1] (gamut clipping).

    Raises:
        ValueError: matrix of another shape.
    """

    needs = frozenset({"rgb"})
    gives = frozenset({"rgb"})
    ranges: ClassVar[Mapping[str, Range]] = {"matrix": Range()}
    pointwise = True
    matrix: Tensor | None

    def __init__(
        self, matrix: Tensor | Sequence[Sequence[float]] | None = None, clip: bool = True
    ) -> None:
        super().__init__()
        self.hold("matrix", matrix)
        if self.matrix is not None and self.matrix.shape != (3, 3):
            raise ValueError(f"matrix must be (3, 3), not {tuple(self.matrix.shape)}")
        self.clip = clip

    @abstractmethod
    def default_matrix(self, camera: Camera) -> Tensor:
        """(3, 3) what the camera says."""

    def matrix_for(self, camera: Camera) -> Tensor:
        """(3, 3) matrix that a picture of this camera gets."""
        return self.default_matrix(camera) if self.matrix is None else self.matrix

    def forward(self, frame: Frame) -> Frame:
        """Replaces ``rgb``."""
        rgb = frame.require("rgb", by=type(self).__name__)
        return frame.replace(rgb=color_matrix(rgb, self.matrix_for(frame.camera), self.clip))

    def bind(self, camera: Camera) -> MatrixStage:
        """A copy that holds the matrix for this camera."""
        bound = copy.deepcopy(self)
        if bound.matrix is None:
            bound.hold("matrix", self.default_matrix(camera))
        return bound

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        matrix = "camera" if self.matrix is None else self.matrix.tolist()
        return f"matrix={matrix}, clip={self.clip}"


class ColorMatrix(MatrixStage):
    """White-balanced camera color to linear sRGB by one matrix; see :func:`color_matrix`.

    Args:
        matrix: (3, 3); an ``nn.Parameter`` is learned. None: that of the frame's camera, see
            :func:`camera_to_srgb`.
        clip: confine to [0, 1] (gamut clipping).
    """

    def default_matrix(self, camera: Camera) -> Tensor:
        """(3, 3) see :func:`camera_to_srgb`."""
        return camera_to_srgb(camera.color_matrix)
