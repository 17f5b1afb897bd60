"""Section mOSA: the sensor's mosaic without loss, predicted from the finished picture's pixels."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .. import _payload
from ..errors import PayloadCorrupt
from .reader import Reader, text_field

__all__ = ["Mosaic"]

_ALONE, _GUIDED = 0, 1
_MOST_SIDE = 6
_NO_GUIDE = np.zeros((0, 0, 0), np.uint8)


@dataclass(frozen=True)
class Mosaic:
    """A sensor's mosaic in coded form; it has the size of the picture that it travels in.

    Attributes:
        data: the coded codes.
        guided: whether they can only be decoded beside the very pixels they were coded beside.
        colors: R, G or B of each place of the repeating pattern, row-major, 1 to 36 of them.
        columns: of the pattern, 1 to 6.
        checksum: CRC-32 of the codes, each as two big-endian bytes.
    """

    data: bytes
    guided: bool
    colors: str
    columns: int
    checksum: int

    @classmethod
    def of(
        cls, codes: Tensor, colors: str, columns: int = 2, *, pixels: Tensor | None = None
    ) -> Mosaic:
        """Codes a mosaic, in as many threads as PyTorch has; their number changes no byte.

        Args:
            codes: (1, H, W), whole numbers from 0 to 65535.
            colors, columns: the pattern: "RGGB" and 2 for a Bayer mosaic.
            pixels: (3, H, W) uint8, the finished picture as its decoder gives it. With it the
                result is smaller, and can be decoded beside these pixels alone.

        Raises:
            ValueError: codes that are not whole, another shape or pattern.
        """
        if codes.dim() != 3 or codes.shape[0] != 1:
            raise ValueError(f"codes must be (1, H, W), not {tuple(codes.shape)}")
        whole = codes[0].detach().cpu()
        if not bool(((whole >= 0) & (whole <= 0xFFFF) & (whole == whole.round())).all()):
            raise ValueError("only whole codes from 0 to 65535 can be kept without loss")
        values = whole.numpy().astype(np.uint16)
        data = _payload.encode_mosaic(
            values, colors, columns, _guide(pixels), torch.get_num_threads()
        )
        return cls(data, pixels is not None, colors, columns, _checksum(values))

    def codes(self, height: int, width: int, *, pixels: Tensor | None = None) -> Tensor:
        """The mosaic.

        Args:
            height, width: of the picture.
            pixels: (3, H, W) uint8, the picture; looked at only where ``guided``.

        Returns:
            (1, H, W) float32, on the CPU.

        Raises:
            PayloadCorrupt: damaged, or other pixels than the encoder had.
        """
        if self.guided and pixels is None:
            raise ValueError("this mosaic needs the pixels that it was coded beside")
        guide = _guide(pixels if self.guided else None)
        try:
            values = _payload.decode_mosaic(
                self.data,
                height,
                width,
                self.colors,
                self.columns,
                guide,
                torch.get_num_threads(),
            )
        except _payload.CorruptStream as error:
            raise PayloadCorrupt(f"the raw metadata's mosaic is damaged: {error}") from None
        if _checksum(values) != self.checksum:
            raise PayloadCorrupt("the raw metadata's mosaic is damaged: its checksum differs")
        return torch.from_numpy(values.astype(np.float32))[None]

    def pack(self) -> bytes:
        """The section's bytes."""
        mode = _GUIDED if self.guided else _ALONE
        head = struct.pack(">BB", mode, self.columns) + text_field(self.colors)
        return head + struct.pack(">I", self.checksum) + self.data

    @classmethod
    def unpack(cls, data: bytes) -> Mosaic:
        """The mosaic of a section's bytes; what is coded in it is not looked at yet.

        Raises:
            PayloadCorrupt: damaged.
        """
        reader = Reader(data, "section mOSA of the raw metadata")
        mode, columns = reader.unpack("BB")
        colors = reader.text()
        (checksum,) = reader.unpack("I")
        if mode not in (_ALONE, _GUIDED):
            raise PayloadCorrupt(f"{reader.name} is in an unknown mode")
        rows, rest = divmod(len(colors), max(columns, 1))
        sides = 1 <= columns <= _MOST_SIDE and 1 <= rows <= _MOST_SIDE
        if not sides or rest or not set(colors) <= set("RGB"):
            raise PayloadCorrupt(f"{reader.name} has a pattern that no sensor has")
        return cls(data[reader.place :], mode == _GUIDED, colors, columns, checksum)


def _guide(pixels: Tensor | None) -> npt.NDArray[np.uint8]:
    if pixels is None:
        return _NO_GUIDE
    if pixels.dtype != torch.uint8:
        raise ValueError(f"pixels must be uint8, not {pixels.dtype}")
    return pixels.detach().cpu().contiguous().numpy()


def _checksum(codes: npt.NDArray[np.uint16]) -> int:
    return zlib.crc32(codes.astype(">u2").data)
