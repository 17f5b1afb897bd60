"""How a picture and its raw spread over the stops of light."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Histogram"]

_DARKEST, _BRIGHTEST, _A_STOP = -10, 3, 8
_WIDTH, _HEIGHT, _FOOT = 1040, 260, 28


def _counts(light: Tensor) -> Tensor:
    """(bins,) share of pixels whose brightest channel lies there; the first holds all darker."""
    stops = light.amax(0).clamp(min=2.0 ** (_DARKEST - 1)).log2()
    bins = (_BRIGHTEST - _DARKEST) * _A_STOP
    place = ((stops - _DARKEST) * _A_STOP).floor().long().clamp(0, bins - 1)
    return torch.bincount(place.flatten(), minlength=bins).double() / place.numel()


@dataclass(frozen=True)
class Histogram:
    """Of the brightest channel, by stops from the picture's white; in 1/8 stops.

    Attributes:
        picture, raw: (bins,) shares of the pixels.
    """

    picture: Tensor
    raw: Tensor

    @classmethod
    def of(cls, shown: Tensor, light: Tensor) -> Histogram:
        """Of (3, h, w) display-linear light each."""
        return cls(_counts(shown), _counts(light))

    def svg(self) -> str:
        """A drawing of both, for the page; its colors are the page's."""
        most = float(torch.stack([self.picture, self.raw]).sqrt().amax())
        shapes = [
            f'<path class="{name}" d="{_outline(counts.sqrt() / most)}"/>'
            for name, counts in (("of-raw", self.raw), ("of-picture", self.picture))
        ]
        marks = [_mark(stop) for stop in range(_DARKEST, _BRIGHTEST + 1)]
        height = _HEIGHT + _FOOT
        return (
            f'<svg class="histogram" viewBox="0 0 {_WIDTH} {height}" role="img" '
            f'aria-labelledby="histogram-text">{"".join(marks)}{"".join(shapes)}</svg>'
        )


def _x(stop: float) -> float:
    return (stop - _DARKEST) / (_BRIGHTEST - _DARKEST) * _WIDTH


def _mark(stop: int) -> str:
    place = f"{_x(stop):.1f}"
    kind = "white" if stop == 0 else "stop"
    line = f'<line class="{kind}" x1="{place}" x2="{place}" y1="0" y2="{_HEIGHT}"/>'
    if stop in (_DARKEST, _BRIGHTEST) or stop % 2:
        return line
    label = "white" if stop == 0 else f"{stop:+d}".replace("-", "\N{MINUS SIGN}")
    return f'{line}<text x="{place}" y="{_HEIGHT + 22}">{label}</text>'


def _outline(heights: Tensor) -> str:
    step = _WIDTH / len(heights)
    points = [f"M0 {_HEIGHT}"]
    for place, height in enumerate(heights.tolist()):
        y = f"{_HEIGHT * (1 - 0.96 * height):.1f}"
        points.append(f"L{place * step:.1f} {y}L{(place + 1) * step:.1f} {y}")
    return "".join([*points, f"L{_WIDTH} {_HEIGHT}Z"])
