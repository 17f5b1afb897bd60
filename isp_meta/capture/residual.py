"""What recovery from a payload's samples misses: what a filter mends, and the rest, stored as
finely as is asked for.

payload ─▶ as a reader has it ─▶ decoded ─▶ its mosaic ─▶ AdaptiveFilter ─▶ less that ─▶ Enhancement
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..codec import AdaptiveFilter, Enhancement, Payload
from ..decoder import Decoder, DemosaicedRaw, Guide
from ..errors import RateNotReached
from ..io import remosaic
from ..metrics import psnr
from ..networks.shipped import shipped_features
from .filtering import fit_filter
from .rate import Rate

__all__ = ["DEFAULT_STEP", "enhance"]

DEFAULT_STEP = 1 / 64
"""Of an enhancement's coefficients, in parts of full scale."""

_EXPONENTS = range(Enhancement.MOST_EXPONENT + 1)
# Square roots above an eighth of white: no decibels are lost to speak of, and edits gain.
_KNEE = 3


@torch.no_grad()
def enhance(
    payload: Payload,
    used: int,
    raw: Tensor,
    guide: Guide,
    goal: float | Rate,
    shown: Tensor | None = None,
) -> tuple[AdaptiveFilter | None, Enhancement | None]:
    """The filter of what recovery makes of a payload's samples, and the enhancement of that.

    Args:
        payload: as a reader has it, see :meth:`isp_meta.codec.Payload.rounded`, without both.
        used: bytes that it takes.
        raw: (3, H, W), the truth.
        guide: the picture, as recovery will see it; what it holds is let go of.
        goal: the coefficients' step in parts of full scale, 2^-11 to 1, or what the whole payload
            may take or must reach.
        shown: (H, W) bool, where the picture shows what the raw holds: nothing is missed elsewhere.
            None: everywhere.

    Returns:
        The filter, None where its bytes would not pay; the enhancement, None where a budget leaves
        no room or the goal is reached. Both None without samples.

    Raises:
        RateNotReached: no step reaches the goal. ValueError: a step out of range.
    """
    if not len(payload.samples):
        return None, None
    features, cfa = shipped_features(), payload.camera.cfa
    decoder = Decoder.of(guide, payload.told(), features=features, cfa=cfa)
    # A rate is of the samples and what serves them; a mosaic takes what it takes.
    used -= 0 if payload.mosaic is None else len(payload.mosaic.pack())
    budget = goal.budget(raw[0].numel()) if isinstance(goal, Rate) else None
    room = math.inf if budget is None else budget - used
    estimate, demosaiced = decoder.estimate(), decoder.demosaiced
    guide.let_go()
    mosaic = "" if demosaiced is None else demosaiced.cfa
    mended = fit_filter(
        estimate, guide.srgb, raw, budget or used, room=room, cfa=mosaic, shown=shown
    )
    if mended is not None:
        decoder = decoder.corrected(None, mended)
        used += mended.size
    missed = _Missed.of(estimate, decoder.base(estimate), demosaiced, raw, shown)
    if isinstance(goal, Rate):
        found = _for_rate(missed, goal, used)
    else:
        found = missed.coded(Enhancement.exponent_of(goal))
    return mended, None if found is None else missed.shared(found)


@dataclass(frozen=True, eq=False)
class _Missed:
    """What recovery makes of samples, and what that misses.

    Attributes:
        truth, estimate: (3, H, W) raw.
        demosaiced: how it was made of a mosaic, where that is known.
        base: the estimate, or the mosaic that is found in it.
        residual: of the base.
    """

    truth: Tensor
    estimate: Tensor
    demosaiced: DemosaicedRaw | None
    base: Tensor
    residual: Tensor

    @classmethod
    def of(
        cls,
        estimate: Tensor,
        base: Tensor,
        demosaiced: DemosaicedRaw | None,
        truth: Tensor,
        shown: Tensor | None,
    ) -> _Missed:
        """Of what recovery makes of samples; where nothing is shown nothing is missed."""
        true = truth if demosaiced is None else remosaic(truth, demosaiced.cfa)
        if shown is not None:
            true = torch.where(shown, true, base)
        residual = Enhancement.residual(true, base, _KNEE)
        return cls(truth, estimate, demosaiced, base, residual)

    def coded(self, exponent: int) -> Enhancement:
        return Enhancement.of(self.residual, exponent, _KNEE)

    def shared(self, found: Enhancement) -> Enhancement:
        """An enhancement with the share of demosaicing that suits it."""
        if self.demosaiced is None:
            return found
        mosaic = found.apply(self.base)
        return found.with_share(self.demosaiced.share_of(mosaic, self.estimate, self.truth))

    def psnr(self, found: Enhancement | None) -> float:
        """Of the raw that recovery makes with it, dB."""
        base, share = self.base, Decoder.SHARE
        if found is not None:
            found = self.shared(found)
            base, share = found.apply(base), found.share
        if self.demosaiced is None:
            return psnr(base, self.truth)
        made = self.estimate.clone()
        self.demosaiced.colors(base, made, share)
        return psnr(made, self.truth)


def _for_rate(missed: _Missed, rate: Rate, used: int) -> Enhancement | None:
    """The finest that the rest of a budget pays for, or the coarsest that reaches a PSNR."""
    budget = rate.budget(missed.truth[0].numel())
    if budget is not None:
        return _search(missed, lambda made: made.size <= budget - used, finest=True)
    goal = rate.psnr
    assert goal is not None
    if missed.psnr(None) >= goal:
        return None
    found = _search(missed, lambda made: missed.psnr(made) >= goal, finest=False)
    if found is None:
        best = missed.psnr(missed.coded(_EXPONENTS[-1]))
        raise RateNotReached(
            f"{goal:g} dB cannot be reached: the finest enhancement gives {best:.2f}"
        )
    return found


def _search(
    missed: _Missed, good: Callable[[Enhancement], bool], *, finest: bool
) -> Enhancement | None:
    """The finest enhancement that is good, where coarser ones are too; or the other way round."""
    low, high, best = 0, len(_EXPONENTS), None
    while low < high:
        # Searched from the coarse end, where trials are quick.
        middle = (2 * low + high) // 3
        made = missed.coded(_EXPONENTS[middle])
        suits = good(made)
        best = made if suits else best
        low, high = (middle + 1, high) if suits == finest else (low, middle)
    return best
