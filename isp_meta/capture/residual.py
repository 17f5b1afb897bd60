"""What recovery from a payload's samples misses, stored as finely as is asked for.

payload ─▶ as a reader has it ─▶ decoded ─▶ raw less that ─▶ Enhancement
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..codec import Enhancement, Payload
from ..decoder import Decoder, Guide
from ..errors import RateNotReached
from ..networks.shipped import shipped_features
from .rate import Rate

__all__ = ["DEFAULT_STEP", "enhance"]

DEFAULT_STEP = 1 / 32
"""Of an enhancement's coefficients, in parts of full scale."""

_EXPONENTS = range(Enhancement.MOST_EXPONENT + 1)


@torch.no_grad()
def enhance(
    payload: Payload,
    used: int,
    raw: Tensor,
    guide: Guide,
    goal: float | Rate,
    shown: Tensor | None = None,
) -> Enhancement | None:
    """The enhancement of what recovery makes of a payload's samples.

    Args:
        payload: as a reader has it, see :meth:`isp_meta.codec.Payload.rounded`, without one.
        used: bytes that it takes.
        raw: (3, H, W), the truth. guide: the picture, as recovery will see it.
        goal: the coefficients' step in parts of full scale, 2^-11 to 1, or what the whole payload
            may take or must reach.
        shown: (H, W) bool, where the picture shows what the raw holds: nothing is missed elsewhere.
            None: everywhere.

    Returns:
        The enhancement; None where a budget leaves no room, the samples reach the goal, or there
        are none.

    Raises:
        RateNotReached: no step reaches the goal. ValueError: a step out of range.
    """
    if not len(payload.samples):
        return None
    residual = Decoder.of(guide, payload.samples, features=shipped_features()).raw().neg_()
    residual += raw
    if shown is not None:
        residual *= shown
    if not isinstance(goal, Rate):
        return Enhancement.of(residual, Enhancement.exponent_of(goal))
    # A rate is of the samples and what serves them; a mosaic takes what it takes.
    whole = 0 if payload.mosaic is None else len(payload.mosaic.pack())
    return _for_rate(residual, goal, used - whole)


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
