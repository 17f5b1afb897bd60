"""How others would store a raw beside its JPEG, each as bytes and back.

A codec sees the mosaic as its four color planes side by side, values in [0, 1], and is steered by
one number: the larger, the smaller its file.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]
Data = bytes | bytearray
# Bytes are found within this much of what was asked for, in so many tries.
NEAR, TRIES = 0.02, 9


def planes(mosaic: NDArray[Any]) -> NDArray[Any]:
    """The four colors of a Bayer mosaic with even sides, side by side."""
    rows = [[mosaic[y::2, x::2] for x in (0, 1)] for y in (0, 1)]
    return np.ascontiguousarray(np.block(rows))


def mosaic_of(picture: NDArray[Any]) -> NDArray[Any]:
    """Undoes :func:`planes`."""
    height, width = (side // 2 for side in picture.shape)
    mosaic = np.empty_like(picture)
    for y in (0, 1):
        for x in (0, 1):
            part = picture[y * height : (y + 1) * height, x * width : (x + 1) * width]
            mosaic[y::2, x::2] = part
    return mosaic


@dataclass(frozen=True)
class Codec:
    """A codec for planes.

    Attributes:
        encode: planes in [0, 1] and the number that steers it, to bytes. decode: bytes to planes.
        low, high: the smallest and the largest of such numbers.
    """

    encode: Callable[[Values, float], Data]
    decode: Callable[[Data], Values]
    low: float
    high: float


def _codes(values: Values, top: int) -> NDArray[np.uint16]:
    codes: NDArray[np.uint16] = np.rint(values.clip(0, 1) * top).astype(np.uint16)
    return codes


def _jxl(values: Values, distance: float) -> Data:
    return imagecodecs.jpegxl_encode(
        _codes(values, 65535), distance=distance, lossless=False, effort=5, numthreads=1
    )


def _from_jxl(data: Data) -> Values:
    return imagecodecs.jpegxl_decode(data, numthreads=1).astype(np.float32) / 65535


def _htj2k(values: Values, step: float) -> Data:
    return imagecodecs.htj2k_encode(_codes(values, 65535), level=step, reversible=False)


def _from_htj2k(data: Data) -> Values:
    return imagecodecs.htj2k_decode(data).astype(np.float32) / 65535


def _avif(values: Values, coarse: float) -> Data:
    # Of one channel imagecodecs writes lossless files alone; chroma of gray costs next to nothing.
    gray = np.repeat(_codes(values, 4095)[:, :, None], 3, 2)
    return imagecodecs.avif_encode(
        gray, level=round(100 - coarse), bitspersample=12, pixelformat="420", speed=6, numthreads=1
    )


def _from_avif(data: Data) -> Values:
    return imagecodecs.avif_decode(data, numthreads=1)[:, :, 1].astype(np.float32) / 4095


def _in_square_roots(codec: Codec) -> Codec:
    """The same on square roots, which noise is even in."""
    return Codec(
        lambda values, number: codec.encode(np.sqrt(values), number),
        lambda data: np.square(codec.decode(data)),
        codec.low,
        codec.high,
    )


_JXL = Codec(_jxl, _from_jxl, 0.01, 25)
CODECS = {
    "JPEG XL, linear": _JXL,
    "JPEG XL, square root": _in_square_roots(_JXL),
    "HTJ2K, square root": _in_square_roots(Codec(_htj2k, _from_htj2k, 1e-4, 1)),
    "AVIF, 12 bits, square root": _in_square_roots(Codec(_avif, _from_avif, 1, 99)),
}


def residual_codec(guess: Values) -> Codec:
    """JPEG XL of what a guess of the planes misses, in square roots, 0 as a half."""
    root = np.sqrt(guess)

    def encode(values: Values, distance: float) -> Data:
        return _jxl((np.sqrt(values) - root + 1) / 2, distance)

    def decode(data: Data) -> Values:
        values: Values = np.square((root + 2 * _from_jxl(data) - 1).clip(0, 1))
        return values

    # Of half the range a distance is twice as coarse.
    return Codec(encode, decode, _JXL.low / 2, _JXL.high)


class Fitted:
    """A codec's files of given planes, sought by their size; what was tried is remembered."""

    def __init__(self, codec: Codec, values: Values) -> None:
        self.codec, self.values = codec, values
        self.sizes: dict[float, int] = {}

    def size(self, number: float) -> int:
        if number not in self.sizes:
            self.sizes[number] = len(self.codec.encode(self.values, number))
        return self.sizes[number]

    def number(self, size: float) -> float | None:
        """What steers the codec to the largest file of no more bytes, or nearly; None: there is
        none so small."""
        most = size * (1 + NEAR)
        if self.size(self.codec.high) > most or self.size(self.codec.low) <= most:
            return self.codec.high if self.size(self.codec.high) <= most else None
        for _ in range(TRIES):
            high = min(n for n, bytes_ in self.sizes.items() if bytes_ <= most)
            low = max((n for n in self.sizes if n < high), default=self.codec.low)
            if self.sizes[high] >= size * (1 - NEAR):
                break
            # Sizes are about a power of the number; a step from each end keeps it going.
            bytes_ = math.log(self.sizes[low]), math.log(self.sizes[high])
            share = (bytes_[0] - math.log(size)) / (bytes_[0] - bytes_[1])
            self.size(low * (high / low) ** min(max(share, 0.1), 0.9))
        return min(n for n, bytes_ in self.sizes.items() if bytes_ <= most)


def has_miniraw() -> bool:
    return importlib.util.find_spec("miniraw") is not None


def _miniraw() -> tuple[Any, Any]:
    """Its codec and its reader; no dependency of ours."""
    return importlib.import_module("miniraw.codec"), importlib.import_module("miniraw.io_raw")


def miniraw_codec(raw: Path, white: float, black: float) -> Codec:
    """``miniraw`` (PyPI): steps of the noise that the file states, without its exact layer."""
    codec, io_raw = _miniraw()
    read = io_raw.read(raw)

    def encode(_values: Values, step: float) -> Data:
        data: bytes = codec.encode(read, step=step, with_l3=False, idx=False, threads=1)[0]
        return data

    def decode(data: Data) -> Values:
        codes = codec.decode(data, "signal", threads=1).astype(np.float32)
        return planes(((codes - black) / (white - black)).clip(0, 1))

    return Codec(encode, decode, 0.25, 64)


def lossless(codes: NDArray[np.uint16], raw: Path) -> dict[str, int]:
    """Bytes of the codes to the bit, by each who can; each was read back."""
    side_by_side = planes(codes)
    data = imagecodecs.jpegxl_encode(side_by_side, lossless=True, effort=7, numthreads=1)
    assert np.array_equal(imagecodecs.jpegxl_decode(data), side_by_side)
    sizes = {"JPEG XL": len(data)}
    if has_miniraw():
        codec, io_raw = _miniraw()
        data = codec.encode(io_raw.read(raw), step=1.0, idx=False, effort=7, threads=1)[0]
        assert np.array_equal(codec.decode(data, "exact", threads=1), codes)
        sizes["miniraw"] = len(data)
    return sizes
