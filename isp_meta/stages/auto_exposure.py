"""As bright as the picture should be, by what is in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from ..colorimetry import SPACES
from ..frame import Frame
from ..stage import Range, Stage
from .color_space import luminance
from .exposure import exposure
from .rows import CELLS, area_means, weighted_sum

__all__ = ["AutoExposure", "Metering", "metered_stops"]

Metering = Literal["average", "scene", "highlights"]

# Light that counts as black, 14 stops below white.
_FLOOR = 2.0**-14
# Share of the cells beyond the scene's darkest and brightest, as in the article.
_BEYOND = 0.01


def metered_stops(
    rgb: Tensor,
    weights: Tensor,
    metering: Metering = "average",
    target: Tensor | float = 0.18,
    share: float = _BEYOND,
) -> Tensor:
    """Stops that bring a picture to its right brightness.

        average:    log2 target - mean log2 Y
        scene:      the same, and 4 (mean log2 Y - middle) / range stops more,
                    middle and range those of the darkest and brightest log2 Y: snow stays bright
        highlights: log2 target - log2 of what ``share`` of the picture have in some channel

    Light is averaged in 64 x 64 cells, so that noise and glints do not count.

    Args:
        rgb: (..., 3, H, W) linear.
        weights: (3,) of the channels in luminance Y.
        metering: see above.
        target: luminance, or channel, to be met, > 0.
        share: of the picture, above 0 to 0.5: above the target, or beyond darkest and brightest.

    Returns:
        (...) stops of each picture; differentiable.

    Raises:
        ValueError: shapes do not fit, or share out of range.

    Source: Reinhard, Stark, Shirley, Ferwerda, "Photographic tone reproduction for digital images",
    SIGGRAPH 2002, Eqs. 1, 2; of scenes Reinhard, "Parameter estimation for photographic tone
    reproduction", Journal of Graphics Tools 7(1), 2002, Eq. 4.
    """
    if rgb.dim() < 3 or rgb.shape[-3] != 3 or weights.shape != (3,):
        raise ValueError(
            f"rgb must be (..., 3, H, W) and weights (3,), "
            f"not {tuple(rgb.shape)} and {tuple(weights.shape)}"
        )
    if not 0 < share <= 0.5:
        raise ValueError(f"share must be above 0 to 0.5, not {share}")
    light = area_means(rgb if rgb.dtype == torch.float64 else rgb.float()).clamp(min=0)
    aim = torch.as_tensor(target).to(light).log2()
    most = max(round(share * CELLS**2), 1)
    if metering == "highlights":
        brightest = light.amax(-3).flatten(-2).topk(most, -1).values[..., -1]
        return aim - (brightest + _FLOOR).log2()
    stops = (weighted_sum(light, weights.to(light)).flatten(-3) + _FLOOR).log2()
    mean = stops.mean(-1)
    if metering == "average":
        return aim - mean
    high = stops.topk(most, -1).values[..., -1]
    low = -(-stops).topk(most, -1).values[..., -1]
    # One brightness everywhere has no range, and is in the middle of it.
    key = 2 * (2 * mean - low - high) / (high - low).clamp(min=1e-3)
    return aim + key - mean


class AutoExposure(Stage):
    """Brightens or darkens linear rgb by what is in it; see :func:`metered_stops`.

    Belongs where :class:`isp_meta.stages.Exposure` does, behind the color matrix.

    Args:
        metering: "average", "scene" or "highlights".
        target: luminance of the average, or of the brightest channel; None: 0.18, or 0.9 of
            highlights; an ``nn.Parameter`` is learned.
        share: see :func:`metered_stops`.
        limit: most stops up or down.
        shoulder: keep white where it is; see :func:`isp_meta.stages.exposure`.
        clip: confine to [0, 1].
        space: what rgb is in, which says how its channels make luminance: a key of
            :data:`isp_meta.colorimetry.SPACES`.

    Raises:
        ValueError: a number out of range, no such metering or space.
    """

    needs = frozenset({"rgb"})
    gives = frozenset({"rgb"})
    ranges: ClassVar[Mapping[str, Range]] = {
        "target": Range(0.001, 1.0),
        "limit": Range(0.0, 16.0, "stops"),
    }
    target: Tensor
    limit: Tensor
    weights: Tensor

    def __init__(
        self,
        metering: Metering = "average",
        target: Tensor | float | None = None,
        share: float = _BEYOND,
        limit: Tensor | float = 4.0,
        shoulder: bool = False,
        clip: bool = True,
        space: str = "srgb",
    ) -> None:
        super().__init__()
        if metering not in get_args(Metering):
            raise ValueError(f"metering must be one of {', '.join(get_args(Metering))}")
        if not 0 < share <= 0.5:
            raise ValueError(f"AutoExposure: share must be above 0 to 0.5, not {share}")
        if space not in SPACES or space == "xyz":
            raise ValueError(f"space must be an RGB space of {', '.join(SPACES)}, not {space!r}")
        if target is None:
            target = 0.9 if metering == "highlights" else 0.18
        self.metering: Metering = metering
        self.hold("target", target)
        self.share = share
        self.hold("limit", limit)
        self.shoulder, self.clip, self.space = shoulder, clip, space
        self.register_buffer("weights", luminance(space), persistent=False)

    def stops(self, rgb: Tensor) -> Tensor:
        """(...) stops that each picture gets.

        Args:
            rgb: (..., 3, H, W) linear.
        """
        stops = metered_stops(rgb, self.weights, self.metering, self.target, self.share)
        limit = self.limit.to(stops)
        return torch.minimum(torch.maximum(stops, -limit), limit)

    def forward(self, frame: Frame) -> Frame:
        """Replaces ``rgb``."""
        rgb = frame.require("rgb", by="AutoExposure")
        lit = exposure(rgb, self.stops(rgb)[..., None, None, None], self.shoulder)
        return frame.replace(rgb=lit.clamp(0, 1) if self.clip else lit)

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        return (
            f"{self.metering!r}, target={self.target.item():g}, limit={self.limit.item():g}, "
            f"shoulder={self.shoulder}, clip={self.clip}, space={self.space!r}"
        )
