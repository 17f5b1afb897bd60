"""Parts of a picture worth looking at pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Window", "burnt", "busy", "dark", "reduced_size"]

# Display-linear light of the JPEG codes 254, 38 and 5; below that is nothing to look at.
_WHITE, _SHADOW, _BLACK = 0.991, 0.02, 0.0015
# Longest side of what is looked at for the best place.
_SIDE = 96
# The smallest share of the best window that must be burnt or dark for its inside to count.
_LEAST = 0.02


def reduced_size(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """(h, w) of a picture of (H, W) pixels whose longest side is at most so long."""
    scale = min(1.0, longest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def rows(self) -> slice:
        """From the first to beyond the last."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """From the first to beyond the last."""
        return slice(self.left, self.left + self.width)

    def of(self, picture: Tensor) -> Tensor:
        """That part of a picture (..., H, W)."""
        return picture[..., self.rows, self.columns]

    @classmethod
    def best(cls, score: Tensor, size: tuple[int, int], full: tuple[int, int]) -> Window:
        """The window of a size around the best place.

        Args:
            score: (h, w) of the reduced picture's pixels, summed over a window. size: of the
                window, full: of the picture, (H, W) pixels.
        """
        height, width = (min(n, most) for n, most in zip(size, full, strict=True))
        box = [
            min(max(1, round(n * small / most)), small)
            for n, small, most in zip((height, width), score.shape, full, strict=True)
        ]
        stride = [max(1, side // 8) for side in box]
        sums = functional.avg_pool2d(score[None, None].double(), box, stride)[0, 0]
        place = divmod(int(sums.argmax()), sums.shape[1])
        corner = [
            min(round(at * step * most / small), most - n)
            for at, step, small, most, n in zip(
                place, stride, score.shape, full, (height, width), strict=True
            )
        ]
        return cls(corner[0], corner[1], height, width)


def _coarse(picture: Tensor) -> Tensor:
    """(C, h, w) of at most so many pixels that every place can be tried."""
    height, width = picture.shape[1:]
    return functional.adaptive_avg_pool2d(picture, reduced_size((height, width), _SIDE))


def _spread(light: Tensor, where: Tensor, size: tuple[int, int], full: tuple[int, int]) -> Tensor:
    """(h, w) squared distance of light from its mean around, where that is asked for."""
    box = [
        max(1, 2 * (n * small // most // 2) + 1)
        for n, small, most in zip(size, light.shape, full, strict=True)
    ]
    pad = (box[1] // 2, box[1] // 2, box[0] // 2, box[0] // 2)

    def around(values: Tensor) -> Tensor:
        return functional.avg_pool2d(functional.pad(values[None, None], pad), box, 1)[0, 0]

    weight = where.to(light)
    mean = around(light * weight) / around(weight).clamp(min=1e-6)
    return (light - mean).square() * weight


def burnt(shown: Tensor, light: Tensor, size: tuple[int, int], full: tuple[int, int]) -> Window:
    """Where the picture is white and raw is not; where it is brightest, if it is white nowhere.

    Args:
        shown: (3, h, w) the picture, display-linear, reduced. light: (3, h, w) the raw likewise.
        size: of the window, full: of the whole picture, (H, W) pixels.
    """
    shown, light = _coarse(shown), _coarse(light)
    white = shown.amax(0) > _WHITE
    if float(white.float().mean()) * full[0] * full[1] < _LEAST * size[0] * size[1]:
        return Window.best(shown.mean(0), size, full)
    return Window.best(_spread(light.mean(0), white, size, full), size, full)


def dark(shown: Tensor, light: Tensor, size: tuple[int, int], full: tuple[int, int]) -> Window:
    """Where shadows hold most; where it is darkest, if it is dark nowhere.

    Args:
        shown, light, size, full: as for :func:`burnt`.
    """
    shown, light = _coarse(shown), _coarse(light)
    shadow = (shown.mean(0) < _SHADOW) & (light.mean(0) > _BLACK)
    if float(shadow.float().mean()) * full[0] * full[1] < _LEAST * size[0] * size[1]:
        return Window.best(-shown.mean(0), size, full)
    stops = light.mean(0).clamp(min=_BLACK).log2()
    return Window.best(_spread(stops, shadow, size, full), size, full)


def busy(shown: Tensor, size: tuple[int, int], full: tuple[int, int]) -> Window:
    """Where edges are.

    Args:
        shown: (3, h, w) the picture, reduced. size, full: as for :func:`burnt`.
    """
    gray = _coarse(shown).clamp(0, 1).sqrt().mean(0)
    edges = torch.zeros_like(gray)
    edges[1:] += gray.diff(dim=0).abs()
    edges[:, 1:] += gray.diff(dim=1).abs()
    return Window.best(edges, size, full)
