"""One monotone curve over all channels: contrast and brightness of the finished picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..frame import Frame
from ..stage import Stage

__all__ = ["ToneCurve", "filmic", "tone_curve"]


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


def tone_curve(rgb: Tensor, y: Tensor, x: Tensor | None = None) -> Tensor:
    """Piecewise linear curve through the points (x, y).

    Exchanging ``x`` and ``y`` gives the inverse of a strictly increasing curve.

    Args:
        rgb: any shape, float32 or float64; beyond the ends of ``x`` the curve is level.
        y: (K,), K >= 2, heights at the knots; brought to the dtype and device of ``rgb``.
        x: (K,), strictly increasing; None: uniform over [0, 1].

    Returns:
        Same shape as ``rgb``; differentiable with respect to ``rgb``, ``y`` and ``x``.

    Raises:
        ValueError: shapes do not fit.
    """
    if y.dim() != 1 or len(y) < 2 or (x is not None and x.shape != y.shape):
        raise ValueError("a tone curve takes (K,) heights, K >= 2, and as many positions")
    y = y.to(rgb)
    uniform = torch.linspace(0, 1, len(y), dtype=rgb.dtype, device=rgb.device)
    position = uniform if x is None else x.to(rgb)
    slope = y.diff() / position.diff()

    def interpolate(plane: Tensor) -> Tensor:
        inside = plane.clamp(position[0], position[-1]).flatten()
        if x is None:
            segment = (inside.detach() * len(slope)).int().clamp_(max=len(slope) - 1)
        else:
            # Interior knots alone: beyond the first or the last, the end segments go on.
            interior = position[1:-1].detach().contiguous()
            segment = torch.searchsorted(interior, inside.detach(), right=True, out_int32=True)
        start, height, rise = (t.index_select(0, segment) for t in (position[:-1], y[:-1], slope))
        return torch.addcmul(height, rise, inside - start).view(plane.shape)

    if rgb.dim() < 3:
        return interpolate(rgb)
    # One plane at a time: the segment of every pixel takes as much memory as the picture.
    planes = rgb.reshape(-1, *rgb.shape[-2:])
    return torch.stack([interpolate(plane) for plane in planes]).view(rgb.shape)


class ToneCurve(Stage):
    """A monotone curve over every channel of rgb; see :func:`tone_curve`.

    Args:
        knots: (K,) heights at uniform positions over [0, 1], or (K, 2) pairs (x, y), K >= 2; x
            strictly increasing, y never decreasing. An ``nn.Parameter`` is learned, with nothing
            to keep it monotone. None: the identity.

    Raises:
        ValueError: knots of another shape, or not monotone.
    """

    needs = frozenset({"rgb"})
    gives = frozenset({"rgb"})
    knots: Tensor

    def __init__(
        self, knots: Tensor | Sequence[float] | Sequence[tuple[float, float]] | None = None
    ) -> None:
        super().__init__()
        if isinstance(knots, nn.Parameter):
            self.register_parameter("knots", knots)
        else:
            given = torch.as_tensor((0.0, 1.0) if knots is None else knots)
            self.register_buffer("knots", given if given.is_floating_point() else given.float())
        shape = tuple(self.knots.shape)
        if shape[1:] not in ((), (2,)) or len(shape) == 0 or shape[0] < 2:
            raise ValueError(f"knots must be (K,) or (K, 2) with K >= 2, not {shape}")
        x, y = self.points()
        if not bool((x.diff() > 0).all()) or not bool((y.diff() >= 0).all()):
            raise ValueError("knots must rise: x strictly, y never falling")

    @classmethod
    def filmic(cls, exposure: float = 1.0, knots: int = 1025) -> ToneCurve:
        """The curve of :func:`filmic`, at as many uniform knots as a DNG profile's tone curve."""
        light = torch.linspace(0, 1, knots, dtype=torch.float64)
        return cls(filmic(light, exposure).float())

    def points(self) -> tuple[Tensor, Tensor]:
        """Positions and heights of the knots, (K,) each."""
        if self.knots.dim() == 2:
            return self.knots[:, 0], self.knots[:, 1]
        return torch.linspace(0, 1, len(self.knots)).to(self.knots), self.knots

    def inverse(self) -> ToneCurve:
        """The curve that undoes this one.

        Raises:
            ValueError: a level stretch, which cannot be undone.
        """
        x, y = self.points()
        if not bool((y.diff() > 0).all()):
            raise ValueError("a tone curve with a level stretch has no inverse")
        return ToneCurve(torch.stack([y, x], dim=1).detach())

    def forward(self, frame: Frame) -> Frame:
        """Replaces ``rgb``."""
        rgb = frame.require("rgb", by="ToneCurve")
        # Uniform knots need no search: 3 times faster.
        x, y = self.points() if self.knots.dim() == 2 else (None, self.knots)
        return frame.replace(rgb=tone_curve(rgb, y, x))

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        spacing = "uniform" if self.knots.dim() == 1 else "free"
        return f"{len(self.knots)} {spacing} knots"
