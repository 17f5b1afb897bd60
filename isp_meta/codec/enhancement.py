"""Section eNHA: what recovery from samples still misses, coarsely, where it misses most.

    mosaic, recovered ─▶ √ ─▶ less ─▶ channels of its own ─▶ 8×8 DCT ─▶ steps ─▶ range coder

One step for all coefficients is what the least squared error for the bits asks for: where recovery
is right nearly all of them round to 0, which costs next to nothing. Square roots make that step
finer in the dark, as noise is.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
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
_SHARE_SCALE = 16
# Channels of what is coded: colors of every pixel, or places of a Bayer mosaic's squares.
_COLORS, _PLACES = 3, 4
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

    It is of a raw's square roots: t(v) = (√(v + k) − √k) / (√(1 + k) − √k).

    Attributes:
        exponent: the coefficients' step is 2^(-exponent / 16), in parts of full scale, 0 to 176.
        knee: k is 2^-knee, 0 to 15: below it, t is nearly a line.
        basis: (C, C) float32, multiples of 2^-14 within ±1: a channel of its own in each column. C
            is 3, raw-RGB, or 4, the places of a Bayer mosaic's squares, row-major.
        offsets: what is added to a coefficient's size in steps, 256ths, -128 to 127: to one of 1,
            to greater ones.
        data: the coded coefficients.
        sixteenths: of demosaicing in the colors that a corrected mosaic does not have, 0 to 16; see
            :meth:`isp_meta.decoder.DemosaicedRaw.colors`.
    """

    exponent: int
    knee: int
    basis: Tensor
    offsets: tuple[int, int]
    data: bytes
    sixteenths: int = _SHARE_SCALE

    MOST_EXPONENT: ClassVar[int] = 176
    MOST_KNEE: ClassVar[int] = 15

    @property
    def size(self) -> int:
        """Bytes of the whole section."""
        return _FRAME + len(self.pack())

    @property
    def step(self) -> float:
        """Of a coefficient, in parts of full scale; the DCT is orthonormal."""
        return _step(self.exponent)

    @property
    def share(self) -> float:
        """Of demosaicing, 0 to 1."""
        return self.sixteenths / _SHARE_SCALE

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

    def with_share(self, share: float) -> Enhancement:
        """The same with the nearest share of demosaicing that can be stored."""
        return replace(self, sixteenths=round(share * _SHARE_SCALE))

    @classmethod
    def residual(cls, truth: Tensor, recovered: Tensor, knee: int) -> Tensor:
        """What is to be coded.

        Args:
            truth, recovered: raw (3, H, W) or Bayer mosaic (1, H, W) in [0, 1].
            knee: 0 to 15.

        Returns:
            Difference of their square roots, (3, H, W) or (4, ⌈H / 2⌉, ⌈W / 2⌉), within ±1.

        Raises:
            ValueError: a knee out of range, or another shape.
        """
        if not 0 <= knee <= cls.MOST_KNEE:
            raise ValueError(f"knee must be 0 to {cls.MOST_KNEE}, not {knee}")
        if truth.shape != recovered.shape or truth.dim() != 3 or len(truth) not in (1, _COLORS):
            raise ValueError(
                "raw must be (3, H, W), a mosaic (1, H, W), of one size, not "
                f"{tuple(truth.shape)} and {tuple(recovered.shape)}"
            )
        true, found = (each.detach().cpu().float().clamp(0, 1) for each in (truth, recovered))
        difference = _root(true, knee).sub_(_root(found, knee))
        return _planes(difference) if len(truth) == 1 else difference

    @classmethod
    def of(cls, residual: Tensor, exponent: int, knee: int) -> Enhancement:
        """Codes what recovery misses; the number of threads changes no byte.

        Args:
            residual: of :meth:`residual`, for this knee.
            exponent: of the step, 0 to 176.

        Raises:
            ValueError: an exponent out of range, or another shape.
        """
        if residual.dim() != 3 or len(residual) not in (_COLORS, _PLACES) or not residual.numel():
            raise ValueError(f"residual must be (3 or 4, H, W), not {tuple(residual.shape)}")
        if not 0 <= exponent <= cls.MOST_EXPONENT:
            raise ValueError(f"exponent must be 0 to {cls.MOST_EXPONENT}, not {exponent}")
        basis, channels = _basis(residual), len(residual)
        rows, columns = _blocks(*residual.shape[1:])
        levels = np.zeros((rows, columns, channels, _SIDE * _SIDE), np.int16)
        kinds = _Kinds()
        for band, coefficients in _transformed(residual, basis):
            size = coefficients.abs().div_(_step(exponent))
            level = (size + _ROUNDING).floor_()
            kinds.count(level, size.sub_(level))
            level.copysign_(coefficients)
            levels[band] = level.to(torch.int16).view(-1, *levels.shape[1:]).numpy()
        data = _payload.encode_enhancement(levels, torch.get_num_threads())
        return cls(exponent, knee, basis, kinds.offsets(), data)

    def apply(self, recovered: Tensor) -> Tensor:
        """What recovery made, corrected.

        Args:
            recovered: (3, H, W) float32 raw or (1, H, W) mosaic in [0, 1], of the size and the kind
                that this was made for.

        Returns:
            The same, in [0, 1].

        Raises:
            PayloadCorrupt: damaged, or of the other kind.
        """
        recovered = recovered.detach()
        kind = _PLACES if len(recovered) == 1 else _COLORS
        if len(self.basis) != kind:
            raise PayloadCorrupt("the raw metadata's enhancement is none of this camera's mosaic")
        if kind == _COLORS:
            result = torch.clamp(recovered, 0, 1)
            self._add(result)
            return result
        planes = _planes(torch.clamp(recovered, 0, 1))
        self._add(planes)
        mosaic = functional.pixel_shuffle(planes, 2)
        return mosaic[:, : recovered.shape[1], : recovered.shape[2]].contiguous()

    def _add(self, planes: Tensor) -> None:
        """Adds what is coded to (C, h, w), and confines the result to [0, 1]."""
        _, height, width = planes.shape
        rows, columns = _blocks(height, width)
        threads, channels = torch.get_num_threads(), len(planes)
        try:
            levels = _payload.decode_enhancement(self.data, rows, columns, channels, threads)
        except _payload.CorruptStream as error:
            raise PayloadCorrupt(f"the raw metadata's enhancement is damaged: {error}") from None
        dct, basis = _dct(), torch.as_tensor(self.basis)
        first, rest = (offset / _OFFSET_SCALE for offset in self.offsets)
        for top in range(0, rows, _ROWS):
            # Most blocks hold nothing.
            row, column = np.nonzero(levels[top : top + _ROWS].any((2, 3)))
            if not len(row):
                continue
            level = torch.from_numpy(levels[top + row, column]).float()
            size = level.abs()
            size += (size == 1) * first + (size > 1) * rest
            coefficients = (size * level.sign()).mul_(self.step)
            pixels = (coefficients.view(-1, _SIDE * _SIDE) @ dct).view(level.shape)
            change = (basis @ pixels.transpose(0, 1).reshape(channels, -1)).to(planes)
            here = slice(top * _SIDE, min((top + _ROWS) * _SIDE, height))
            blocks = _in_blocks(planes[:, here])
            old = blocks[:, row, :, column]
            root = _root(old, self.knee)
            root += change.view(channels, -1, _SIDE, _SIDE).transpose(0, 1)
            blocks[:, row, :, column] = _square(root, self.knee).clamp_(0, 1)
            band = blocks.flatten(3).flatten(1, 2)[:, : here.stop - here.start, :width]
            planes[:, here] = band

    def pack(self) -> bytes:
        """The section's bytes."""
        kind = len(self.basis), self.sixteenths
        head = struct.pack(">4B2b", self.exponent, self.knee, *kind, *self.offsets)
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
        exponent, knee, channels, share, first, rest = reader.unpack("4B2b")
        if (
            exponent > cls.MOST_EXPONENT
            or knee > cls.MOST_KNEE
            or channels not in (_COLORS, _PLACES)
            or share > _SHARE_SCALE
        ):
            raise PayloadCorrupt(f"{reader.name} has a step or a kind that no writer gives it")
        basis = reader.array(">i2", channels, channels) / _BASIS_SCALE
        if not bool((abs(basis) <= 1).all()):
            raise PayloadCorrupt(f"{reader.name} has channels that no writer gives it")
        return cls(exponent, knee, basis, (first, rest), data[reader.place :], share)


def _root(value: Tensor, knee: int) -> Tensor:
    """t(v), a new tensor."""
    low, span = _line(knee)
    return (value + 2.0**-knee).sqrt_().sub_(low).div_(span)


def _square(root: Tensor, knee: int) -> Tensor:
    """v of t(v), written over it."""
    low, span = _line(knee)
    return root.mul_(span).add_(low).clamp_(min=0).square_().sub_(2.0**-knee)


def _line(knee: int) -> tuple[float, float]:
    """√k, and √(1 + k) − √k."""
    low = math.sqrt(2.0**-knee)
    return low, math.sqrt(1 + 2.0**-knee) - low


def _planes(mosaic: Tensor) -> Tensor:
    """(4, ⌈H / 2⌉, ⌈W / 2⌉) of a (1, H, W) mosaic, 0 where it has no pixel."""
    height, width = mosaic.shape[1:]
    return functional.pixel_unshuffle(functional.pad(mosaic, (0, width % 2, 0, height % 2)), 2)


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


def _blocks(height: int, width: int) -> tuple[int, int]:
    return -(-height // _SIDE), -(-width // _SIDE)


def _in_blocks(band: Tensor) -> Tensor:
    """(C, rows, 8, columns, 8) of a (C, h, w) band that goes on beyond its edges; a copy."""
    channels, height, width = band.shape
    rows, columns = _blocks(height, width)
    pad = (0, columns * _SIDE - width, 0, rows * _SIDE - height)
    padded = functional.pad(band[None], pad, "replicate")[0]
    return padded.clone().view(channels, rows, _SIDE, columns, _SIDE)


def _basis(residual: Tensor) -> Tensor:
    """The channels in which a residual is uncorrelated, the strongest first (Karhunen, Loève)."""
    moments = torch.zeros(len(residual), len(residual), dtype=torch.float64)
    for top in range(0, residual.shape[1], _ROWS * _SIDE):
        band = residual[:, top : top + _ROWS * _SIDE].flatten(1)
        moments += (band @ band.T).double()
    vectors = torch.linalg.eigh(moments)[1].flip(1)
    strongest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    basis: Tensor = (vectors * strongest.sign() * _BASIS_SCALE).round().float() / _BASIS_SCALE
    return basis


def _transformed(residual: Tensor, basis: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Rows of blocks, and their coefficients (blocks, C, 64)."""
    channels = len(residual)
    (rows, columns), dct = _blocks(*residual.shape[1:]), _dct()
    right = columns * _SIDE - residual.shape[2]
    for top in range(0, rows, _ROWS):
        band = residual[:, top * _SIDE : (top + _ROWS) * _SIDE]
        band = functional.pad(band[None], (0, right, 0, -band.shape[1] % _SIDE), "replicate")[0]
        planes = (basis.T @ band.reshape(channels, -1)).view(channels, -1, _SIDE, columns, _SIDE)
        pixels = planes.permute(1, 3, 0, 2, 4).reshape(-1, _SIDE * _SIDE)
        yield slice(top, top + _ROWS), (pixels @ dct.T).view(-1, channels, _SIDE * _SIDE)
