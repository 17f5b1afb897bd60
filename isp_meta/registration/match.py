"""How far one picture is shifted against another of the same scene, whatever their tones.

    tone ─▶ direction of the gradient at each pixel ─▶ correlation at every shift ─▶ its peak

A tone curve, an exposure or a sharpening leaves the direction of a gradient as it is, and where a
picture is clipped it has none. Noise points anywhere, and so adds up to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Match", "directions", "match", "match_part", "peak"]

# A second peak nearer than this belongs to the first, samples.
_PEAK = 4


@dataclass(frozen=True)
class Match:
    """The best shift of a picture against a larger one.

    Attributes:
        top, left: of the first picture's first pixel in the second, fractions of a pixel included.
        likeness: correlation there, -1 to 1.
        rival: the largest correlation elsewhere.
    """

    top: float
    left: float
    likeness: float
    rival: float

    def distinct(self, least: float, margin: float) -> bool:
        """Whether the shift is told apart from all others."""
        return self.likeness >= least and self.likeness >= margin * self.rival


def directions(tone: Tensor) -> Tensor:
    """Gradients, long ones shortened to about 1 so that none outweighs all others.

        g / (|g| + the median of |g|), central differences, 0 along the border

    Args:
        tone: (..., H, W), rising with the light; about evenly spaced for the eye.

    Returns:
        (..., H, W) complex: across, down.

    Source: orientation correlation (Fitch, Kadyrov, Christmas, Kittler, BMVC 2002), with lengths
    kept where they are below what is usual.
    """
    down = functional.pad(tone[..., 2:, 1:-1] - tone[..., :-2, 1:-1], (1, 1, 1, 1))
    across = functional.pad(tone[..., 1:-1, 2:] - tone[..., 1:-1, :-2], (1, 1, 1, 1))
    gradient = torch.complex(across, down)
    length = gradient.abs()
    usual = length.flatten(-2).median(-1).values[..., None, None]
    return gradient / (length + usual).clamp(min=1e-4)


def match(part: Tensor, whole: Tensor, slack: int) -> Match:
    """Tries every shift at which a picture lies within another, or at most ``slack`` beyond.

    Args:
        part: (h, w) complex. whole: (H, W) complex; :func:`directions` of two pictures.
        slack: samples, >= 0. Where ``part`` is the larger one, ``whole`` may lie anywhere in it.

    Returns:
        The best shift, the correlation normalized by the energy of ``part`` and that of ``whole``
        where it lies.
    """
    sides = list(zip(part.shape, whole.shape, strict=True))
    size = [_fast(small + large + 1) for small, large in sides]
    energy = part.abs().square()
    there = _correlate(torch.ones_like(energy), whole.abs().square(), size).clamp(min=0)
    # All of the picture's energy counts, so that an overlap of a corner of it is not as good.
    scale = (energy.sum() * there).sqrt().clamp(min=1e-9)
    likeness = _correlate(part, whole, size) / scale
    allowed = []
    for (small, large), length in zip(sides, size, strict=True):
        shift = _shifts(length, large)
        low, high = min(0, large - small) - slack, max(0, large - small) + slack
        allowed.append((shift >= low) & (shift <= high))
    likeness = likeness.masked_fill(~(allowed[0][:, None] & allowed[1]), -1.0)
    return peak(likeness, whole.shape)


def match_part(part: Tensor, other: Tensor) -> tuple[Match, Tensor]:
    """The shift between two windows of one size, to a fraction of a pixel.

    Args:
        part, other: (h, w) complex; :func:`directions` of each.

    Returns:
        The best shift, at most half of a side; and the correlation at every one, (h, w), not
        normalized.
    """
    found = _correlate(part, other, part.shape)
    scale = (part.abs().square().sum() * other.abs().square().sum()).sqrt().clamp(min=1e-9)
    most = torch.Size(side // 2 for side in part.shape)
    return peak(found / scale, most), found


def _correlate(part: Tensor, whole: Tensor, size: list[int] | torch.Size) -> Tensor:
    """Real part of the sum of conj(part[p]) whole[p + d] at every shift d, circular."""
    if not part.is_complex():
        product = torch.fft.rfft2(part, s=size).conj() * torch.fft.rfft2(whole, s=size)
        real: Tensor = torch.fft.irfft2(product, s=size)
        return real
    product = torch.fft.fft2(part, s=size).conj() * torch.fft.fft2(whole, s=size)
    found: Tensor = torch.fft.ifft2(product).real
    return found


def _fast(length: int) -> int:
    """A length no smaller, of which a Fourier transform is quick."""
    return -(-length // 32) * 32 if length > 64 else length


def _shifts(length: int, most: int) -> Tensor:
    """Shift at each place of a circular correlation, those beyond ``most`` being negative ones."""
    shift = torch.arange(length)
    return torch.where(shift > most, shift - length, shift)


def peak(likeness: Tensor, most: torch.Size) -> Match:
    """The largest value of a circular correlation, its place to a fraction of a sample.

    Args:
        likeness: (h, w), at every shift.
        most: largest shift down and across; places beyond stand for negative ones.
    """
    height, width = likeness.shape
    y, x = divmod(int(likeness.argmax()), width)
    best = float(likeness[y, x])
    near = [
        torch.arange(place - _PEAK, place + _PEAK + 1) % side
        for place, side in ((y, height), (x, width))
    ]
    rest = likeness.clone()
    rest[near[0][:, None], near[1]] = -1.0
    down = _vertex(likeness[(y - 1) % height, x], likeness[y, x], likeness[(y + 1) % height, x])
    across = _vertex(likeness[y, (x - 1) % width], likeness[y, x], likeness[y, (x + 1) % width])
    top, left = (
        float(_shifts(length, furthest)[place])
        for length, furthest, place in ((height, most[0], y), (width, most[1], x))
    )
    return Match(top + down, left + across, best, float(rest.max()))


def _vertex(before: Tensor, at: Tensor, after: Tensor) -> float:
    """Where the parabola through three neighboring values has its top, -0.5 to 0.5."""
    bend = float(before - 2 * at + after)
    return 0.0 if bend >= 0 else max(-0.5, min(0.5, 0.5 * float(before - after) / bend))
