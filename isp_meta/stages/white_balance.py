"""Gains that make a neutral object gray."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor

from ..camera import Camera, Neutral
from ..frame import Frame
from ..stage import Range, Stage
from .camera_profile import neutral_of_temperature

__all__ = [
    "GrayWorld",
    "WhiteBalance",
    "as_shot_gains",
    "balanced",
    "check_triples",
    "gains_of_light",
    "gray_world",
    "unclipped",
    "white_balance",
]

# Above it a channel may be clipped.
_UNCLIPPED = 0.95


def as_shot_gains(neutral: Sequence[float] | Sequence[Neutral]) -> Tensor:
    """Gains of the camera's own white balance.

        gain = max(neutral) / neutral

    Args:
        neutral: 3 values, camera color of a neutral object, > 0 (DNG AsShotNeutral); or as many
            such triples as there are pictures.

    Returns:
        (3,) or (N, 3) float64, the smallest exactly 1: a pixel saturated in every channel reaches
        at least 1 in every channel, so that clipping makes it white and not pink.
    """
    color = torch.tensor(tuple(neutral), dtype=torch.float64)
    return color.amax(-1, keepdim=True) / color


def check_triples(values: Tensor, pictures: Tensor, name: str) -> None:
    """Refuses what is neither three values for all pictures nor three for each.

    Args:
        values: (3,) or (..., 3).
        pictures: (..., 3, H, W).
        name: of the values.

    Raises:
        ValueError: another shape.
    """
    # By dimensions first, for a tracer would ask whether there are three pictures.
    expected = (3,) if values.dim() == 1 else pictures.shape[:-2]
    if values.shape != expected:
        raise ValueError(
            f"{name} must be (3,), or three for each picture of {tuple(pictures.shape)}, "
            f"not {tuple(values.shape)}"
        )


def white_balance(raw: Tensor, gains: Tensor, clip: bool = True) -> Tensor:
    """Multiplies each channel by its gain.

    Args:
        raw: (..., 3, H, W) linear raw-RGB in [0, 1], float32 or float64.
        gains: (3,), or (..., 3), each picture's own; brought to the dtype and device of ``raw``.
        clip: confine to [0, 1]; without it highlights keep what lies above white.

    Returns:
        (..., 3, H, W): camera color in which gray has R = G = B.

    Raises:
        ValueError: shapes do not fit.
    """
    if raw.dim() < 3 or raw.shape[-3] != 3:
        raise ValueError(f"raw must be (..., 3, H, W), not {tuple(raw.shape)}")
    check_triples(gains, raw, "gains")
    rgb = raw * gains.to(raw)[..., None, None]
    return rgb.clamp(0, 1) if clip else rgb


def gray_world(raw: Tensor) -> Tensor:
    """Gains under which the mean color is gray.

        gain = max(mean) / mean, over the pixels whose every channel lies below 0.95

    Args:
        raw: (..., 3, H, W) linear raw-RGB in [0, 1].

    Returns:
        (..., 3), of each picture; the smallest exactly 1, differentiable. Where all pixels are
        clipped or a mean is black, its gain is 1 or at most 1000.

    Source: Buchsbaum, "A spatial processor model for object colour perception", Journal of the
    Franklin Institute 310(1), 1980.
    """
    weight = unclipped(raw)
    total = (raw.flatten(-2) @ weight.flatten(-2).mT).squeeze(-1)
    return gains_of_light(total / weight.sum((-2, -1)).clamp(min=1))


def unclipped(raw: Tensor) -> Tensor:
    """(..., 1, H, W), 1 where every channel of (..., 3, H, W) lies below 0.95, else 0.

    The rest may be clipped, and says nothing of the light.
    """
    return (raw.detach().amax(-3, keepdim=True) < _UNCLIPPED).to(raw)


def gains_of_light(color: Tensor) -> Tensor:
    """Gains under which light of that color is gray.

    Args:
        color: (..., 3), of any brightness; 0: unknown, and the picture stays as it is.

    Returns:
        (..., 3), 1 to 1000, the smallest exactly 1.
    """
    color = torch.where(color.amax(-1, keepdim=True) > 0, color, torch.ones_like(color))
    most = color.amax(-1, keepdim=True)
    return most / torch.maximum(color, 1e-3 * most.detach())


def balanced(frame: Frame, gains: Tensor, clip: bool, by: str) -> Frame:
    """The frame with ``rgb``, its camera remembering the neutral that the gains stand for.

    Args:
        frame: with ``raw``.
        gains: (3,), or (..., 3) of each picture.
        clip: confine to [0, 1].
        by: who asks for ``raw``.
    """
    rgb = white_balance(frame.require("raw", by=by), gains, clip)
    # A traced graph holds tensors alone; of what torch.vmap stacks no one knows the values.
    if torch.compiler.is_compiling() or is_functorch_wrapped_tensor(gains):
        return frame.replace(rgb=rgb)
    return frame.replace(rgb=rgb, camera=frame.camera.replace(neutral=_neutral(gains)))


def _neutral(gains: Tensor) -> Neutral | tuple[Neutral, ...]:
    values = gains.detach().double().reshape(-1, 3)
    triples = (values[:, 1:2] / values).tolist()
    first, *others = ((red, green, blue) for red, green, blue in triples)
    return (first, *others) if others else first


class WhiteBalance(Stage):
    """Raw to rgb; see :func:`white_balance`.

    Gains that are not the camera's own are recorded in ``camera.neutral``, from which later stages
    learn the light; not while a graph is traced, where those stages are to be bound beforehand
    (:meth:`isp_meta.Pipeline.bind`).

    Args:
        gains: (3,) for R, G, B. None: those that the camera chose (:func:`as_shot_gains`), or those
            for ``kelvin``.
        clip: confine to [0, 1].
        kelvin: temperature of the light, turned into gains by the camera's matrices
            (:func:`isp_meta.stages.camera_profile.neutral_of_temperature`).
        tint: greenness of that light, in Adobe's unit; None: 0.

    Raises:
        ValueError: out of range, of another shape, both gains and kelvin given, or tint alone.
    """

    needs = frozenset({"raw"})
    gives = frozenset({"rgb"})
    ranges: ClassVar[Mapping[str, Range]] = {
        "gains": Range(1e-3, 1e3),
        "kelvin": Range(1667.0, 50000.0, "kelvin"),
        "tint": Range(-150.0, 150.0),
    }
    pointwise = True
    gains: Tensor | None
    kelvin: Tensor | None
    tint: Tensor | None

    def __init__(
        self,
        gains: Tensor | Sequence[float] | None = None,
        clip: bool = True,
        kelvin: Tensor | float | None = None,
        tint: Tensor | float | None = None,
    ) -> None:
        super().__init__()
        if gains is not None and kelvin is not None:
            raise ValueError("WhiteBalance takes gains or kelvin, not both")
        if tint is not None and kelvin is None:
            raise ValueError("WhiteBalance takes a tint with a kelvin alone")
        self.hold("gains", gains)
        self.hold("kelvin", kelvin)
        self.hold("tint", 0.0 if kelvin is not None and tint is None else tint)
        if self.gains is not None and self.gains.shape != (3,):
            raise ValueError(f"gains must be (3,), not {tuple(self.gains.shape)}")
        self.clip = clip

    def gains_for(self, camera: Camera) -> Tensor:
        """(3,) gains that a picture of this camera gets."""
        if self.gains is not None:
            return self.gains
        if self.kelvin is None:
            return as_shot_gains(camera.as_shot_neutral)
        tint = torch.zeros(()) if self.tint is None else self.tint
        neutral = neutral_of_temperature(camera, self.kelvin, tint)
        return neutral.max() / neutral

    def camera_after(self, camera: Camera) -> Camera:
        """The camera with the neutral that was balanced to; None where it is the as-shot one."""
        if self.gains is None and self.kelvin is None:
            return camera.replace(neutral=None)
        return camera.replace(neutral=_neutral(self.gains_for(camera)))

    def forward(self, frame: Frame) -> Frame:
        """Fills ``rgb``."""
        gains = self.gains_for(frame.camera)
        if self.gains is not None or self.kelvin is not None:
            return balanced(frame, gains, self.clip, "WhiteBalance")
        rgb = white_balance(frame.require("raw", by="WhiteBalance"), gains, self.clip)
        if frame.camera.neutral is not None:
            frame = frame.replace(camera=frame.camera.replace(neutral=None))
        return frame.replace(rgb=rgb)

    def bind(self, camera: Camera) -> WhiteBalance:
        """A copy that holds the gains for this camera; a learned temperature is fixed by it."""
        if self.gains is not None:
            return copy.deepcopy(self)
        return WhiteBalance(self.gains_for(camera).detach().clone(), self.clip)

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        if self.kelvin is not None:
            tint = 0.0 if self.tint is None else self.tint.item()
            return f"kelvin={self.kelvin.item():g}, tint={tint:g}, clip={self.clip}"
        gains = None if self.gains is None else [round(gain, 4) for gain in self.gains.tolist()]
        return f"gains={'as shot' if gains is None else gains}, clip={self.clip}"


class GrayWorld(Stage):
    """Raw to rgb, balanced to the picture's own mean; see :func:`gray_world`.

    Each picture of a batch has its own light, and all of them are recorded in ``camera.neutral``,
    as by :class:`WhiteBalance`; stages that read the camera's profile refuse several. No stage
    knows it before there is a picture, so that those bound beforehand
    (:meth:`isp_meta.Pipeline.bind`) hold what is right for the camera's own neutral.

    Args:
        clip: confine to [0, 1].
    """

    needs = frozenset({"raw"})
    gives = frozenset({"rgb"})

    def __init__(self, clip: bool = True) -> None:
        super().__init__()
        self.clip = clip

    def forward(self, frame: Frame) -> Frame:
        """Fills ``rgb``."""
        gains = gray_world(frame.require("raw", by="GrayWorld"))
        return balanced(frame, gains, self.clip, "GrayWorld")

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        return f"clip={self.clip}"
