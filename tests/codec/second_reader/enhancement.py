"""Section eNHA: what corrects what the samples give."""

from __future__ import annotations

import struct
from collections import defaultdict

import numpy as np

from .streams import Bit, Magnitude, Stream

SIZES = [5, 7, 9, 13, 21, 41, 101]


def zigzag() -> list[tuple[int, int]]:
    places = [(y, x) for y in range(8) for x in range(8)]
    return sorted(places, key=lambda p: (sum(p), p[0] if sum(p) % 2 else p[1]))


PLACES = zigzag()


def size_class(v: int) -> int:
    return v if v < 5 else 5 + sum(v >= limit for limit in SIZES[1:])


def end_class(end: int) -> int:
    return sum(end >= limit for limit in (1, 2, 4, 10))


def sign_class(v: int) -> int:
    return int(v > 0) - int(v < 0) + 1


class Stripe:
    def __init__(self, data: bytes, rows: int, columns: int, channels: int) -> None:
        self.stream, self.rows, self.columns = Stream(data), rows, columns
        self.channels = channels
        # A frame of blocks that are not there.
        self.levels = np.zeros((rows + 1, columns + 2, channels, 8, 8), np.int64)
        self.ends = np.zeros((rows + 1, columns + 2, channels), np.int64)
        self.models: dict[tuple[object, ...], Bit] = defaultdict(Bit)
        self.weights: dict[object, list[int]] = {}
        self.magnitudes: dict[tuple[object, ...], Magnitude] = defaultdict(Magnitude)

    def read(self) -> np.ndarray:
        for row in range(1, self.rows + 1):
            for column in range(1, self.columns + 1):
                for k in range(self.channels):
                    self.read_block(row, column, k)
        self.stream.finish()
        return self.levels[1:, 1:-1]

    def mixed(self, name: object, contexts: list[int]) -> int:
        first = 5 * 2**16 // (4 * len(contexts))
        weights = self.weights.setdefault(name, [first] * len(contexts))
        models = [self.models[name, i, context] for i, context in enumerate(contexts)]
        return self.stream.mixed(models, weights)

    def read_block(self, row: int, column: int, k: int) -> None:
        at = [(row, column - 1), (row - 1, column), (row - 1, column - 1), (row - 1, column + 1)]
        l, u, c, d = (self.levels[y, x, k] for y, x in at)  # noqa: E741
        none, here = np.zeros((8, 8), np.int64), self.levels[row, column]
        f, g = (here[k - 1] if k > 0 else none), (here[k - 2] if k > 1 else none)
        ends = [end_class(self.ends[y, x, k]) for y, x in at]
        before = [end_class(self.ends[row, column, j]) if j >= 0 else 0 for j in (k - 1, k - 2)]
        s = sum(int(abs(b[0, 0]) + abs(b[0, 1]) + abs(b[1, 0])) for b in (l, u, c, d))

        def slot(x: int, y: int, z: int) -> int:
            return 125 * k + 25 * x + 5 * y + z

        contexts = [
            slot(ends[0], ends[1], 0),
            slot(ends[2], ends[3], ends[0]),
            slot(before[0], before[1], 0),
            12 * k + size_class(s),
        ]
        if not self.mixed("some", contexts):
            return
        model = self.magnitudes["end", k, max(ends[:2]), before[0]]
        end = 1 + self.stream.magnitude(model, 6)
        assert end <= 64
        self.ends[row, column, k] = end
        found = 0
        for p in reversed(range(end)):
            level = self.read_level(here[k], (l, u, c, d), (f, g), (k, p, end, found))
            here[k][PLACES[p]] = level
            found += level != 0

    def read_level(
        self,
        own: np.ndarray,
        around: tuple[np.ndarray, ...],
        before: tuple[np.ndarray, ...],
        known: tuple[int, int, int, int],
    ) -> int:
        (l, u, c, d), (f, g), (k, p, end, found) = around, before, known  # noqa: E741
        y, x = PLACES[p]

        def m(block: np.ndarray, down: int = 0, right: int = 0) -> int:
            inside = y + down < 8 and x + right < 8
            return int(abs(block[y + down, x + right])) if inside else 0

        near = 2 * (m(own, 1) + m(own, 0, 1)) + m(own, 1, 1) + m(own, 2) + m(own, 0, 2)
        out = 2 * (m(l) + m(u)) + m(c) + m(d)
        back = 2 * (m(f) + m(g)) + m(f, 1) + m(f, 0, 1)
        band = min((y + x + 1) // 2, 5)
        in_, out_, back_ = size_class(near), size_class(out), size_class(back)
        contexts = [
            64 * k + p,
            6 * (12 * k + in_) + band,
            6 * (12 * k + out_) + band,
            6 * (12 * k + back_) + in_ // 2,
            8 * (8 * min(found, 7) + (end - 1) // 8) + p // 8,
            4 * (12 * in_ + out_) + k,
        ]
        size = int(p == end - 1)
        while size < 8 and self.mixed(("step", size), contexts):
            size += 1
        if size == 8:
            size += self.stream.magnitude(self.magnitudes["far", k], 15)
        assert size <= 32767
        if size == 0:
            return 0
        signs = [sign_class(block[y, x]) for block in (f, g, l, u)]
        n = 1 + 3 * signs[2] + signs[3] if p == 0 else 0
        same = 36 * k + 4 * (3 * signs[0] + signs[1]) + min(p, 3)
        return -size if self.mixed("sign", [10 * k + n, same]) else size


def read_levels(section: bytes, height: int, width: int) -> np.ndarray:
    """(rows, columns, C, 8, 8) of planes of height x width."""
    channels = section[2]
    rows, columns = -(-height // 8), -(-width // 8)
    count = -(-rows // 64)
    streams = section[6 + 2 * channels**2 :]
    assert len(streams) >= channels * rows * columns // 1024
    lengths = struct.unpack_from(f">{count}I", streams)
    assert len(streams) == 4 * count + sum(lengths)
    parts, place = [], 4 * count
    for i, length in enumerate(lengths):
        tall = min(64, rows - 64 * i)
        parts.append(Stripe(streams[place : place + length], tall, columns, channels).read())
        place += length
    return np.concatenate(parts)


def read_change(section: bytes, height: int, width: int) -> np.ndarray:
    """(C, H, W): what is to be added to the square roots of planes of height x width."""
    exponent, _, channels, _, first, rest = struct.unpack_from(">4B2b", section)
    assert exponent <= 176
    assert channels in (3, 4)
    numbers = struct.unpack_from(f">{channels**2}h", section, 6)
    basis = np.array(numbers).reshape(channels, channels) / 2**14
    assert np.abs(basis).max() <= 1
    levels = read_levels(section, height, width)
    size = np.abs(levels)
    offset = np.where(size == 0, 0, np.where(size == 1, first, rest)) / 256
    coefficients = np.sign(levels) * (size + offset) * 2 ** (-exponent / 16)
    place = np.arange(8)
    wave = np.sqrt(np.where(place == 0, 1, 2) / 8)[:, None] * np.cos(
        np.pi / 8 * place[:, None] * (place + 0.5)
    )
    pixels = np.einsum("uy,rckuv,vx->krycx", wave, coefficients, wave)
    rows, columns = levels.shape[:2]
    planes = pixels.reshape(channels, 8 * rows, 8 * columns)[:, :height, :width]
    return np.einsum("ck,khw->chw", basis, planes)


def correct(section: bytes, recovered: np.ndarray) -> np.ndarray:
    """Raw (3, H, W) or a mosaic (1, H, W), corrected."""
    _, height, width = recovered.shape
    knee, channels, share = section[1:4]
    assert knee <= 15
    assert share <= 16
    if channels == 4:
        planes = np.zeros((4, -(-height // 2), -(-width // 2)))
        for place, plane in enumerate(planes):
            part = recovered[0, place // 2 :: 2, place % 2 :: 2]
            plane[: part.shape[0], : part.shape[1]] = part
    else:
        planes = recovered
    k = 2.0**-knee
    span = np.sqrt(1 + k) - np.sqrt(k)
    root = (np.sqrt(planes + k) - np.sqrt(k)) / span
    root += read_change(section, *planes.shape[1:])
    found = (np.maximum(root * span + np.sqrt(k), 0) ** 2 - k).clip(0, 1)
    if channels == 3:
        return found
    mosaic = np.zeros((1, height, width))
    for place, plane in enumerate(found):
        part = mosaic[0, place // 2 :: 2, place % 2 :: 2]
        part[:] = plane[: part.shape[0], : part.shape[1]]
    return mosaic
