"""What recovery from a payload's samples misses, added to the payload as finely as is asked for.

payload ─▶ as a reader decodes it ─▶ recovered ─▶ raw less that ─▶ Enhancement ─▶ payload
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor

from .. import codec
from ..codec import Enhancement
from ..errors import RateNotReached
from ..frame import Frame
from ..reconstruct import LocalRBFReconstructor
from .rate import Rate

__all__ = ["enhance"]

_EXPONENTS = range(Enhancement.MOST_EXPONENT + 1)


@torch.no_grad()
def enhance(
    packed: bytes,
    frame: Frame,
    pixels: Tensor,
    goal: float | Rate,
    *,
    coding: codec.Coding = "range",
    shown: Tensor | None = None,
) -> bytes:
    """A payload's bytes with an enhancement of what recovery makes of its samples.

    Args:
        packed: the payload without.
        frame: with ``raw``, and ``srgb`` as recovery will see it.
        pixels: (3, H, W) uint8, the finished picture.
        goal: the coefficients' step in parts of full scale, 2^-11 to 1, or what the whole payload
            may take or must reach.
        coding: of the payload's values.
        shown: (H, W) bool, where the picture shows what the raw holds: nothing is missed elsewhere.
            None: everywhere.

    Returns:
        The payload; as it was where its budget leaves no room, the samples reach the goal, or there
        are none.

    Raises:
        RateNotReached: no step reaches the goal. ValueError: a step out of range.
    """
    payload = codec.decode(packed, lambda: pixels)
    if not len(payload.samples):
        return packed
    residual = _missed(payload, frame, shown)
    if isinstance(goal, Rate):
        # A rate is of the samples and what serves them; a mosaic takes what it takes.
        whole = 0 if payload.mosaic is None else len(payload.mosaic.pack())
        found = _for_rate(residual, goal, len(packed) - whole)
    else:
        found = Enhancement.of(residual, Enhancement.exponent_of(goal))
    if found is None:
        return packed
    better = dataclasses.replace(payload, enhancement=found)
    return codec.encode(better, coding=coding, pixels=pixels)


def _missed(payload: codec.Payload, frame: Frame, shown: Tensor | None) -> Tensor:
    """Raw less what recovery makes of a payload's samples, (3, H, W)."""
    known = Frame(camera=frame.camera, srgb=frame.srgb, samples=payload.samples, space=frame.space)
    residual: Tensor = LocalRBFReconstructor.shipped()(known).neg_()
    residual += frame.require("raw", "enhance")
    return residual if shown is None else residual.mul_(shown)


def _for_rate(residual: Tensor, rate: Rate, used: int) -> Enhancement | None:
    """The finest that the rest of a budget pays for, or the coarsest that reaches a PSNR."""
    budget = rate.budget(residual[0].numel())
    if budget is not None:
        return _search(residual, lambda made: made.size <= budget - used, finest=True)
    assert rate.psnr is not None
    goal = 10 ** (-rate.psnr / 10)
    if float(residual.square().mean(dtype=torch.float64)) <= goal:
        return None
    found = _search(residual, lambda made: made.remaining <= goal, finest=False)
    if found is None:
        best = -10 * math.log10(Enhancement.of(residual, _EXPONENTS[-1]).remaining)
        raise RateNotReached(
            f"{rate.psnr:g} dB cannot be reached: the finest enhancement gives {best:.2f}"
        )
    return found


def _search(
    residual: Tensor, good: Callable[[Enhancement], bool], *, finest: bool
) -> Enhancement | None:
    """The finest enhancement that is good, where coarser ones are too; or the other way round."""
    low, high, best = 0, len(_EXPONENTS), None
    while low < high:
        # Searched from the coarse end, where trials are quick.
        middle = (2 * low + high) // 3
        made = Enhancement.of(residual, _EXPONENTS[middle])
        suits = good(made)
        best = made if suits else best
        low, high = (middle + 1, high) if suits == finest else (low, middle)
    return best
