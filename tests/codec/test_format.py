"""A second implementation of docs/format.md: slow, plain Python, written from that page alone.

It shares nothing with the C++ coder, so that page and coder cannot both be wrong in the same way.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections import defaultdict
from math import isqrt
from pathlib import Path

import pytest
import torch

from isp_meta.codec import Payload, Steps, encode

DATA = Path(__file__).parents[1] / "data"
RED, GREEN, BLUE = range(3)


def quotient(a: int, b: int) -> int:
    """Drops the fraction, toward zero."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


class Bit:
    def __init__(self) -> None:
        self.p, self.n = 32768, 0

    def learn(self, bit: int) -> None:
        target = 65535 if bit else 0
        self.p += quotient((target - self.p) * 2, 2 * self.n + 3)
        self.n = min(self.n + 1, 254)


class Magnitude:
    def __init__(self) -> None:
        self.longer = [Bit() for _ in range(33)]
        self.below = [[Bit() for _ in range(4)] for _ in range(33)]


class Stream:
    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 4
        self.range, self.code = 2**32 - 1, int.from_bytes(data[:4], "big")

    def _bit(self, bound: int) -> int:
        bit = int(self.code < bound)
        if bit:
            self.range = bound
        else:
            self.code -= bound
            self.range -= bound
        while self.range < 2**24:
            self.range *= 256
            self.code = self.code * 256 + self.data[self.place]
            self.place += 1
        return bit

    def bit(self, model: Bit) -> int:
        bit = self._bit(self.range // 2**16 * min(max(model.p, 512), 65024))
        model.learn(bit)
        return bit

    def plain(self, width: int) -> int:
        value = 0
        for _ in range(width):
            value = 2 * value + self._bit(self.range // 2)
        return value

    def magnitude(self, model: Magnitude, most: int) -> int:
        length = 0
        while length < most and self.bit(model.longer[length]):
            length += 1
        if length < 2:
            return length
        value, left = 1, length - 1
        for _ in range(min(2, left)):
            value = 2 * value + self.bit(model.below[length][value])
            left -= 1
        return value << left | self.plain(left)

    def finish(self) -> None:
        assert self.place == len(self.data)
        assert self.code == 0


def packed(data: bytes, width: int, count: int) -> list[int]:
    assert len(data) == (width * count + 7) // 8
    digits = "".join(f"{byte:08b}" for byte in data)
    assert "1" not in digits[width * count :]
    return [int(digits[width * i : width * (i + 1)] or "0", 2) for i in range(count)]


def from_gaps(gaps: list[int]) -> list[int]:
    index, previous = [], -1
    for gap in gaps:
        previous += 1 + gap
        index.append(previous)
    return index


def read_positions(data: bytes, width: int, height: int, side: int, count: int) -> list[int]:
    mode, data = data[0], data[1:]
    if mode == 3:
        return from_gaps(packed(data[1:], data[0], count))
    stream = Stream(data)
    if mode == 0:
        rows, columns = read_line(stream), read_line(stream)
        index = [y * width + x for y in rows for x in columns]
    elif mode == 1:
        index = sorted(y * width + x for y, x in read_blocks(stream, width, height, side, count))
    else:
        model = Magnitude()
        index = from_gaps([stream.magnitude(model, 32) for _ in range(count)])
    stream.finish()
    return index


def read_line(stream: Stream) -> list[int]:
    count, step = Magnitude(), Magnitude()
    return from_gaps([stream.magnitude(step, 32) for _ in range(stream.magnitude(count, 21))])


def read_blocks(
    stream: Stream, width: int, height: int, side: int, count: int
) -> list[tuple[int, int]]:
    counts = [Magnitude() for _ in range(9)]
    one, several, many = defaultdict(Bit), defaultdict(Bit), defaultdict(Magnitude)
    points: list[tuple[int, int]] = []

    def region(top: int, left: int, tall: int, wide: int, n: int, path: int) -> None:
        if n == 0:
            return
        if tall * wide == 1:
            points.append((top, left))
            return
        if n == 1:
            k = stream.bit(one[path])
        elif n < 8:
            k = 0
            while k < n and stream.bit(several[n, k]):
                k += 1
        else:
            code = stream.magnitude(many[n.bit_length()], 32)
            k = n // 2 + (-(code + 1) // 2 if code % 2 else code // 2)
        paths = (path, path) if 2 * path + 1 >= 256 else (2 * path, 2 * path + 1)
        down, right = ((tall + 1) // 2, 0) if tall >= wide else (0, (wide + 1) // 2)
        region(top, left, down or tall, right or wide, k, paths[0])
        region(top + down, left + right, tall - down, wide - right, n - k, paths[1])

    above: dict[int, int] = {}
    for top in range(0, height, side):
        before = 1
        for left in range(0, width, side):
            if len(points) == count:
                return points
            n = stream.magnitude(counts[3 * before + above.get(left, 1)], 32)
            region(top, left, min(side, height - top), min(side, width - left), n, 1)
            before = above[left] = min(2, n)
    return points


class Sample:
    def __init__(self, y: int, x: int) -> None:
        self.y, self.x = y, x
        self.value, self.residual = [0, 0, 0], [0, 0, 0]
        self.miss = [[0] * 4 for _ in range(3)]


Near = list[tuple[Sample, int]]


def neighbors(sample: Sample, here: dict, above: dict, side: int) -> Near:
    c = sample.x // side
    newest = {**above, **here}
    wanted = [here.get(c), newest.get(c - 1), above.get(c), above.get(c + 1)]
    wanted += [above.get(c - 1) if c - 1 in here else None, newest.get(c - 2), above.get(c + 2)]
    near = []
    for other in [other for other in wanted if other][:6]:
        distance = (other.y - sample.y) ** 2 + (other.x - sample.x) ** 2
        near.append((other, max(1, 2**20 // (distance * 4 // side**2 + 1))))
    return near


def candidates(sample: Sample, channel: int, near: Near) -> list[int]:
    g, r = sample.value[GREEN], sample.value[RED]
    if not near:
        return [0 if channel == GREEN else g]
    if channel == GREEN:
        values = [other.value[GREEN] for other, _ in near]
        weights = [w for _, w in near]
        found = [
            sum(w * v for w, v in zip(weights, values, strict=True)) // sum(weights),
            values[weights.index(max(weights))],
            sum(values) // len(values),
        ]
        return found + ([sorted(values[:3])[1]] if len(values) >= 3 else [])
    u = []
    for other, w in near:
        a = abs(g - other.value[GREEN])
        a += abs(r - other.value[RED]) if channel == BLUE else 0
        d = 16 * a // (g // 8 + 16)
        u.append(max(1, w * 256 // (256 + d * d)))

    def total(of: int, weights: list[int]) -> int:
        return sum(w * other.value[of] for w, (other, _) in zip(weights, near, strict=True))

    w = [w for _, w in near]
    own, mean = total(channel, u), total(channel, u) // sum(u)

    def ratio(by: int, over: int, under: int) -> int:
        return by * over // under if under else mean

    last = (
        ratio(r, own, total(RED, u))
        if channel == BLUE
        else ratio(g, total(channel, w), total(GREEN, w))
    )
    green = total(GREEN, u)
    return [g + quotient(own - green, sum(u)), ratio(g, own, green), mean, last]


def scale(sample: Sample, channel: int, found: list[int], near: Near) -> int:
    five = near[:5]
    e = 256
    if five:
        spread = sum(w * abs(other.residual[channel]) for other, w in five)
        e = 4 * spread // sum(w for _, w in five)
    e += 2 * abs(sample.residual[GREEN]) if channel != GREEN else 0
    e += 2 * abs(sample.residual[RED]) if channel == BLUE else 0
    e += 2 * abs(found[0] - found[1]) if len(found) > 1 else 0
    length = e.bit_length()
    return 2 * length + (e >> (length - 2) & 1 if length > 1 else 0)


def sign(residual: int) -> int:
    return 2 if residual > 0 else 1 if residual < 0 else 0


def sign_context(sample: Sample, channel: int, near: Near) -> tuple[int, int]:
    beside = [sign(other.residual[channel]) for other, _ in near] + [0, 0]
    if channel == GREEN:
        return beside[0], beside[1]
    return sign(sample.residual[GREEN]), sign(sample.residual[RED]) if channel == BLUE else beside[
        0
    ]


def read_values(
    data: bytes, index: list[int], width: int, side: int, levels: int
) -> list[list[int]]:
    bits = levels.bit_length()
    if data[0] == 0:
        flat = packed(data[1:], bits, 3 * len(index))
        return [flat[i : i + 3] for i in range(0, len(flat), 3)]
    stream = Stream(data[1:])
    residuals, negatives = defaultdict(Magnitude), defaultdict(Bit)
    values: dict[int, list[int]] = {}
    here: dict[int, Sample] = {}
    above: dict[int, Sample] = {}
    row = 0
    for pixel in sorted(index, key=lambda i: (i // width // side, i % width // side, i)):
        sample = Sample(pixel // width, pixel % width)
        if sample.y // side != row:
            above.update(here)
            here.clear()
            row = sample.y // side
        near = neighbors(sample, here, above, side)
        for channel in (GREEN, RED, BLUE):
            found = [min(max(c, 0), levels) for c in candidates(sample, channel, near)]
            trust = []
            for i in range(len(found)):
                m = 4 + sum(other.miss[channel][i] for other, _ in near[:4])
                trust.append(2**40 // m**2)
            blend = sum(t * c for t, c in zip(trust, found, strict=True))
            predicted = (blend + sum(trust) // 2) // sum(trust)
            model = residuals[channel, scale(sample, channel, found, near)]
            residual = stream.magnitude(model, bits)
            context = (channel, *sign_context(sample, channel, near))
            if residual and stream.bit(negatives[context]):
                residual = -residual
            value = predicted + residual
            sample.value[channel], sample.residual[channel] = value, residual
            for i, candidate in enumerate(found):
                sample.miss[channel][i] = abs(value - candidate)
        here[sample.x // side] = sample
        values[pixel] = sample.value
    stream.finish()
    return [values[pixel] for pixel in index]


def sections_of(data: bytes) -> dict[str, bytes]:
    sections, place = {}, 40
    while place < len(data) - 32:
        name, length = struct.unpack_from(">4sI", data, place)
        content = data[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", data, place + 8 + length)[0] == zlib.crc32(name + content)
        sections[name.decode()] = content
        place += 12 + length
    return sections


def read(data: bytes) -> dict[str, object]:
    """Positions, values and texts of a payload."""
    assert data[:8] == b"\x89ISPM\r\n\x1a"
    major, minor, size = struct.unpack_from(">BBH", data, 8)
    assert (minor, size) == (0, 40)
    assert hashlib.sha256(data[:-32]).digest() == data[-32:]
    fields = struct.unpack_from(">QIIIIBBH", data, 12)
    total, width, height, cell, count, scale, orientation, levels = fields
    if major == 1:
        scale, levels = 64, 2**scale - 1
    assert total == len(data)
    sections = sections_of(data)
    side = cell or max(1, isqrt(width * height // max(count, 1)))
    index = read_positions(sections["POSN"], width, height, side, count)
    camera = sections["CAMR"]
    return {
        "index": index,
        "values": read_values(sections["VALU"], index, width, side, levels),
        "scale": (scale, levels),
        "orientation": orientation,
        "levels": struct.unpack_from(">17d", camera),
        "place": struct.unpack_from(">4sHII", camera, 136),
        "texts": texts(camera[152:]),
        "names": texts(sections["IDNT"]),
        "binding": (sections["BIND"][:32], sections["BIND"][32:], sections["MEAN"]),
    }


def texts(data: bytes) -> list[str]:
    found, place = [], 0
    while place < len(data):
        end = place + 2 + int.from_bytes(data[place : place + 2], "big")
        found.append(data[place + 2 : end].decode())
        place = end
    return found


def check(data: bytes, payload: Payload) -> None:
    found = read(data)
    camera, binding = payload.camera, payload.binding
    steps = payload.steps
    assert found["index"] == payload.samples.index.tolist()
    assert found["values"] == steps.encode(payload.samples.value).tolist()
    assert found["scale"] == (steps.slope, steps.levels)
    for row, wanted in zip(
        found["values"], steps.decode(steps.encode(payload.samples.value)), strict=True
    ):
        s, n = steps.slope, steps.levels
        exact = [v * (s * n + (64 - s) * v) / (64 * n * n) for v in row]
        assert struct.unpack("3f", struct.pack("3f", *exact)) == tuple(wanted.tolist())
    assert found["orientation"] == camera.orientation
    assert found["levels"] == (
        *camera.black_level,
        camera.white_level,
        *camera.as_shot_neutral,
        *camera.color_matrix,
    )
    assert found["place"] == (camera.cfa.encode(), camera.illuminant, *camera.crop)
    assert found["texts"][:2] == [camera.make, camera.model]
    tags = found["texts"][2:]
    assert dict(zip(tags[::2], tags[1::2], strict=True)) == camera.exif
    assert found["names"] == [payload.sampler, payload.demosaic]
    assert found["binding"] == (binding.scan, binding.pixels, binding.means)


def chosen(height: int, width: int, share: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.nonzero(torch.rand(height * width, generator=generator) < share).flatten()


def clusters(height: int, width: int) -> torch.Tensor:
    """Half of the pixels in every third square of 16 x 16."""
    index = chosen(height, width, 0.5)
    return index[(index // width // 16 + index % width // 16) % 3 == 0]


def crossings(height: int, width: int) -> torch.Tensor:
    y, x = torch.arange(3, height, 8).view(-1, 1), torch.arange(2, width, 7)
    return (y * width + x).flatten()


@pytest.mark.parametrize("coding", ["range", "packed"])
@pytest.mark.parametrize(
    ("cell", "index", "steps", "mode"),
    [
        (8, None, Steps(), 1),
        (8, chosen(96, 130, 0.05), Steps.linear(10), None),
        (16, clusters(96, 130), Steps.linear(14), 1),
        (50, chosen(96, 130, 0.05), Steps.linear(16), None),
        (0, chosen(96, 130, 0.05), Steps(65535, 0), 2),
        (0, chosen(96, 130, 0.9), Steps(5, 30), None),
        (8, crossings(96, 130), Steps(), 0),
        (3, torch.zeros(0, dtype=torch.int64), Steps(), 0),
        (0, torch.tensor([12479]), Steps(), 0),
    ],
)
def test_page_and_coder_agree(coding, cell, index, steps, mode, make_payload):
    payload = make_payload(cell=cell, index=index, steps=steps)
    data = encode(payload, coding=coding)
    check(data, payload)
    place = data.index(b"POSN") + 8
    if coding == "packed":
        assert data[place] == 3
    elif mode is not None:
        assert data[place] == mode


def test_page_and_golden_files_agree():
    for version in ("v1", "v2"):
        ranged, plain = (
            read((DATA / f"payload-{version}-{coding}.ispmeta").read_bytes())
            for coding in ("range", "packed")
        )
        assert ranged == plain
