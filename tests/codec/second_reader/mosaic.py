"""Section mOSA: the whole mosaic, alone or guided by the picture."""

from __future__ import annotations

import struct
import zlib
from collections import defaultdict
from dataclasses import dataclass, field
from math import isqrt

import numpy as np

from .streams import Bit, Magnitude, Stream, confine, quotient

BEFORE = [(0, -1), (0, -2), (0, -3), (0, -4)]
BEFORE += [(dy, dx) for dy in (-1, -2) for dx in range(-2, 3)]
AROUND = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]
AROUND += [(-2, 0), (2, 0), (0, -2), (0, 2)]
NEAR = [(0, -1), (0, -2), (-1, 0), (-2, 0)]
FAR = [(-1, -1), (-1, 1), (-2, -2), (-2, 2), (0, -3), (-1, -2), (-1, 2), (-2, -1)]


@dataclass
class Model:
    colors: list[int]
    columns: int
    is_guided: bool
    top: int = 0
    codes: list[int] = field(default_factory=list)
    thresholds: list[int] = field(default_factory=list)
    curves: list[list[list[int]]] = field(default_factory=list)
    weights: list[list[list[int]]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return len(self.colors) // self.columns

    def phase(self, y: int, x: int) -> int:
        return y % self.rows * self.columns + x % self.columns

    def color(self, y: int, x: int) -> int:
        return self.colors[self.phase(y, x)]

    def rank_of_code(self, code: int) -> int:
        if code >= self.codes[-1]:
            return 16 * self.top
        if code < self.codes[0]:
            return 0
        i = sum(one <= code for one in self.codes) - 1
        return 16 * i + 16 * (code - self.codes[i]) // (self.codes[i + 1] - self.codes[i])

    def rank_of(self, sixteenths: int) -> int:
        if not self.codes:
            return confine(sixteenths, 0, 16 * self.top)
        if sixteenths <= 0:
            return self.rank_of_code(0)
        whole, part = divmod(sixteenths, 16)
        low, high = self.rank_of_code(whole), self.rank_of_code(whole + 1)
        return low + ((high - low) * part >> 4)


def read_model(data: bytes, model: Model) -> None:
    stream = Stream(data)
    gap, start, curve, size = (Magnitude() for _ in range(4))
    model.top = stream.plain(16)
    if stream.plain(1):
        last = -1
        for _ in range(model.top + 1):
            last += 1 + stream.magnitude(gap, 16)
            model.codes.append(last)
    threshold = 0
    for _ in range(31):
        threshold += stream.signed(start, 23)
        model.thresholds.append(threshold)
    if model.is_guided:
        model.curves = [[read_curve(stream, curve) for _ in range(3)] for _ in range(3)]
    features = 14 + 1 + (3 * 13 if model.is_guided else 0)
    for _ in model.colors:
        classes: list[list[int]] = []
        for k in range(8):
            before = classes[k - 1] if k else [0] * features
            classes.append([confine(w + stream.signed(size, 22), -(2**20), 2**20) for w in before])
        model.weights.append(classes)
    stream.finish()


def read_curve(stream: Stream, model: Magnitude) -> list[int]:
    points, value, slope = [], 0, 0
    for _ in range(256):
        slope = confine(slope + stream.signed(model, 25), -(2**22), 2**22)
        value = confine(value + slope, -(2**22), 2**22)
        points.append(value)
    return points


class Mean:
    def __init__(self) -> None:
        self.m, self.n = 0, 0

    def learn(self, a: int) -> None:
        self.n = min(self.n + 1, 250)
        self.m += quotient(256 * a - self.m, self.n + 1)


def quarters(v: int) -> int:
    return [0, 4, 6, 8][v] if v < 4 else 4 * v.bit_length() + (v >> (v.bit_length() - 3) & 3)


class Stripe:
    """Rows of a mosaic while they are read."""

    def __init__(
        self, model: Model, picture: np.ndarray | None, top: int, rows: int, width: int
    ) -> None:
        self.model, self.top, self.rows, self.width = model, top, rows, width
        self.rest: dict[tuple[int, int], int] = {}
        self.miss: dict[tuple[int, int], int] = {}
        self.ranks = [[0] * width for _ in range(rows)]
        self.level_mean: dict[int, Mean] = defaultdict(Mean)
        self.texture_mean: dict[tuple[int, int], Mean] = defaultdict(Mean)
        self.side, self.step, self.low = defaultdict(Bit), defaultdict(Bit), defaultdict(Bit)
        self.side_weights = defaultdict(lambda: [20480] * 4)
        self.step_weights = defaultdict(lambda: [20480] * 4)
        self.far = defaultdict(Magnitude)
        self.guess = [] if picture is None else [self.guessed(picture, c) for c in range(3)]
        self.twins = {
            (py, px): self.same_color(py, px)
            for py in range(model.rows)
            for px in range(model.columns)
        }

    def guessed(self, picture: np.ndarray, color: int) -> dict[tuple[int, int], int]:
        _, height, width = picture.shape
        curves, found, ranks = self.model.curves[color], {}, {}
        for y in range(-2, self.rows + 2):
            for x in range(-2, width + 2):
                at = picture[:, confine(self.top + y, 0, height - 1), confine(x, 0, width - 1)]
                code = sum(curves[channel][int(v)] for channel, v in enumerate(at))
                if code not in ranks:
                    ranks[code] = self.model.rank_of(code)
                found[y, x] = ranks[code]
        return found

    def same_color(self, py: int, px: int) -> list[tuple[int, int]]:
        model, found = self.model, []
        for distance in range(1, 7):
            for dy in range(0, -distance - 1, -1):
                side = distance + dy
                for dx in sorted({-side, side}):
                    before = dy < 0 or dx < 0
                    if before and model.color(py + dy, px + dx) == model.color(py, px):
                        found.append((dy, dx))
        return found

    def base(self, y: int, x: int, color: int) -> int:
        if self.guess:
            return self.guess[color][y, x]
        for dy, dx in self.twins[(self.top + y) % self.model.rows, x % self.model.columns]:
            if (y + dy, x + dx) in self.rest:
                return self.rest[y + dy, x + dx]
        return 8 * self.model.top

    def change(self, y: int, x: int, color: int) -> int:
        if self.guess:
            g = self.guess[color]
            return sum(
                abs(g[y + dy, x + dx] - g[y, x]) for dy, dx in ((-1, 0), (0, -1), (0, 1), (1, 0))
            )
        twins = self.twins[(self.top + y) % self.model.rows, x % self.model.columns]
        if len(twins) < 2 or y < 6 or not 6 <= x < self.width - 6:
            return 0
        one, two = (self.rest[y + dy, x + dx] for dy, dx in twins[:2])
        return 2 * abs(one - two)

    def features(self, y: int, x: int, color: int, base: int) -> list[int]:
        places = [(y + dy, x + dx) for dy, dx in BEFORE]
        if not self.guess:
            return [self.rest[at] - base if at in self.rest else 0 for at in places] + [256]
        found = [self.rest.get(at, 0) for at in places] + [256]
        for g in self.guess:
            found += [g[y + dy, x + dx] - g[y, x] for dy, dx in AROUND]
        return found + [
            g[y, x] - (8 * self.model.top if c == color else base) for c, g in enumerate(self.guess)
        ]

    def sign(self, y: int, x: int) -> int:
        miss = self.miss.get((y, x), 0)
        return 0 if miss < 0 else 2 if miss > 0 else 1

    def read_pixel(self, stream: Stream, y: int, x: int) -> None:
        model = self.model
        color, phase = model.color(self.top + y, x), model.phase(self.top + y, x)
        base = self.base(y, x, color)
        level = sum(threshold <= base for threshold in model.thresholds)
        x_ = self.features(y, x, color, base)
        total = sum(w * f for w, f in zip(model.weights[phase][level // 4], x_, strict=True))
        prediction = confine(base + ((total + 2**15) >> 16), 0, 16 * model.top)

        def a(dy: int, dx: int) -> int:
            return abs(self.miss.get((y + dy, x + dx), 0))

        around = (2 * sum(a(*at) for at in NEAR) + sum(a(*at) for at in FAR)) // 16
        change = self.change(y, x, color)
        usual = self.level_mean[level].m // 256
        texture = sum(k * usual <= change for k in (2, 5, 12))
        expected = self.texture_mean[level, texture]
        e = expected.m // 256
        scale = (around + e) // 2
        shift = confine((scale // 16).bit_length() - 2, 0, 12)
        part = prediction % 16 // 4 if shift < 3 else 0

        def s(dy: int, dx: int) -> int:
            return self.sign(y + dy, x + dx)

        def u(v: int) -> int:
            return min(23, quarters(v // 2) // 2)

        of_side = [
            13 * part + shift,
            27 * s(0, -1) + 9 * s(-1, 0) + 3 * s(0, -2) + s(-2, 0),
            4 * level + texture,
            9 * min(40, quarters(around) // 2) + 3 * s(-1, -1) + s(-1, 1),
        ]
        of_step = [
            4 * min(80, quarters(scale)) + part,
            13 * (4 * level + texture) + shift,
            20 * min(80, quarters(around)) + min(19, quarters(e) // 4),
            24 * u(a(0, -1)) + u(a(-1, 0)),
        ]
        rank = self.read_rank(stream, prediction // 16, shift, of_side, of_step)
        self.ranks[y][x] = rank
        self.rest[y, x] = 16 * rank - (base if self.guess else 0)
        self.miss[y, x] = 16 * rank - prediction
        self.level_mean[level].learn(a(0, 0))
        expected.learn(a(0, 0))

    def read_rank(
        self, stream: Stream, f: int, shift: int, of_side: list[int], of_step: list[int]
    ) -> int:
        above = 0
        if f != self.model.top:
            models = [self.side[key] for key in enumerate(of_side)]
            above = stream.mixed(models, self.side_weights[shift], 18)
        k = 0
        while k < 24:
            models = [self.step[k, i, 2 * c + above] for i, c in enumerate(of_step)]
            if not stream.mixed(models, self.step_weights[shift, k], 18):
                break
            k += 1
        d = k + stream.magnitude(self.far[shift], 16) if k == 24 else k
        left, node = shift, 1
        while left and node < 4:
            bit = stream.bit(self.low[shift, k, node])
            d, node, left = 2 * d + bit, 2 * node + bit, left - 1
        d = d << left | stream.plain(left)
        rank = f + 1 + d if above else f - d
        assert 0 <= rank <= self.model.top
        return rank


def read_mosaic(
    data: bytes, cfa: str, height: int, width: int, picture: np.ndarray | None = None
) -> np.ndarray:
    """(1 or 3, H, W) codes of the section's content; picture: (3, H, W), needed in mode 1."""
    mode, checksum = struct.unpack_from(">BI", data)
    data = data[5:]
    channels, columns = (3, 3) if cfa == "RGB" else (1, isqrt(len(cfa)))
    colors = ["RGB".index(letter) for letter in cfa.replace("W", "G")]
    width *= channels
    if picture is not None:
        picture = np.repeat(picture, channels, axis=2)
    tall = confine(12 * (2**21 // width // 12), 12, 240)
    tops = range(0, height, tall)
    lengths = struct.unpack_from(f">{1 + len(tops)}I", data)
    streams, place = [], 4 * len(lengths)
    for size in lengths:
        streams.append(data[place : place + size])
        place += size
    assert place == len(data)
    model = Model(colors, columns, mode == 1)
    read_model(streams[0], model)
    ranks: list[list[int]] = []
    for top, part in zip(tops, streams[1:], strict=True):
        stripe = Stripe(model, picture if mode == 1 else None, top, min(tall, height - top), width)
        stream = Stream(part)
        for y in range(stripe.rows):
            for x in range(width):
                stripe.read_pixel(stream, y, x)
        stream.finish()
        ranks += stripe.ranks
    codes = np.array(ranks) if not model.codes else np.array(model.codes)[np.array(ranks)]
    assert zlib.crc32(codes.astype(">u2").tobytes()) == checksum
    return codes.reshape(height, -1, channels).transpose(2, 0, 1)
