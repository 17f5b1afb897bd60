"""The color of the light, from statistics of the picture alone.

raw ─▶ unclipped light, averaged over 64 x 64 cells ─▶ color of the light ─▶ gains ─▶ rgb
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from ..frame import Frame
from ..stage import Range, Stage
from .rows import CELLS, area_means, gaussian
from .white_balance import balanced, gains_of_light, unclipped

__all__ = ["AutoWhiteBalance", "LightStatistic", "light_of_edges", "light_of_extremes"]

LightStatistic = Literal["bright-and-dark", "shades-of-gray", "gray-edge", "second-order-gray-edge"]

# By the order of the derivative, of the statistics that have one: norms that serve real scenes.
_ORDERS = {"shades-of-gray": 0, "gray-edge": 1, "second-order-gray-edge": 2}
_NORMS = (6.0, 1.0, 1.0)
_SIGMA = 0.01
# Squarings after which the first principal component alone is left: 2^8 steps of power iteration.
_SQUARINGS = 8


def _cells(raw: Tensor) -> tuple[Tensor, Tensor]:
    """(..., 3, 64, 64) mean light of what is not clipped, and the share (..., 1, 64, 64) of it,
    in single precision or better."""
    if raw.dim() < 3 or raw.shape[-3] != 3:
        raise ValueError(f"raw must be (..., 3, H, W), not {tuple(raw.shape)}")
    light = raw if raw.dtype == torch.float64 else raw.float()
    weight = unclipped(light)
    share = area_means(weight)
    return area_means(light * weight) / share.clamp(min=1e-6), share


def light_of_edges(
    raw: Tensor,
    order: int = 0,
    norm: Tensor | float = 6.0,
    sigma: Tensor | float = 0.001,
) -> Tensor:
    """The color of the light as a norm of the picture, or of its derivatives.

        light = (mean |D^order G_sigma raw|^norm)^(1 / norm),  of each channel

    Order 0 is Shades of Gray: with a norm of 1 gray world, with a large one the brightest of each
    channel. Orders 1 and 2 are Gray Edge, with the length of the gradient, and
    sqrt(xx^2 + 4 xy^2 + yy^2) of the second derivatives.

    Args:
        raw: (..., 3, H, W) linear raw-RGB in [0, 1]; pixels with a channel above 0.95 do not count.
        order: of the derivative, 0 to 2.
        norm: Minkowski's, >= 1.
        sigma: standard deviation of the Gaussian, as a share of each side, > 0.

    Returns:
        (..., 3) >= 0 of each picture, differentiable. 0 where nothing is known: everything clipped,
        or nothing but one color and an order above 0.

    Raises:
        ValueError: another shape or order.

    Source: Finlayson and Trezzi, "Shades of gray and colour constancy", Color Imaging Conference
    2004; van de Weijer, Gevers, Gijsenij, "Edge-based color constancy", IEEE TIP 16(9), 2007,
    Eq. 10.
    """
    if order not in (0, 1, 2):
        raise ValueError(f"order must be 0, 1 or 2, not {order}")
    light, share = _cells(raw)
    p, width = (torch.as_tensor(number).to(light) for number in (norm, sigma))
    # What is clipped takes after its neighbors.
    covered = gaussian(share, width * CELLS).clamp(min=1e-6)
    smooth = gaussian(light * share, width * CELLS) / covered
    strength = smooth if order == 0 else _derivative(smooth, order)
    if order:
        share = -F.max_pool2d(-share.flatten(0, -3).unsqueeze(1), 3, 1, 1).view(share.shape)
    # Powers of numbers up to 1 neither overflow nor vanish together.
    strongest = strength.detach().amax((-3, -2, -1), keepdim=True)
    strongest = strongest.clamp(min=torch.finfo(light.dtype).tiny)
    relative = strength / strongest
    mean = (share * relative**p).sum((-2, -1)) / share.sum((-2, -1)).clamp(min=1e-6)
    known = mean > 0
    root = torch.where(known, mean, 1.0) ** (1 / p)
    return strongest[..., 0, 0] * torch.where(known, root, 0.0)


def _derivative(cells: Tensor, order: int) -> Tensor:
    """Length of the first or the second derivative of (..., H, W)."""
    planes = F.pad(cells.flatten(0, -3).unsqueeze(1), (1, 1, 1, 1), mode="replicate")
    middle, ends = planes.new_tensor([0.0, 1.0, 0.0]), planes.new_tensor([-0.5, 0.0, 0.5])
    curve = planes.new_tensor([1.0, -2.0, 1.0])
    if order == 1:
        kernels = [(middle, ends, 1.0), (ends, middle, 1.0)]
    else:
        kernels = [(middle, curve, 1.0), (ends, ends, 4.0), (curve, middle, 1.0)]
    terms = [
        weight * F.conv2d(planes, torch.outer(down, across)[None, None]) ** 2
        for down, across, weight in kernels
    ]
    square = torch.stack(terms).sum(0)
    # The root's gradient is infinite at 0.
    tiny = torch.finfo(cells.dtype).tiny
    return torch.where(square > tiny, square.clamp(min=tiny).sqrt(), 0.0).view(cells.shape)


def light_of_extremes(raw: Tensor, share: float = 0.035) -> Tensor:
    """The color of the light as the first principal component of the brightest and darkest colors.

    Brightness is the length along the mean color; the component is that of colors as they are,
    from black.

    Args:
        raw: (..., 3, H, W) linear raw-RGB in [0, 1]; pixels with a channel above 0.95 do not count.
        share: of the picture taken as brightest, and as darkest, above 0 to 0.5.

    Returns:
        (..., 3) >= 0 of each picture, of no particular brightness; differentiable, with the choice
        of colors held. 0 where everything is clipped.

    Raises:
        ValueError: another shape, or share out of range.

    Source: Cheng, Prasad, Brown, "Illuminant estimation for color constancy: why spatial-domain
    methods work and the role of the color distribution", JOSA A 31(5), 2014, section 5.
    """
    if not 0 < share <= 0.5:
        raise ValueError(f"share must be above 0 to 0.5, not {share}")
    light, covered = _cells(raw)
    colors, valid = light.flatten(-2), covered.flatten(-2) > 0.5
    count = valid.sum(-1, keepdim=True).clamp(min=1)
    mean = (colors * valid).sum(-1, keepdim=True) / count
    with torch.no_grad():
        along = (colors * mean).sum(-2, keepdim=True)
        # What does not count is of middle brightness.
        along = torch.where(valid, along, (along * valid).sum(-1, keepdim=True) / count)
        most = max(round(share * CELLS**2), 1)
        bright = along >= along.topk(most, -1).values[..., -1:]
        dark = along <= -(-along).topk(most, -1).values[..., -1:]
        chosen = ((bright | dark) & valid).to(light)
    kept = colors * chosen
    matrix = (kept.unsqueeze(-2) * kept.unsqueeze(-3)).sum(-1)
    tiny = torch.finfo(light.dtype).tiny
    for _ in range(_SQUARINGS):
        trace = matrix.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
        matrix = matrix / trace.clamp(min=tiny)
        matrix = (matrix.unsqueeze(-1) * matrix.unsqueeze(-3)).sum(-2)
    return (matrix * mean.mT).sum(-1).clamp(min=0)


class AutoWhiteBalance(Stage):
    """Raw to rgb, balanced to the light that statistics of the picture say.

    :class:`isp_meta.stages.GrayWorld` is the simplest of its kind, with which it shares what
    becomes of ``camera.neutral``.

    Args:
        statistic: "bright-and-dark" (:func:`light_of_extremes`), or "shades-of-gray", "gray-edge",
            "second-order-gray-edge" (:func:`light_of_edges` of order 0, 1 and 2).
        norm: Minkowski's, of the last three; None: 6 for shades of gray, 1 for edges.
        sigma: of their Gaussian, as a share of each side; None: 0.01.
        share: of the picture in its brightest and darkest colors, of the first.
        clip: confine to [0, 1].

    Raises:
        ValueError: no such statistic, a number out of range, or one that it does not have.
    """

    needs = frozenset({"raw"})
    gives = frozenset({"rgb"})
    ranges: ClassVar[Mapping[str, Range]] = {
        "norm": Range(1.0, 100.0),
        "sigma": Range(0.001, 0.5),
    }
    norm: Tensor | None
    sigma: Tensor | None

    def __init__(
        self,
        statistic: LightStatistic = "bright-and-dark",
        norm: Tensor | float | None = None,
        sigma: Tensor | float | None = None,
        share: float = 0.035,
        clip: bool = True,
    ) -> None:
        super().__init__()
        if statistic not in get_args(LightStatistic):
            raise ValueError(f"statistic must be one of {', '.join(get_args(LightStatistic))}")
        if not 0 < share <= 0.5:
            raise ValueError(f"AutoWhiteBalance: share must be above 0 to 0.5, not {share}")
        self.statistic: LightStatistic = statistic
        self._order = _ORDERS.get(statistic)
        if self._order is not None:
            norm = _NORMS[self._order] if norm is None else norm
            sigma = _SIGMA if sigma is None else sigma
        elif norm is not None or sigma is not None:
            raise ValueError(f"{statistic} has neither norm nor sigma")
        self.hold("norm", norm)
        self.hold("sigma", sigma)
        self.share = share
        self.clip = clip

    def light(self, raw: Tensor) -> Tensor:
        """(..., 3) color of the light on each picture; 0 where nothing is known of it.

        Args:
            raw: (..., 3, H, W) linear raw-RGB in [0, 1].
        """
        if self._order is None or self.norm is None or self.sigma is None:
            return light_of_extremes(raw, self.share)
        return light_of_edges(raw, self._order, self.norm, self.sigma)

    def forward(self, frame: Frame) -> Frame:
        """Fills ``rgb``."""
        gains = gains_of_light(self.light(frame.require("raw", by="AutoWhiteBalance")))
        return balanced(frame, gains, self.clip, "AutoWhiteBalance")

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        if self.norm is None or self.sigma is None:
            numbers = f"share={self.share:g}"
        else:
            numbers = f"norm={self.norm.item():g}, sigma={self.sigma.item():g}"
        return f"{self.statistic!r}, {numbers}, clip={self.clip}"
