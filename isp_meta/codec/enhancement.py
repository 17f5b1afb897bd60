"""Section eNHA: what recovery from samples still misses, coarsely, where it misses most.

    raw - recovered ─▶ 3 channels of its own ─▶ 8×8 DCT ─▶ steps ─▶ range coder

One step for all coefficients is what the least squared error for the bits asks for: where recovery
is right nearly all of them round to 0, which costs next to nothing.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from .. import _payload
from ..errors import PayloadCorrupt
from ..lazily import functional, torch
from .reader import Reader, as_tensors, tensor_field

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Enhancement"]

_SIDE = 8
_BASIS_SCALE = 1 << 14
_OFFSET_SCALE = 256
# Name, length and checksum of a section.
_FRAME = 12
# Rows of blocks at a time: a few megabytes.
_ROWS = 8
# A coefficient becomes 1 at two thirds of a step: one that is nearly 0 costs more than it brings.
_ROUNDING = 1 / 3


def _dct() -> Tensor:
    """(64, 64) orthonormal: row-major pixels of a block to row-major coefficients."""
    place = torch.arange(_SIDE, dtype=torch.float64)
    wave = torch.cos(math.pi / _SIDE * place[:, None] * (place + 0.5)) * math.sqrt(2 / _SIDE)
    wave[0] *= math.sqrt(0.5)
    return torch.kron(wave, wave).float()


@dataclass(frozen=True, eq=False)
class Enhancement:
    """A correction to what recovery makes of the samples, in coded form.

    Attributes:
        exponent: the coefficients' step is 2^(-exponent / 16), in parts of full scale, 0 to 176.
        basis: (3, 3) float32, multiples of 2^-14 within ±1: a channel of its own in each column, in
            raw-RGB.
        offsets: what is added to a coefficient's size in steps, 256ths, -128 to 127: to one of 1,
            to greater ones.
        data: the coded coefficients.
        remaining: mean squared error that it leaves; nan to a reader, who cannot know.
    """

    exponent: int
    basis: Tensor
    offsets: tuple[int, int]
    data: bytes
    remaining: float = math.nan

    MOST_EXPONENT: ClassVar[int] = 176

    @property
    def size(self) -> int:
        """Bytes of the whole section."""
        return _FRAME + len(self.pack())

    @property
    def step(self) -> float:
        """Of a coefficient, in parts of full scale; the DCT is orthonormal."""
        return _step(self.exponent)

    @staticmethod
    def exponent_of(step: float) -> int:
        """The exponent of the nearest step.

        Raises:
            ValueError: a step out of range.
        """
        least = _step(Enhancement.MOST_EXPONENT)
        if not least <= step <= 1:
            raise ValueError(f"an enhancement's step must be {least:g} to 1, not {step:g}")
        return round(-16 * math.log2(step))

    @classmethod
    def of(cls, residual: Tensor, exponent: int) -> Enhancement:
        """Codes what recovery misses; the number of threads changes no byte.

        Args:
            residual: (3, H, W) raw less what recovery makes of it, within ±1.
            exponent: of the step, 0 to 176.

        Raises:
            ValueError: an exponent out of range, or another shape.
        """
        if residual.dim() != 3 or residual.shape[0] != 3 or not residual.numel():
            raise ValueError(f"residual must be (3, H, W), not {tuple(residual.shape)}")
        if not 0 <= exponent <= cls.MOST_EXPONENT:
            raise ValueError(f"exponent must be 0 to {cls.MOST_EXPONENT}, not {exponent}")
        residual = residual.detach().cpu().float()
        basis = _basis(residual)
        rows, columns = _blocks(*residual.shape[1:])
        levels = np.zeros((rows, columns, 3, _SIDE * _SIDE), np.int16)
        squares, kinds = 0.0, _Kinds()
        for band, coefficients in _transformed(residual, basis):
            size = coefficients.abs().div_(_step(exponent))
            level = (size + _ROUNDING).floor_()
            off = size.sub_(level)
            squares += float(off.square().sum(dtype=torch.float64))
            kinds.count(level, off)
            level.copysign_(coefficients)
            levels[band] = level.to(torch.int16).view(-1, *levels.shape[1:]).numpy()
        remaining = (squares - kinds.gain()) * _step(exponent) ** 2 / residual.numel()
        data = _payload.encode_enhancement(levels, torch.get_num_threads())
        return cls(exponent, basis, kinds.offsets(), data, remaining)

    def apply(self, recovered: Tensor, *, out: Tensor | None = None) -> Tensor:
        """What recovery made, corrected.

        Args:
            recovered: (3, H, W) float32 raw, of the size that this was made for.
            out: where the result goes, which may be ``recovered`` itself.

        Returns:
            The same, in [0, 1].

        Raises:
            PayloadCorrupt: damaged.
        """
        recovered = recovered.detach()
        height, width = recovered.shape[1:]
        rows, columns = _blocks(height, width)
        try:
            levels = _payload.decode_enhancement(self.data, rows, columns, torch.get_num_threads())
        except _payload.CorruptStream as error:
            raise PayloadCorrupt(f"the raw metadata's enhancement is damaged: {error}") from None
        dct, basis = _dct(), torch.as_tensor(self.basis)
        result = torch.empty_like(recovered) if out is None else out
        first, rest = (offset / _OFFSET_SCALE for offset in self.offsets)
        for top in range(0, rows, _ROWS):
            # Most blocks hold nothing.
            row, column = np.nonzero(levels[top : top + _ROWS].any((2, 3)))
            here = slice(top * _SIDE, min((top + _ROWS) * _SIDE, height))
            if not len(row):
                torch.clamp(recovered[:, here], 0, 1, out=result[:, here])
                continue
            level = torch.from_numpy(levels[top + row, column]).float()
            size = level.abs()
            size += (size == 1) * first + (size > 1) * rest
            coefficients = (size * level.sign()).mul_(self.step)
            pixels = (coefficients.view(-1, _SIDE * _SIDE) @ dct).view(level.shape)
            planes = (basis @ pixels.transpose(0, 1).reshape(3, -1)).to(recovered)
            blocks = _in_blocks(recovered[:, here])
            blocks[:, row, :, column] += planes.view(3, -1, _SIDE, _SIDE).transpose(0, 1)
            band = blocks.flatten(3).flatten(1, 2)[:, : here.stop - here.start, :width]
            torch.clamp(band, 0, 1, out=result[:, here])
        return result

    def pack(self) -> bytes:
        """The section's bytes."""
        head = struct.pack(">Bbb", self.exponent, *self.offsets)
        return head + tensor_field((self.basis * _BASIS_SCALE).round(), ">i2") + self.data

    def rounded(self) -> Enhancement:
        """As metadata keep it."""
        found: Enhancement = as_tensors(self.unpack(self.pack()))
        return found

    @classmethod
    def unpack(cls, data: bytes) -> Enhancement:
        """The enhancement of a section's bytes; what is coded in it is not looked at yet.

        Its basis is an array, see :func:`isp_meta.codec.decode_arrays`.

        Raises:
            PayloadCorrupt: damaged.
        """
        reader = Reader(data, "section eNHA of the raw metadata")
        exponent, first, rest = reader.unpack("Bbb")
        basis = reader.array(">i2", 3, 3) / _BASIS_SCALE
        if exponent > cls.MOST_EXPONENT or not bool((abs(basis) <= 1).all()):
            raise PayloadCorrupt(f"{reader.name} has a step or channels that no writer gives it")
        return cls(exponent, basis, (first, rest), data[reader.place :])


def _step(exponent: int) -> float:
    return float(2 ** (-exponent / 16))


class _Kinds:
    """How far coefficients are off their levels: of 1, and of more."""

    def __init__(self) -> None:
        self.number, self.excess = np.zeros(2), np.zeros(2)

    def count(self, level: Tensor, off: Tensor) -> None:
        for kind, chosen in enumerate((level == 1, level > 1)):
            self.number[kind] += float(chosen.sum())
            self.excess[kind] += float((off * chosen).sum(dtype=torch.float64))

    def offsets(self) -> tuple[int, int]:
        """What to add to both, rounded as stored."""
        means = self.excess / np.maximum(self.number, 1)
        first, rest = np.rint(_OFFSET_SCALE * means).clip(-128, 127).astype(int).tolist()
        return first, rest

    def gain(self) -> float:
        """By how much that lessens the sum of squares."""
        offset = np.array(self.offsets()) / _OFFSET_SCALE
        return float((2 * offset * self.excess - offset**2 * self.number).sum())


def _blocks(height: int, width: int) -> tuple[int, int]:
    return -(-height // _SIDE), -(-width // _SIDE)


def _in_blocks(band: Tensor) -> Tensor:
    """(3, rows, 8, columns, 8) of a (3, H, W) band that goes on beyond its edges; a copy."""
    _, height, width = band.shape
    rows, columns = _blocks(height, width)
    pad = (0, columns * _SIDE - width, 0, rows * _SIDE - height)
    padded = functional.pad(band[None], pad, "replicate")[0]
    return padded.clone().view(3, rows, _SIDE, columns, _SIDE)


def _basis(residual: Tensor) -> Tensor:
    """The channels in which a residual is uncorrelated, the strongest first (Karhunen, Loève)."""
    moments = torch.zeros(3, 3, dtype=torch.float64)
    for top in range(0, residual.shape[1], _ROWS * _SIDE):
        band = residual[:, top : top + _ROWS * _SIDE].flatten(1)
        moments += (band @ band.T).double()
    vectors = torch.linalg.eigh(moments)[1].flip(1)
    strongest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    basis: Tensor = (vectors * strongest.sign() * _BASIS_SCALE).round().float() / _BASIS_SCALE
    return basis


def _transformed(residual: Tensor, basis: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Rows of blocks, and their coefficients (blocks, 3, 64)."""
    (rows, columns), dct = _blocks(*residual.shape[1:]), _dct()
    right = columns * _SIDE - residual.shape[2]
    for top in range(0, rows, _ROWS):
        band = residual[:, top * _SIDE : (top + _ROWS) * _SIDE]
        band = functional.pad(band[None], (0, right, 0, -band.shape[1] % _SIDE), "replicate")[0]
        planes = (basis.T @ band.reshape(3, -1)).view(3, -1, _SIDE, columns, _SIDE)
        pixels = planes.permute(1, 3, 0, 2, 4).reshape(-1, _SIDE * _SIDE)
        yield slice(top, top + _ROWS), (pixels @ dct.T).view(-1, 3, _SIDE * _SIDE)
