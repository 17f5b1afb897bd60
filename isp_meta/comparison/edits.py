"""Edits that a photographer makes, and what is left of a recovery's error after each.

raw ─ 2x2 means ─ white balance ─ highlights ─ color matrix ─▶ light ─ Edit ─▶ display-linear sRGB
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..camera import Camera
from ..colorimetry import SPACES, rgb_to_xyz, xy_to_xyz
from ..frame import Frame
from ..metrics import delta_e_2000, psnr, xyz_to_lab
from ..pipeline import Pipeline
from ..stages import ColorMatrix, HighlightReconstruction, WhiteBalance, srgb_decode, srgb_encode
from ..stages.color_space import luminance

__all__ = [
    "EDITS",
    "Edit",
    "EditError",
    "color_difference",
    "develop",
    "edit_errors",
    "linear_light",
]

# Luminance at which a lift of shadows has fallen to a quarter.
_SHADOW = 1 / 16
# Side of the squares over which the eye averages grain, developed pixels.
_SQUARE = 8
_STRIP = 64 * _SQUARE
_LEAST_SIDE = 2 * _SQUARE


@dataclass(frozen=True)
class Edit:
    """One way to develop a raw picture.

    Attributes:
        name: as figures and pages call it.
        exposure: stops by which all of it is made brighter.
        shadows: stops by which what is nearly black is made brighter, hardly anything near white.
        kelvin: temperature of the light that it is balanced to, see
            :class:`isp_meta.stages.WhiteBalance`; None: as shot.
        contrast: steepness of a sigmoid through the display's middle gray; 0: none.
    """

    name: str
    exposure: float = 0.0
    shadows: float = 0.0
    kelvin: float | None = None
    contrast: float = 0.0

    def __call__(self, light: Tensor) -> Tensor:
        """Develops linear light.

            lifted = light 2^exposure · (1 + (2^shadows − 1) (k / (k + Y))²),  Y luminance, k = 1/16
            shown = decode((σ(c (encode(lifted) − ½)) − σ(−c/2)) / (σ(c/2) − σ(−c/2))),  c contrast

        Args:
            light: (3, H, W) linear sRGB of :func:`linear_light` under ``kelvin``, white about 1.

        Returns:
            (3, H, W) display-linear in [0, 1].
        """
        shown: Tensor = light * 2.0**self.exposure
        if self.shadows:
            weights = luminance("srgb").to(shown)
            level = torch.einsum("c,chw->hw", weights, shown).clamp_(min=0)
            gain = (_SHADOW / (_SHADOW + level)).square_().mul_(2.0**self.shadows - 1).add_(1)
            shown = shown * gain
        shown = shown.clamp_(0, 1)
        if not self.contrast:
            return shown
        low = torch.sigmoid(torch.tensor(-self.contrast / 2)).item()
        curve = torch.sigmoid((srgb_encode(shown) - 0.5) * self.contrast)
        curved: Tensor = srgb_decode(((curve - low) / (1 - 2 * low)).clamp_(0, 1))
        return curved


EDITS = (
    Edit("as shot"),
    Edit("+2 EV", exposure=2),
    Edit("shadows +4 EV", shadows=4),
    Edit("-2 EV", exposure=-2),
    Edit("3000 K", kelvin=3000),
    Edit("strong contrast", contrast=8),
)
"""The edits that a recovery is judged after."""


@dataclass(frozen=True)
class EditError:
    """How far a recovered picture is from the true one when both got the same edit.

    Attributes:
        name: of the edit.
        psnr: dB of the two sRGB-encoded pictures, peak 1.
        delta_e: mean CIEDE2000; about 1 is just seen.
        blotches: the same between means over 8x8 pixels of display-linear light: what is seen of
            larger spots where grain averages out.
    """

    name: str
    psnr: float
    delta_e: float
    blotches: float


@torch.no_grad()
def linear_light(frame: Frame, kelvin: float | None = None) -> Tensor:
    """(3, H, W) linear sRGB of a frame's ``raw``, not clipped: where channels saturate, estimated.

    Args:
        frame: with ``raw``. kelvin: of the light; None: as shot.

    Raises:
        ValueError: the camera's matrix is no calibration.
    """
    balance = WhiteBalance(clip=False, kelvin=kelvin)
    stages = [balance, HighlightReconstruction(), ColorMatrix(clip=False)]
    light: Tensor = Pipeline(stages)(frame, keep=("rgb",)).rgb
    return light


def develop(raw: Tensor, camera: Camera, edit: Edit) -> Tensor:
    """Develops a raw picture, a pixel for each 2x2 of the sensor's: a mosaic has no more colors.

    Args:
        raw: (3, H, W) linear raw-RGB in [0, 1], at least 2 pixels a side.

    Returns:
        (3, H // 2, W // 2) display-linear sRGB in [0, 1].

    Raises:
        ValueError: the camera's matrix is no calibration.
    """
    return edit(linear_light(Frame(camera, raw=functional.avg_pool2d(raw, 2)), edit.kelvin))


def color_difference(one: Tensor, other: Tensor) -> Tensor:
    """CIEDE2000 of two display-linear sRGB pictures (3, h, w), pixel by pixel: (h, w)."""
    strips = zip(*(torch.split(shown, _STRIP, 1) for shown in (one, other)), strict=True)
    return torch.cat([delta_e_2000(*map(_lab, strip)) for strip in strips])


def _lab(shown: Tensor) -> Tensor:
    xyz = torch.einsum("ij,jhw->ihw", rgb_to_xyz("srgb").to(shown), shown)
    return xyz_to_lab(xyz, xy_to_xyz(torch.tensor(SPACES["srgb"].white, dtype=torch.float64)))


@torch.no_grad()
def edit_errors(
    estimate: Tensor, truth: Tensor, camera: Camera, edits: Iterable[Edit] = EDITS
) -> tuple[EditError, ...]:
    """What is left of a recovery's error after each edit, both developed alike (:func:`develop`).

    Args:
        estimate, truth: (3, H, W) linear raw-RGB in [0, 1].
        camera: whose calibration both are developed by.
        edits: to be made.

    Returns:
        One for each edit; none of a picture with a side of less than 16 pixels.

    Raises:
        ValueError: shapes differ, or the camera's matrix is no calibration.
    """
    if estimate.shape != truth.shape:
        raise ValueError(f"shapes differ: {tuple(estimate.shape)} and {tuple(truth.shape)}")
    if min(truth.shape[1:]) < _LEAST_SIDE:
        return ()
    return tuple(_error(estimate, truth, camera, edit) for edit in edits)


def _error(estimate: Tensor, truth: Tensor, camera: Camera, edit: Edit) -> EditError:
    got, true = (develop(raw, camera, edit) for raw in (estimate, truth))
    means = (functional.avg_pool2d(shown, _SQUARE) for shown in (got, true))
    return EditError(
        name=edit.name,
        psnr=psnr(srgb_encode(got), srgb_encode(true)),
        delta_e=float(color_difference(got, true).mean(dtype=torch.float64)),
        blotches=float(color_difference(*means).mean(dtype=torch.float64)),
    )
