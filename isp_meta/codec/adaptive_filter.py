"""Section fILT: a filter that was fitted to this very picture, for what recovery makes of it.

    recovered, sRGB ─▶ differences around each pixel · weights ─▶ gain ─▶ recovered × (1 + gain)

See :func:`isp_meta.ops.adaptive_filter`. A Bayer mosaic has weights for each place of its pattern,
of that place's color alone; other raws have some for all three. Pictures that cannot pay for
weights of every kind of surroundings share them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import _payload
from ..camera import BAYER_PATTERNS
from ..errors import PayloadCorrupt
from ..lazily import torch
from .reader import Reader

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["AdaptiveFilter"]

_HEAD = "BBBHH"
# Name, length and checksum of a section.
_FRAME = 12
_MOST_LEVEL = 32767
_PHASES, _KINDS, _COLORS, _FEATURES = 4, 6, 3, 72


@dataclass(frozen=True, eq=False)
class AdaptiveFilter:
    """Weights in steps, and where kinds of surroundings part.

    Attributes:
        levels: (4, kinds, 1, 72) int16 of the own colors of a mosaic's places, or (1, kinds, 3, 72)
            of three colors; within ±32767; 1 or 6 kinds.
        exponents: steps of weights for raw and for sRGB are 2^-exponent, 0 to 15.
        bright, active: thresholds of :func:`isp_meta.ops.adaptive_filter`, 0 to 765: between so
            many 255ths and one more.
        cfa: of the Bayer mosaic; "": of three colors.

    Raises:
        ValueError: out of range, or of another shape.
    """

    levels: NDArray[np.int16]
    exponents: tuple[int, int]
    bright: int = 0
    active: int = 0
    cfa: str = ""

    MOST_EXPONENT: ClassVar[int] = 15
    MOST_THRESHOLD: ClassVar[int] = 765

    def __post_init__(self) -> None:
        if self.cfa not in ("", *BAYER_PATTERNS):
            raise ValueError(f"cfa must be a Bayer mosaic's, or empty, not {self.cfa!r}")
        if not any(self.levels.shape == _shape(self.cfa, kinds) for kinds in (1, _KINDS)):
            wanted = _shape(self.cfa, _KINDS)
            raise ValueError(f"levels must be {wanted}, or of one kind, not {self.levels.shape}")
        if self.levels.dtype != np.int16 or int(self.levels.min()) < -_MOST_LEVEL:
            raise ValueError("levels must be int16 within ±32767")
        if not all(0 <= exponent <= self.MOST_EXPONENT for exponent in self.exponents):
            raise ValueError(f"exponents must be 0 to {self.MOST_EXPONENT}, not {self.exponents}")
        if not all(0 <= each <= self.MOST_THRESHOLD for each in (self.bright, self.active)):
            raise ValueError(f"thresholds must be 0 to 765, not {self.bright}, {self.active}")

    @property
    def size(self) -> int:
        """Bytes of the whole section."""
        return _FRAME + len(self.pack())

    @property
    def sets(self) -> int:
        """Number of its sets of weights: phases times kinds."""
        phases, kinds = self.levels.shape[:2]
        return int(phases * kinds)

    @staticmethod
    def threshold(stored: int) -> float:
        """What sums of 8-bit colors never are, so that none is near it."""
        return (2 * stored + 1) / 510

    @staticmethod
    def steps(exponents: tuple[int, int]) -> NDArray[np.float64]:
        """(72,) steps of a color's weights."""
        return np.repeat([2.0**-exponent for exponent in exponents], _FEATURES // 2)

    @property
    def weights(self) -> NDArray[np.float64]:
        """(4, 6, 3, 72), as the operator takes them: 0 for colors that are not filtered."""
        stored = self.levels * self.steps(self.exponents)
        weights = np.zeros((_PHASES, _KINDS, _COLORS, _FEATURES))
        if not self.cfa:
            weights[:] = stored
        for phase, color in enumerate(self.cfa):
            weights[phase, :, "RGB".index(color)] = stored[phase, :, 0]
        return weights

    def apply(self, recovered: Tensor, srgb: Tensor, cfa: str = "") -> Tensor:
        """What recovery made, filtered; without gradient.

        Args:
            recovered: (3, H, W) raw. srgb: (3, H, W) the picture, both in [0, 1].
            cfa: of the Bayer mosaic that is wanted; "": three colors are.

        Returns:
            (3, H, W); with a ``cfa``, pixels' own colors alone are filtered.

        Raises:
            PayloadCorrupt: it is of another kind.
        """
        from ..ops import adaptive_filter

        if self.cfa != cfa:
            raise PayloadCorrupt("the raw metadata's filter is none of this camera's mosaic")
        with torch.no_grad():
            weights = torch.from_numpy(self.weights).to(recovered)
            thresholds = (self.threshold(stored) for stored in (self.bright, self.active))
            return adaptive_filter(recovered, srgb, weights, *thresholds)

    def pack(self) -> bytes:
        """The section's bytes."""
        kinds = self.levels.shape[1]
        head = (2 * bool(self.cfa) + (kinds > 1), *self.exponents, self.bright, self.active)
        levels = np.ascontiguousarray(self.levels.reshape(-1, _FEATURES))
        return struct.pack(">" + _HEAD, *head) + _payload.encode_filter(
            levels, **_rows(self.cfa, kinds)
        )

    @classmethod
    def unpack(cls, data: bytes, cfa: str) -> AdaptiveFilter:
        """The filter of a section's bytes.

        Args:
            cfa: of the camera, as :attr:`isp_meta.Camera.cfa`.

        Raises:
            PayloadCorrupt: damaged, or of a Bayer mosaic where the camera has none.
        """
        reader = Reader(data, "section fILT of the raw metadata")
        shape, raw, shown, bright, active = reader.unpack(_HEAD)
        if shape > 3 or (shape & 2 and cfa not in BAYER_PATTERNS):
            raise PayloadCorrupt(f"{reader.name} has a kind that no writer gives it")
        cfa, kinds = cfa if shape & 2 else "", _KINDS if shape & 1 else 1
        try:
            levels = _payload.decode_filter(data[reader.place :], **_rows(cfa, kinds))
        except _payload.CorruptStream as error:
            raise PayloadCorrupt(f"{reader.name} is damaged: {error}") from None
        weights = levels.reshape(_shape(cfa, kinds))
        try:
            return cls(weights, (raw, shown), bright, active, cfa)
        except ValueError as error:
            raise PayloadCorrupt(f"{reader.name} is wrong: {error}") from None


def _shape(cfa: str, kinds: int) -> tuple[int, int, int, int]:
    """Of levels."""
    return (_PHASES, kinds, 1, _FEATURES) if cfa else (1, kinds, _COLORS, _FEATURES)


def _rows(cfa: str, kinds: int) -> dict[str, Any]:
    """Color of each row of levels, and where the one stands that it is like."""
    filtered = [["RGB".index(color)] for color in cfa] if cfa else [[0, 1, 2]]
    colors = np.array([phase * kinds for phase in filtered], np.uint8).flatten()
    return {"colors": colors, "before": len(filtered[0])}
