"""One monotone curve over all channels: contrast and brightness of the finished picture."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from ..camera import Camera, ColorProfile
from ..frame import Frame
from ..stage import Range, Stage

__all__ = ["ToneCurve", "ToneMode", "filmic", "profile_curve", "tone_curve"]

ToneMode = Literal["channel", "hue"]
Knots = Tensor | Sequence[float] | Sequence[tuple[float, float]]

_PROFILE_KNOTS = 4097


def filmic(light: Tensor, exposure: float = 1.0) -> Tensor:
    """A film-like S: deep shadows compressed, middle gray lifted (0.18 to 0.33), soft highlights.

        f(x) = x (2.51 x + 0.03) / (x (2.43 x + 0.59) + 0.14),  filmic(x) = f(e x) / f(e)

    Args:
        light: any shape, linear, in [0, 1].
        exposure: e > 0; more lifts the picture and bends its highlights further.

    Returns:
        Same shape: 0 at 0, 1 at 1, strictly increasing.

    Source: Narkowicz, "ACES filmic tone mapping curve", 2015; scaled here to reach white.
    """

    def curve(x: Tensor) -> Tensor:
        return x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)

    return curve(exposure * light) / curve(torch.as_tensor(exposure).to(light))


@lru_cache(maxsize=16)
def profile_curve(profile: ColorProfile) -> Tensor | None:
    """The tone curve of a camera profile, at uniform knots.

    A natural cubic spline through the profile's points, confined to [0, 1] and never falling.

    Returns:
        (4097,) float64 over [0, 1], between which straight lines follow the spline closely; None if
        the profile has no curve.

    Source: DNG specification 1.7.1, ProfileToneCurve.
    """
    if profile.tone_curve is None:
        return None
    from scipy.interpolate import CubicSpline  # 0.3 s to load, and few profiles have a curve

    x, y = profile.tone_curve.double().cpu().T.numpy()
    uniform = torch.linspace(0, 1, _PROFILE_KNOTS, dtype=torch.float64)
    curve = torch.from_numpy(CubicSpline(x, y, bc_type="natural")(uniform.numpy()))
    return curve.clamp(0, 1).cummax(0).values


def _piecewise(light: Tensor, y: Tensor, x: Tensor | None) -> Tensor:
    """Straight lines through the knots, over values of any shape."""
    last = len(y) - 2
    if x is None:
        along = light.clamp(0, 1) * (last + 1)
        segment = along.detach().clamp(max=last).long().flatten()
        along = along.flatten() - segment
        rise = y.diff()
    else:
        inside = light.clamp(x[0], x[-1]).flatten()
        # Interior knots alone: beyond the first or the last, the end segments go on.
        interior = x[1:-1].detach().contiguous()
        segment = torch.searchsorted(interior, inside.detach(), right=True)
        along = inside - x.index_select(0, segment)
        rise = y.diff() / x.diff()
    height, slope = y.index_select(0, segment), rise.index_select(0, segment)
    return torch.addcmul(height, slope, along).view(light.shape)


def tone_curve(
    rgb: Tensor, y: Tensor, x: Tensor | None = None, mode: ToneMode = "channel"
) -> Tensor:
    """Piecewise linear curve through the points (x, y).

        channel:  each channel through the curve f; strong curves turn hues
        hue:      the largest and the smallest through f, the middle one between them where it was:
                  rgb' = f(min) + (f(max) - f(min)) (rgb - min) / (max - min)

    Args:
        rgb: any shape, float32 or float64; (..., 3, H, W) for mode "hue". Beyond the ends of ``x``
            the curve is level.
        y: (K,), K >= 2, heights at the knots; brought to the dtype and device of ``rgb``.
        x: (K,), strictly increasing; None: uniform over [0, 1], which is several times faster, and
            can be written as ONNX, which has no search.
        mode: "hue" keeps the hue of HSV.

    Returns:
        Same shape as ``rgb``; differentiable with respect to ``rgb``, ``y`` and ``x``.

    Raises:
        ValueError: shapes do not fit.

    Source: for mode "hue" Adobe's DNG SDK 1.7, ``RefBaselineRGBTone``.
    """
    if y.dim() != 1 or len(y) < 2 or (x is not None and x.shape != y.shape):
        raise ValueError("a tone curve takes (K,) heights, K >= 2, and as many positions")
    y, x = y.to(rgb), None if x is None else x.to(rgb)
    if mode == "channel":
        if rgb.dim() < 3 or torch.compiler.is_compiling():
            return _piecewise(rgb, y, x)
        # One plane at a time: the segment of every pixel takes more memory than the picture.
        planes = rgb.reshape(-1, *rgb.shape[-2:])
        return torch.stack([_piecewise(plane, y, x) for plane in planes]).view(rgb.shape)
    if rgb.dim() < 3 or rgb.shape[-3] != 3:
        raise ValueError(f'mode "hue" takes (..., 3, H, W), not {tuple(rgb.shape)}')
    rgb = rgb.clamp(0, 1) if x is None else rgb.clamp(x[0], x[-1])
    least, most = rgb.amin(-3, keepdim=True), rgb.amax(-3, keepdim=True)
    low, high = _piecewise(least, y, x), _piecewise(most, y, x)
    spread = most - least
    return low + (high - low) * ((rgb - least) / torch.where(spread > 0, spread, 1.0))


class ToneCurve(Stage):
    """A monotone curve over rgb; see :func:`tone_curve`.

    Args:
        knots: (K,) heights at uniform positions over [0, 1], or (K, 2) pairs (x, y), K >= 2; x
            strictly increasing, y never decreasing. An ``nn.Parameter`` is learned, with nothing
            to keep it monotone. None: the curve of the camera's profile (:func:`profile_curve`).
        mode: "channel", or "hue", which keeps the hue and is what DNG profiles are made for.
        default: knots for a camera without such a curve; None: the identity.

    Raises:
        ValueError: knots of another shape, or not monotone; no such mode.
    """

    needs = frozenset({"rgb"})
    gives = frozenset({"rgb"})
    ranges: ClassVar[Mapping[str, Range]] = {"knots": Range()}
    pointwise = True
    knots: Tensor | None
    default: Tensor | None

    def __init__(
        self, knots: Knots | None = None, mode: ToneMode = "channel", default: Knots | None = None
    ) -> None:
        super().__init__()
        if mode not in get_args(ToneMode):
            raise ValueError(f"mode must be 'channel' or 'hue', not {mode!r}")
        self.hold("knots", knots)
        self.hold("default", default)
        self.mode: ToneMode = mode
        for given in (self.knots, self.default):
            if given is not None:
                _check_knots(given)

    @classmethod
    def filmic(cls, exposure: float = 1.0, knots: int = 1025) -> ToneCurve:
        """The curve of :func:`filmic`, at as many uniform knots as a DNG profile's tone curve."""
        light = torch.linspace(0, 1, knots, dtype=torch.float64)
        return cls(filmic(light, exposure).float())

    @classmethod
    def of_camera(cls, mode: ToneMode = "hue") -> ToneCurve:
        """The curve of the camera's profile, or :func:`filmic` where it has none."""
        return cls(None, mode, cls.filmic().knots)

    def knots_for(self, camera: Camera) -> Tensor | None:
        """Knots that a picture of this camera gets; None: the identity."""
        if self.knots is not None:
            return self.knots
        curve = None if camera.profile is None else profile_curve(camera.profile)
        return self.default if curve is None else curve

    def points(self) -> tuple[Tensor, Tensor]:
        """Positions and heights of the knots, (K,) each; float64, since thirds are no float32."""
        knots = self.knots_for(Camera())
        knots = torch.tensor([0.0, 1.0]) if knots is None else knots
        y = (knots if knots.dim() == 1 else knots[:, 1]).double()
        if knots.dim() == 2:
            return knots[:, 0].double(), y
        return torch.linspace(0, 1, len(y), dtype=y.dtype, device=y.device), y

    def project(self) -> None:
        """Makes the curve monotone again, in place: no height below one before it."""
        if self.knots is not None:
            heights = self.knots.data[..., -1] if self.knots.dim() == 2 else self.knots.data
            heights.copy_(heights.cummax(0).values)

    def forward(self, frame: Frame) -> Frame:
        """Replaces ``rgb``."""
        rgb = frame.require("rgb", by="ToneCurve")
        knots = self.knots_for(frame.camera)
        if knots is None:
            return frame
        y, x = (knots, None) if knots.dim() == 1 else (knots[:, 1], knots[:, 0])
        return frame.replace(rgb=tone_curve(rgb, y, x, self.mode))

    def bind(self, camera: Camera) -> ToneCurve:
        """A copy that holds the curve for this camera."""
        bound = copy.deepcopy(self)
        if bound.knots is None:
            knots = self.knots_for(camera)
            bound.hold("knots", [0.0, 1.0] if knots is None else knots)
        return bound

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        mode = "" if self.mode == "channel" else f", mode={self.mode!r}"
        if self.knots is None:
            return f"camera{mode}"
        spacing = "uniform" if self.knots.dim() == 1 else "free"
        return f"{len(self.knots)} {spacing} knots{mode}"


def _check_knots(knots: Tensor) -> None:
    shape = tuple(knots.shape)
    if shape[1:] not in ((), (2,)) or len(shape) == 0 or shape[0] < 2:
        raise ValueError(f"knots must be (K,) or (K, 2) with K >= 2, not {shape}")
    y = knots if knots.dim() == 1 else knots[:, 1]
    if not bool((y.diff() >= 0).all()) or (
        knots.dim() == 2 and not bool((knots[:, 0].diff() > 0).all())
    ):
        raise ValueError("knots must rise: x strictly, y never falling")
