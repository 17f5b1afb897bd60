"""The steps that stored values come in: fine where a sensor is quiet, coarser where light is noisy.

    value = t (k + (1 − k) t),  t = code / levels,  k = slope / 64

k = 1 is linear; k = 0 is a square-root scale, on which photon noise is the same everywhere; between
them lies a sensor that also has noise in the dark. Black and white are codes of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..lazily import torch

if TYPE_CHECKING:
    from torch import Tensor

Numbers = TypeVar("Numbers", "Tensor", NDArray[np.float64])


__all__ = ["Steps", "quantize"]

_LINEAR = 64


@dataclass(frozen=True)
class Steps:
    """How finely values are stored.

    Attributes:
        levels: steps from black to white, 1 to 65535. The default loses at most 0.05 dB of what
            recovery gives (docs/benchmarks.md has the measurements); twice as many cost about 3
            bits a sample more.
        slope: of the scale at black, in 1/64 of its mean slope, 0 (square root) to 64 (linear).

    Raises:
        ValueError: a field out of range.

    Source: F. J. Anscombe, "The transformation of Poisson, binomial and negative-binomial data",
    Biometrika 35, 1948, for the square root of a count and its offset.
    """

    levels: int = 256
    slope: int = 8

    def __post_init__(self) -> None:
        if not 1 <= self.levels <= 65535:
            raise ValueError(f"levels must be 1 to 65535, not {self.levels}")
        if not 0 <= self.slope <= _LINEAR:
            raise ValueError(f"slope must be 0 to {_LINEAR}, not {self.slope}")

    @classmethod
    def linear(cls, bits: int) -> Steps:
        """Even steps of 1 / (2^bits − 1).

        Raises:
            ValueError: bits not 8 to 16.
        """
        if not 8 <= bits <= 16:
            raise ValueError(f"bits must be 8 to 16, not {bits}")
        return cls(2**bits - 1, _LINEAR)

    @property
    def bits(self) -> int:
        """Of a code, 1 to 16."""
        return self.levels.bit_length()

    def encode(self, value: Tensor) -> Tensor:
        """The nearest codes on the scale of t, halves to even.

        Args:
            value: (...) float, in [0, 1].

        Returns:
            (...) int32, 0 to ``levels``.

        Raises:
            ValueError: a value outside [0, 1] or not a number.
        """
        if not bool(((value >= 0) & (value <= 1)).all()):
            raise ValueError("sample values must lie in [0, 1]")
        # Each operation in float64 is correctly rounded, so codes are the same on every machine.
        v = value.double()
        root = (self.slope**2 + v * (4 * _LINEAR * (_LINEAR - self.slope))).sqrt()
        t = v * (2 * _LINEAR) / (root + self.slope).clamp(min=1e-300)
        codes: Tensor = torch.round(t * self.levels)
        return codes.to(torch.int32)

    def decode(self, codes: Tensor) -> Tensor:
        """Values of codes, (...) float32: the formula, exact and then rounded to binary32."""
        return self._decoded(codes.double()).float()

    def decode_array(self, codes: NDArray[np.integer]) -> NDArray[np.float32]:
        """The same of an array."""
        return self._decoded(codes.astype(np.float64)).astype(np.float32)

    def _decoded(self, codes: Numbers) -> Numbers:
        # Both sides of the quotient are whole numbers below 2^53.
        value = codes * (self.slope * self.levels + (_LINEAR - self.slope) * codes)
        return value / (_LINEAR * self.levels**2)


def quantize(value: Tensor, steps: Steps) -> Tensor:
    """What a decoder will see of these values.

    Args:
        value: (...) float, in [0, 1].
        steps: that they are stored in.

    Returns:
        (...) float32 on the same device; quantizing it again changes nothing.

    Raises:
        ValueError: a value outside [0, 1] or not a number.
    """
    return steps.decode(steps.encode(value))
