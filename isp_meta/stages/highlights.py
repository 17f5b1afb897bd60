"""Light beyond the sensor's reach: estimated where channels saturate, then bent into the display's.

raw ──WhiteBalance(clip=False)──▶ rgb ──HighlightReconstruction──▶ rgb up to the largest gain
    ──ColorMatrix(clip=False)──▶ rgb ──HighlightCompression──▶ rgb in [0, 1]
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..camera import Camera
from ..frame import Frame
from ..stage import Range, Stage
from .rows import at_pixels, gaussian, in_bands, of_bands, row_bands
from .white_balance import as_shot_gains, check_triples

__all__ = [
    "HighlightCompression",
    "HighlightReconstruction",
    "compress_highlights",
    "reconstruct_highlights",
    "saturation_level",
    "smoothstep",
]

# Shares of the saturation level between which a channel stops counting as measured, and those
# between which its color stops being believed: demosaicing and noise spread saturation around.
_SATURATED = (0.90, 0.98)
_BELIEVED = (0.85, 0.95)
# Where all channels come near saturation a color is a guess; from here on it fades to white.
_FADING = (0.5, 1.0)
# Pixels of the color field's blocks, and standard deviations in blocks of the surroundings from
# which they are filled, from the whole picture's mean down to their own pixels.
_BLOCK = 16
_SURROUNDINGS = (64.0, 16.0, 4.0, 1.0, 0.0)
# What neighbors count for beside a block's own pixels, and white beside a pixel's own channels.
_PRIOR = 0.01
_DARKEST = 1e-4

# The histogram in which saturation is looked for: from here to 1, window of bins around a peak,
# shares of the picture and of the bright part that must lie in it.
_BRIGHT, _BINS, _WINDOW = 0.8, 100, 5
_LEAST_SHARE, _LEAST_PEAK = 2e-4, 0.3


def smoothstep(x: Tensor, start: float = 0.0, end: float = 1.0) -> Tensor:
    """Rises from 0 at ``start`` to 1 at ``end`` as 3 t^2 - 2 t^3, level outside."""
    t = ((x - start) / (end - start)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def saturation_level(rgb: Tensor, gains: Tensor) -> Tensor:
    """Where each channel of a picture saturates, as its own histogram shows.

    Files often state a white level that no pixel reaches: amplifiers and converters saturate
    earlier, each color on its own. Saturated pixels then pile up in one narrow peak. A picture
    without one, be it of a channel alone, gets 1.

    Args:
        rgb: (..., 3, H, W) linear, white-balanced, not clipped.
        gains: (3,) of the white balance, or (..., 3), each picture's own.

    Returns:
        (..., 3) float32 in [0.8, 1], of each picture, before the gains; without gradient.
    """
    with torch.no_grad():
        gains = gains.to(rgb.device, torch.float32)[..., None, None]
        some = (rgb[..., ::3, ::3].float() / gains).flatten(-2)
        counts = _histogram(some)
        window = F.avg_pool1d(counts, _WINDOW, 1, _WINDOW // 2) * _WINDOW
        most, place = window.max(-1)
        found = (most >= _LEAST_PEAK * counts.sum(-1)) & (most >= _LEAST_SHARE * some.shape[-1])
        level = _BRIGHT + (place + 0.5) * ((1 - _BRIGHT) / _BINS)
        return torch.where(found, level, 1.0).view(rgb.shape[:-2])


def _histogram(light: Tensor) -> Tensor:
    """(N, bins) how many of each row's values, (..., K), lie in each bin, more than 1 in the last.

    torch.histc counts a batch as one, and ONNX does not have it.
    """
    place = ((light.clamp(max=1) - _BRIGHT) * (_BINS / (1 - _BRIGHT))).floor().long()
    # What is darker falls into a bin that is not kept.
    place = place.clamp(-1, _BINS - 1).reshape(-1, light.shape[-1]) + 1
    counts = light.new_zeros(place.shape[0], _BINS + 1)
    return counts.scatter_add(1, place, torch.ones_like(place, dtype=light.dtype))[:, 1:]


def reconstruct_highlights(rgb: Tensor, gains: Tensor, level: Tensor | None = None) -> Tensor:
    """Estimates the channels that saturate from those that do not.

        color(p) = log rgb of the unsaturated surroundings, bright pixels first, less its mean
        light(p) = mean over measured channels c of log rgb_c(p) - color_c(p)
        rgb_c(p) = max(rgb_c(p), exp(light(p) + color_c(p))) where c saturates

    A pixel thus takes its brightness from what the sensor did measure there, and its color from
    around it. As the last channel saturates the color fades, and burnt-out light is white. The
    color field is made of averages over ever smaller surroundings, each of which fills the holes of
    the next. A pixel whose channels all stay below 90% of their levels is not changed; no channel
    gets darker.

    Args:
        rgb: (..., 3, H, W) linear, white-balanced, not clipped; float32 or float64, any size.
        gains: (3,) of the white balance, or (..., 3), each picture's own.
        level: (3,) or (..., 3) at which channels saturate, before the gains; None:
            :func:`saturation_level`.

    Returns:
        (..., 3, H, W): up to about the largest of ``gains * level``, where the picture is white.

    Raises:
        ValueError: shapes do not fit.

    Source: the reference made of the other channels is that of darktable's "inpaint opposed"; the
    color field is normalized convolution (Knutsson and Westin, CVPR 1993), coarse to fine as the
    pull and push of Gortler et al., "The lumigraph", SIGGRAPH 1996; put together here.
    """
    if rgb.dim() < 3 or rgb.shape[-3] != 3 or 0 in rgb.shape[-2:]:
        raise ValueError(f"rgb must be (..., 3, H, W), not {tuple(rgb.shape)}")
    check_triples(gains, rgb, "gains")
    if level is None:
        level = saturation_level(rgb, gains)
    check_triples(level, rgb, "level")
    top = (gains.to(rgb) * level.to(rgb)).reshape(-1, 3, 1, 1)
    flat = rgb.reshape(-1, *rgb.shape[-3:])
    bands = row_bands(rgb, top, multiple=_BLOCK)

    def sums(first: int, last: int) -> Tensor:
        return _color_sums(flat[..., first:last, :], top)

    color = _filled(torch.cat(of_bands(sums, bands), -2)).clamp(min=_DARKEST).log()
    color = at_pixels(color - color.mean(-3, keepdim=True), -1, 0, rgb.shape[-1], _BLOCK)

    def estimated(first: int, last: int) -> Tensor:
        band = flat[..., first:last, :]
        # Elsewhere the same formula gives the same band; a graph cannot depend on its values.
        if len(bands) > 1 and bool((band < _SATURATED[0] * top).all()):
            return band
        return _estimated(band, at_pixels(color, -2, first, last, _BLOCK), top)

    return in_bands(estimated, flat, bands).view(rgb.shape)


def _product(x: Tensor) -> Tensor:
    """(..., 1, H, W) over the channels."""
    return x[..., :1, :, :] * x[..., 1:2, :, :] * x[..., 2:, :, :]


def _color_sums(rgb: Tensor, top: Tensor) -> Tensor:
    """(B, 4, h, w) of blocks: weighted colors, and weights; every second pixel serves."""
    some = rgb[..., ::2, ::2].clamp(min=0)
    share = some / top
    weight = _product(1 - smoothstep(share, *_BELIEVED)) * share.amax(-3, keepdim=True) ** 4
    both = torch.cat([some * weight, weight], -3)
    # Sums beyond the border are 0, as are their weights: what a block holds of the picture counts.
    block = _BLOCK // 2
    return F.avg_pool2d(F.pad(both, (0, block - 1, 0, block - 1)), block)


def _filled(sums: Tensor) -> Tensor:
    """(B, 3, h, w) colors: of the block itself, or of its surroundings where it has none."""
    total = sums.mean((-2, -1), keepdim=True)
    color = (total[:, :3] + _PRIOR) / (total[:, 3:] + _PRIOR)
    for sigma in _SURROUNDINGS:
        near = sums if sigma == 0 else gaussian(sums, torch.tensor(sigma).to(sums))
        color = (near[:, :3] + _PRIOR * color) / (near[:, 3:] + _PRIOR)
    return color


def _estimated(rgb: Tensor, color: Tensor, top: Tensor) -> Tensor:
    share = rgb / top
    saturated = smoothstep(share, *_SATURATED)
    measured = 1 - saturated
    faded = _product(smoothstep(share, *_FADING))
    color = color * (1 - faded)
    light = (measured * (rgb.clamp(min=_DARKEST).log() - color)).sum(-3, keepdim=True)
    total = measured.sum(-3, keepdim=True) + _PRIOR
    light = (light + _PRIOR * top.amax(-3, keepdim=True).log()) / total
    risen = rgb + saturated * F.relu((light + color).exp() - rgb)
    white = risen.amax(-3, keepdim=True)
    return risen + faded * saturated.amax(-3, keepdim=True) * (white - risen)


class HighlightReconstruction(Stage):
    """Restores highlights in white-balanced rgb; see :func:`reconstruct_highlights`.

    Belongs right after ``WhiteBalance(clip=False)``, and before gains that vary over the picture,
    such as :class:`isp_meta.stages.LensShading` on rgb. What follows should not clip either, up
    to :class:`HighlightCompression`. Exported graphs take pictures of any
    size from 33 pixels a side.

    Args:
        level: (3,) at which the channels of raw saturate. None: as the picture's own histogram
            says, see :func:`saturation_level`.
        gains: (3,) of the white balance. None: those of the neutral that the frame's camera
            records, smallest exactly 1.

    Raises:
        ValueError: out of range, or of another shape.
    """

    needs = frozenset({"rgb"})
    gives = frozenset({"rgb"})
    ranges: ClassVar[Mapping[str, Range]] = {
        "level": Range(0.01, 1.0),
        "gains": Range(1e-3, 1e3),
    }
    level: Tensor | None
    gains: Tensor | None

    def __init__(
        self,
        level: Tensor | Sequence[float] | None = None,
        gains: Tensor | Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.hold("level", level)
        self.hold("gains", gains)
        for name in self.ranges:
            value = getattr(self, name)
            if value is not None and value.shape != (3,):
                raise ValueError(f"{name} must be (3,), not {tuple(value.shape)}")

    def forward(self, frame: Frame) -> Frame:
        """Replaces ``rgb``."""
        rgb = frame.require("rgb", by="HighlightReconstruction")
        gains = _camera_gains(frame.camera) if self.gains is None else self.gains
        return frame.replace(rgb=reconstruct_highlights(rgb, gains, self.level))

    def bind(self, camera: Camera) -> HighlightReconstruction:
        """A copy that holds the gains for this camera."""
        bound = copy.deepcopy(self)
        if self.gains is None:
            bound.hold("gains", _camera_gains(camera))
        return bound

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        level = "histogram" if self.level is None else self.level.tolist()
        gains = "camera" if self.gains is None else self.gains.tolist()
        return f"level={level}, gains={gains}"


def _camera_gains(camera: Camera) -> Tensor:
    return as_shot_gains(camera.as_shot_neutral if camera.neutral is None else camera.neutral)


def compress_highlights(rgb: Tensor, start: Tensor | float, white: Tensor | float) -> Tensor:
    """A smooth shoulder that brings [0, white] to [0, 1].

        rgb' = rgb up to start, start + (1 - start) f((rgb - start) / (1 - start)) above
        f(t) = t (1 + t / r^2) / (1 + t),  r = (white - start) / (1 - start)

    It leaves the straight line with slope 1, and goes on rising beyond white.

    Args:
        rgb: any shape, linear, float32 or float64.
        start: where the shoulder begins, in [0, 1).
        white: what becomes 1, >= 1; 1 is the identity. Broadcast against ``rgb``, as ``start`` is.

    Returns:
        Same shape, strictly increasing in ``rgb``.

    Source: Reinhard et al., "Photographic tone reproduction for digital images", SIGGRAPH 2002,
    Eq. 4, begun at ``start``.
    """
    first, most = (torch.as_tensor(p).to(rgb) for p in (start, white))
    scale = 1 - first
    reach = (most - first) / scale

    def bend(light: Tensor) -> Tensor:
        t = ((light - first) / scale).clamp(min=0)
        bent = first + scale * t * (1 + t / reach**2) / (1 + t)
        return torch.where(light <= first, light, bent)

    return _in_bands_or_whole(bend, rgb, first, most)


def _in_bands_or_whole(
    function: Callable[[Tensor], Tensor], light: Tensor, *parameters: Tensor
) -> Tensor:
    if light.dim() < 2:
        return function(light)
    bands = row_bands(light, *parameters)
    return in_bands(lambda top, bottom: function(light[..., top:bottom, :]), light, bands)


class HighlightCompression(Stage):
    """Brings light above 1 into the display's range; see :func:`compress_highlights`.

    Belongs before the tone curve. Each channel goes its own way, so that colors fade toward white
    as on film.

    Args:
        start: where the shoulder begins; an ``nn.Parameter`` is learned.
        white: what becomes 1; an ``nn.Parameter`` is learned. None: the largest gain of the white
            balance, which is where :class:`HighlightReconstruction` ends.

    Raises:
        ValueError: a number out of range.
    """

    needs = frozenset({"rgb"})
    gives = frozenset({"rgb"})
    ranges: ClassVar[Mapping[str, Range]] = {
        "start": Range(0.0, 0.99),
        "white": Range(1.0, 1024.0),
    }
    pointwise = True
    start: Tensor
    white: Tensor | None

    def __init__(self, start: Tensor | float = 0.6, white: Tensor | float | None = None) -> None:
        super().__init__()
        self.hold("start", start)
        self.hold("white", white)

    def white_for(self, camera: Camera) -> Tensor:
        """() light that becomes 1 in a picture of this camera; (N,) of N with a neutral each."""
        return _camera_gains(camera).amax(-1) if self.white is None else self.white

    def forward(self, frame: Frame) -> Frame:
        """Replaces ``rgb``."""
        rgb = frame.require("rgb", by="HighlightCompression")
        white = self.white_for(frame.camera)
        white = white.view(*rgb.shape[:-3], 1, 1, 1) if white.dim() else white
        return frame.replace(rgb=compress_highlights(rgb, self.start, white))

    def bind(self, camera: Camera) -> HighlightCompression:
        """A copy that holds the white for this camera."""
        bound = copy.deepcopy(self)
        if self.white is None:
            bound.hold("white", self.white_for(camera))
        return bound

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        white = "camera" if self.white is None else f"{float(self.white):g}"
        return f"start={float(self.start):g}, white={white}"
