"""The levels of a file: what 8 bits leave of a picture."""

from __future__ import annotations

from torch import Tensor

from ..frame import Frame
from ..stage import Stage

__all__ = ["Quantize", "quantize"]


def quantize(srgb: Tensor, bits: int = 8) -> Tensor:
    """Rounds to the nearest of 2^bits levels over [0, 1].

    The gradient goes straight through, as if nothing had been rounded: the true one is 0 wherever
    it exists.

    Args:
        srgb: any shape, float32 or float64, in [0, 1].
        bits: 1 to 16.

    Returns:
        Same shape: multiples of 1 / (2^bits - 1).

    Raises:
        ValueError: bits out of range.

    Source: the straight-through estimator of Bengio et al., arXiv:1308.3432.
    """
    if not 1 <= bits <= 16:
        raise ValueError(f"bits must be 1 to 16, not {bits}")
    top = 2**bits - 1
    levels: Tensor = (srgb.detach() * top).round_().div_(top)
    return (srgb - srgb.detach()).add_(levels) if srgb.requires_grad else levels


class Quantize(Stage):
    """Rounds srgb to the levels of a file; see :func:`quantize`."""

    needs = frozenset({"srgb"})
    gives = frozenset({"srgb"})
    pointwise = True

    def __init__(self, bits: int = 8) -> None:
        super().__init__()
        if not 1 <= bits <= 16:
            raise ValueError(f"bits must be 1 to 16, not {bits}")
        self.bits = bits

    def forward(self, frame: Frame) -> Frame:
        """Replaces ``srgb``."""
        return frame.replace(srgb=quantize(frame.require("srgb", by="Quantize"), self.bits))

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        return f"bits={self.bits}"
