"""Noise reduction by shrinking the details that noise alone explains.

mosaic ──variance stabilized──▶ four planes ──rotated──▶ wavelet shrinkage ──and back──▶ mosaic
rgb ──rotated to luma and two chromas──▶ wavelet shrinkage ──and back──▶ rgb
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..camera import BAYER_PATTERNS, LINEAR, MONOCHROME
from ..frame import Frame
from ..processors.workers import workers
from ..stage import Range, Stage
from .borders import cropped, extended
from .noise import NoiseAware
from .periodic import least_cfa
from .rows import is_recorded, mixed

__all__ = [
    "MosaicNoiseReduction",
    "NoiseReduction",
    "destabilize",
    "mosaic_noise_reduction",
    "noise_reduction",
    "stabilize",
    "wavelet_shrinkage",
]

# Thresholds in standard deviations of the noise, finest level first, chosen for PSNR on photographs
# with noise of ISO 100 to 6400. What demosaicing leaves of it is coarser, in chroma above all.
_OF_MOSAIC = (2.0, 1.5, 1.5, 1.5)
_OF_LUMA = (2.0, 2.0, 2.0, 1.5)
_OF_CHROMA = (2.0, 3.0, 3.0, 3.0)
_REACH = 2 ** len(_OF_MOSAIC) - 1
_HALF_BOX = 4

# Rows and columns that a worker cleans at a time, even: it takes twenty times their memory.
_TILE = (256, 512)
_LEAST_VARIANCE = 1e-12  # The square root's gradient is infinite at 0.
_LEAST_SQUARE = 1e-30

# Orthonormal, so that white noise stays white: mean, red against blue, green against both.
_OPPONENTS = (
    (3**-0.5, 3**-0.5, 3**-0.5),
    (2**-0.5, 0.0, -(2**-0.5)),
    (6**-0.5, -2 * 6**-0.5, 6**-0.5),
)
# Likewise for the four places of the 2x2 pattern: Hadamard's.
_FOUR = (
    (0.5, 0.5, 0.5, 0.5),
    (0.5, 0.5, -0.5, -0.5),
    (0.5, -0.5, 0.5, -0.5),
    (0.5, -0.5, -0.5, 0.5),
)


def wavelet_shrinkage(planes: Tensor, thresholds: Sequence[Tensor | float]) -> Tensor:
    """Translation-invariant Haar shrinkage: sums and differences of pixels 1, 2, 4 ... apart.

        d' = d max(1 - (t / d)^2, 0)  for every detail d; coarse means stay as they are

    Args:
        planes: (..., h + 2 r, w + 2 r), r = 2^levels - 1, with what lies beyond the borders.
        thresholds: t for each level, finest first, in the units of ``planes``: a multiple of the
            standard deviation that white noise has there; broadcast against the planes.

    Returns:
        (..., h, w).

    Source: Coifman and Donoho, "Translation-invariant de-noising", 1995; nonnegative garrote: Gao,
    "Wavelet shrinkage denoising using the non-negative garrote", 1998.
    """
    details = []
    for level in range(len(thresholds)):
        step = 2**level
        above, below = planes[..., :-step, :], planes[..., step:, :]
        low, high = above + below, above - below
        details.append(
            (
                low[..., :-step] - low[..., step:],
                high[..., :-step] + high[..., step:],
                high[..., :-step] - high[..., step:],
            )
        )
        planes = low[..., :-step] + low[..., step:]
    rim = 0
    for level in reversed(range(len(thresholds))):
        step = 2**level
        # Sums are not normalized: white noise grows twofold a level.
        limit = (thresholds[level] * 2.0 ** (level + 1)) ** 2
        across, down, diagonal = (_garrote(_trimmed(d, rim), limit) for d in details.pop())
        low, high = _joined(planes, across, step, -1), _joined(down, diagonal, step, -1)
        planes = _joined(low, high, step, -2) / 16
        rim += step
    return planes


def _garrote(detail: Tensor, limit: Tensor | float) -> Tensor:
    return detail * (1 - limit / (detail * detail).clamp(min=_LEAST_SQUARE)).clamp(min=0)


def _trimmed(plane: Tensor, rim: int) -> Tensor:
    height, width = plane.shape[-2:]
    return plane[..., rim : height - rim, rim : width - rim]


def _joined(low: Tensor, high: Tensor, step: int, dim: int) -> Tensor:
    """Four times the pixels, each from the two sums and two differences that it is part of."""
    size = low.shape[dim] - step
    first, second = low + high, low - high
    return first.narrow(dim, step, size) + second.narrow(dim, 0, size)


def stabilize(linear: Tensor, shot: Tensor, read: Tensor) -> Tensor:
    """Gives shot and read noise the variance 1 (generalized Anscombe transform).

        f(z) = 2 z / (sqrt(shot z + c) + sqrt(c)),  c = 3/8 shot^2 + read

    That is (2 / shot) (sqrt(shot z + c) - sqrt(c)), in a form that holds without shot noise too.
    Below zero light it goes on straight.

    Args:
        linear: any shape, linear light.
        shot, read: () tensors, variance = shot * signal + read.

    Returns:
        Same shape: 0 at 0.

    Source: Foi and Makitalo, "Optimal inversion of the generalized Anscombe transformation for
    Poisson-Gaussian noise", IEEE TIP 2013, Eq. 5.
    """
    dark = (0.375 * shot**2 + read).clamp(min=_LEAST_VARIANCE)
    return 2 * linear / ((shot * linear.clamp(min=0) + dark).sqrt() + dark.sqrt())


def destabilize(stable: Tensor, shot: Tensor, read: Tensor) -> Tensor:
    """The inverse of :func:`stabilize`: shot f^2 / 4 + sqrt(c) f, below zero sqrt(c) f."""
    dark = (0.375 * shot**2 + read).clamp(min=_LEAST_VARIANCE)
    return shot / 4 * stable.clamp(min=0).square() + dark.sqrt() * stable


def mosaic_noise_reduction(
    mosaic: Tensor,
    shot: Tensor | float,
    read: Tensor | float,
    strength: Tensor | float = 1.0,
    cfa: str = "RGGB",
) -> Tensor:
    """Reduces shot and read noise of a Bayer mosaic, or of a picture without a mosaic.

    The four planes of the pattern, their noise brought to variance 1 (:func:`stabilize`), are
    rotated into what they share and how they differ, shrunk (:func:`wavelet_shrinkage`, 4 levels)
    and brought back. So is the one plane of a monochrome picture, and the three of a linear one.
    The mean light of a neighborhood is kept.

    Args:
        mosaic: (..., 1, H, W) linear in [0, 1], float32 or float64, any size; (..., 3, H, W) under
            "RGB".
        shot, read: variance = shot * signal + read, see :func:`isp_meta.stages.add_noise`.
        strength: multiplies the thresholds; 0 leaves the mosaic as it is.
        cfa: as :attr:`isp_meta.Camera.cfa`: any Bayer order, "W" or "RGB".

    Returns:
        Same shape, not confined to [0, 1].

    Raises:
        ValueError: mosaic of another shape, or another pattern.
    """
    channels = 3 if cfa == LINEAR else 1
    if mosaic.dim() < 3 or mosaic.shape[-3] != channels:
        raise ValueError(f"mosaic must be (..., {channels}, H, W), not {tuple(mosaic.shape)}")
    if mosaic.dtype == torch.float16:
        # It has no number as small as a variance of noise.
        return mosaic_noise_reduction(mosaic.float(), shot, read, strength, cfa).half()
    shot, read = (torch.as_tensor(value).to(mosaic) for value in (shot, read))
    rotation = mosaic.new_tensor(_rotation_of(cfa))
    period = 2 if len(rotation) == len(_FOUR) else 1
    limits = [torch.as_tensor(strength * threshold).to(mosaic) for threshold in _OF_MOSAIC]

    def clean(band: Tensor) -> Tensor:
        noisy = mixed(stabilize(_places(band, period), shot, read), rotation)
        kept = wavelet_shrinkage(noisy, limits)
        removed = mixed(_trimmed(noisy, _REACH) - kept, rotation.T)
        light = destabilize(mixed(_trimmed(kept, _HALF_BOX), rotation.T), shot, read)
        # The inverse is quadratic: at the mean of some values it falls short of its own mean.
        light = light + shot / 4 * _box(removed.square())
        return functional.pixel_shuffle(light, period)

    return _in_tiles(clean, mosaic, period * (_REACH + _HALF_BOX), (shot, read, *limits))


def _rotation_of(cfa: str) -> tuple[tuple[float, ...], ...]:
    if least_cfa(cfa) in BAYER_PATTERNS:
        return _FOUR
    if cfa not in (MONOCHROME, LINEAR):
        raise ValueError(
            f"MosaicNoiseReduction takes Bayer mosaics and pictures without one, not {cfa}; "
            "reduce the noise of rgb, by NoiseReduction"
        )
    return ((1.0,),) if cfa == MONOCHROME else _OPPONENTS


def noise_reduction(rgb: Tensor, luma: Tensor | float, chroma: Tensor | float) -> Tensor:
    """Reduces noise of brightness and noise of color, each as strongly as one wants.

    Three orthogonal axes, (R + G + B), (R - B) and (R - 2 G + B), are shrunk
    (:func:`wavelet_shrinkage`, 4 levels) and brought back.

    Args:
        rgb: (..., 3, H, W), linear or toned, float32 or float64, any size.
        luma, chroma: standard deviation of the noise along the first axis and along the others,
            >= 0, in the units of ``rgb``; 0 leaves brightness, or color, as it is.

    Returns:
        Same shape, not confined to any range.

    Raises:
        ValueError: rgb of another shape.
    """
    if rgb.dim() < 3 or rgb.shape[-3] != 3:
        raise ValueError(f"rgb must be (..., 3, H, W), not {tuple(rgb.shape)}")
    rotation = rgb.new_tensor(_OPPONENTS)
    sigma = torch.stack([torch.as_tensor(s).to(rgb) for s in (luma, chroma, chroma)])
    relative = rgb.new_tensor([_OF_LUMA, _OF_CHROMA, _OF_CHROMA])
    limits = (sigma[:, None] * relative).unsqueeze(-1).unsqueeze(-1).unbind(1)

    def clean(band: Tensor) -> Tensor:
        return mixed(wavelet_shrinkage(mixed(band, rotation), limits), rotation.T)

    return _in_tiles(clean, rgb, _REACH, (sigma,))


def _places(mosaic: Tensor, period: int) -> Tensor:
    """(..., C period^2, h, w): the pixels of each place of a pattern, but for an odd last line."""
    if period == 1:
        return mosaic
    lines = (slice(0, -1, 2), slice(1, None, 2))
    return torch.cat([mosaic[..., rows, columns] for rows in lines for columns in lines], -3)


def _box(planes: Tensor) -> Tensor:
    """Means over 8x8 pixels; four lines fewer at every border."""
    for step in (1, 2, 4):
        planes = planes[..., :-step, :] + planes[..., step:, :]
        planes = planes[..., :-step] + planes[..., step:]
    return planes[..., :-1, :-1] / 64


def _in_tiles(
    clean: Callable[[Tensor], Tensor], picture: Tensor, reach: int, parameters: Sequence[Tensor]
) -> Tensor:
    """Applies what sees ``reach`` pixels beyond its result, an even number of rows and columns."""
    height, width = picture.shape[-2:]

    def result(top: int, bottom: int, left: int, right: int) -> Tensor:
        rows = extended(picture, -2, top - reach, bottom + bottom % 2 + reach)
        tile = clean(extended(rows, -1, left - reach, right + right % 2 + reach))
        return tile[..., : bottom - top, : right - left]

    if torch.compiler.is_compiling():
        # Two lines more, whatever the parity, on which a graph cannot depend.
        rows = extended(picture, -2, -reach, height + 2 + reach)
        return cropped(clean(extended(rows, -1, -reach, width + 2 + reach)), (height, width))
    if picture.device.type != "cpu" or any(is_recorded(t) for t in (picture, *parameters)):
        return result(0, height, 0, width)
    cleaned = torch.empty_like(picture)
    # The state of autograd is each thread's own.
    silent = torch.inference_mode if torch.is_inference_mode_enabled() else torch.no_grad

    def fill(corner: tuple[int, int]) -> None:
        top, left = corner
        bottom, right = min(top + _TILE[0], height), min(left + _TILE[1], width)
        with silent():
            cleaned[..., top:bottom, left:right] = result(top, bottom, left, right)

    with workers() as pool:
        corners = product(range(0, height, _TILE[0]), range(0, width, _TILE[1]))
        for _ in pool.map(fill, corners):
            pass
    return cleaned


class MosaicNoiseReduction(NoiseAware):
    """Reduces the noise of the mosaic; see :func:`mosaic_noise_reduction`.

    Args:
        strength: multiplies the thresholds, 0 to 4.
        shot, read: see :class:`isp_meta.stages.noise.NoiseAware`.

    Raises:
        ValueError: out of range; when called, neither argument nor camera states the noise, or the
            pattern is another one.
    """

    needs = frozenset({"mosaic"})
    gives = frozenset({"mosaic"})
    ranges: ClassVar[Mapping[str, Range]] = {**NoiseAware.ranges, "strength": Range(0, 4)}
    strength: Tensor

    def __init__(
        self,
        strength: float | nn.Parameter = 1.0,
        shot: float | nn.Parameter | None = None,
        read: float | nn.Parameter | None = None,
    ) -> None:
        super().__init__(shot, read)
        self.hold("strength", strength)

    def forward(self, frame: Frame) -> Frame:
        """Replaces ``mosaic``."""
        mosaic = frame.require("mosaic", by="MosaicNoiseReduction")
        noise = self.noise(frame.camera)
        cleaned = mosaic_noise_reduction(mosaic, *noise, self.strength, frame.camera.cfa)
        return frame.replace(mosaic=cleaned)


class NoiseReduction(Stage):
    """Reduces the noise of rgb; see :func:`noise_reduction`.

    Args:
        luma, chroma: standard deviation of the noise of brightness and of color, 0 to 1; each may
            be an ``nn.Parameter``. With ``luma=0`` it reduces color noise alone.

    Raises:
        ValueError: out of range.
    """

    needs = frozenset({"rgb"})
    gives = frozenset({"rgb"})
    ranges: ClassVar[Mapping[str, Range]] = {"luma": Range(0, 1), "chroma": Range(0, 1)}
    luma: Tensor
    chroma: Tensor

    def __init__(
        self, luma: float | nn.Parameter = 0.005, chroma: float | nn.Parameter = 0.01
    ) -> None:
        super().__init__()
        self.hold("luma", luma)
        self.hold("chroma", chroma)

    def forward(self, frame: Frame) -> Frame:
        """Replaces ``rgb``."""
        rgb = frame.require("rgb", by="NoiseReduction")
        return frame.replace(rgb=noise_reduction(rgb, self.luma, self.chroma))

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        return f"luma={self.luma.item():g}, chroma={self.chroma.item():g}"
