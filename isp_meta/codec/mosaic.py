"""Section mOSA: the sensor's codes without loss, predicted from the finished picture's pixels."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .. import _payload
from ..camera import LINEAR, MONOCHROME, check_cfa, period_of
from ..errors import PayloadCorrupt
from ..lazily import torch
from .reader import Reader

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Mosaic"]

_ALONE, _GUIDED = 0, 1
_NO_GUIDE = np.zeros((0, 0, 0), np.uint8)


@dataclass(frozen=True)
class Mosaic:
    """All of a sensor's codes in coded form; they have the size of the picture they travel in.

    Attributes:
        data: the coded codes.
        guided: whether they can only be decoded beside the very pixels they were coded beside.
        cfa: of the camera, see :attr:`isp_meta.Camera.cfa`.
        checksum: CRC-32 of the codes, each as two big-endian bytes, pixel by pixel.
    """

    data: bytes
    guided: bool
    cfa: str
    checksum: int

    @classmethod
    def of(cls, codes: Tensor, cfa: str, *, pixels: Tensor | None = None) -> Mosaic:
        """Codes a mosaic, in as many threads as PyTorch has; their number changes no byte.

        Args:
            codes: (1, H, W), whole numbers from 0 to 65535; (3, H, W) under "RGB".
            cfa: as :attr:`isp_meta.Camera.cfa`.
            pixels: (3, H, W) uint8, the finished picture as its decoder gives it. With it the
                result is smaller, and can be decoded beside these pixels alone.

        Raises:
            ValueError: codes that are not whole, another shape or pattern.
        """
        check_cfa(cfa)
        if codes.dim() != 3 or codes.shape[0] != _width(cfa):
            raise ValueError(f"codes must be ({_width(cfa)}, H, W), not {tuple(codes.shape)}")
        whole = codes.detach().cpu()
        if not bool(((whole >= 0) & (whole <= 0xFFFF) & (whole == whole.round())).all()):
            raise ValueError("only whole codes from 0 to 65535 can be kept without loss")
        values = whole.movedim(0, -1).flatten(1).numpy().astype(np.uint16)
        data = _payload.encode_mosaic(
            values, *_pattern(cfa), _guide(pixels, cfa), torch.get_num_threads()
        )
        return cls(data, pixels is not None, cfa, _checksum(values))

    def codes(self, height: int, width: int, *, pixels: Tensor | None = None) -> Tensor:
        """The codes.

        Args:
            height, width: of the picture.
            pixels: (3, H, W) uint8, the picture; looked at only where ``guided``.

        Returns:
            (1, H, W) float32, (3, H, W) under "RGB", on the CPU.

        Raises:
            PayloadCorrupt: damaged, or other pixels than the encoder had.
        """
        if self.guided and pixels is None:
            raise ValueError("this mosaic needs the pixels that it was coded beside")
        channels = _width(self.cfa)
        try:
            values = _payload.decode_mosaic(
                self.data,
                height,
                width * channels,
                *_pattern(self.cfa),
                _guide(pixels if self.guided else None, self.cfa),
                torch.get_num_threads(),
            )
        except _payload.CorruptStream as error:
            raise PayloadCorrupt(f"the raw metadata's mosaic is damaged: {error}") from None
        if _checksum(values) != self.checksum:
            raise PayloadCorrupt("the raw metadata's mosaic is damaged: its checksum differs")
        codes = torch.from_numpy(values.astype(np.float32)).view(height, width, channels)
        return codes.movedim(-1, 0).contiguous()

    def pack(self) -> bytes:
        """The section's bytes."""
        return struct.pack(">BI", _GUIDED if self.guided else _ALONE, self.checksum) + self.data

    @classmethod
    def unpack(cls, data: bytes, cfa: str) -> Mosaic:
        """The mosaic of a section's bytes; what is coded in it is not looked at yet.

        Args:
            data: of the section. cfa: of the camera.

        Raises:
            PayloadCorrupt: damaged.
        """
        reader = Reader(data, "section mOSA of the raw metadata")
        mode, checksum = reader.unpack("BI")
        if mode not in (_ALONE, _GUIDED):
            raise PayloadCorrupt(f"{reader.name} is in an unknown mode")
        return cls(data[reader.place :], mode == _GUIDED, cfa, checksum)


def _width(cfa: str) -> int:
    """Codes of a pixel: those of a linear picture lie side by side, in a row of three times its
    width."""
    return len(LINEAR) if cfa == LINEAR else 1


def _pattern(cfa: str) -> tuple[str, int]:
    """Colors and columns of what is coded."""
    if cfa == LINEAR:
        return LINEAR, len(LINEAR)
    # Monochrome is nearest to green.
    return cfa.replace(MONOCHROME, "G"), period_of(cfa)


def _guide(pixels: Tensor | None, cfa: str) -> npt.NDArray[np.uint8]:
    if pixels is None:
        return _NO_GUIDE
    if pixels.dtype != torch.uint8:
        raise ValueError(f"pixels must be uint8, not {pixels.dtype}")
    beside = pixels.detach().cpu().repeat_interleave(_width(cfa), -1)
    return beside.contiguous().numpy()


def _checksum(codes: npt.NDArray[np.uint16]) -> int:
    return zlib.crc32(codes.astype(">u2").data)
