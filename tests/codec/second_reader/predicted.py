"""Section VALU, coding 2: predicted from samples and the picture."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from .streams import Bit, Magnitude, Stream, confine, quotient
from .values import BLUE, GREEN, RED, sign


class LeastSquares:
    def __init__(self, memory: int, ridge: int) -> None:
        self.memory, self.ridge = memory, ridge
        self.a, self.b = defaultdict(int), defaultdict(int)
        self.c = defaultdict(int)

    def predict(self, x: list[int]) -> int:
        return sum(self.c[i] * x[i] for i in range(len(x))) >> 16

    def learn(self, x: list[int], y: int) -> None:
        n = range(len(x))
        for i in n:
            for j in n:
                self.a[i, j] += x[i] * x[j] - (self.a[i, j] >> self.memory)
            self.b[i] += x[i] * y - (self.b[i] >> self.memory)
        for i in n:
            rest = 2**16 * self.b[i] - self.ridge * self.c[i]
            rest -= sum(self.a[i, j] * self.c[j] for j in n)
            step = quotient(rest, self.a[i, i] + self.ridge)
            self.c[i] = confine(self.c[i] + step, -(2**20), 2**20)


class Channel:
    def __init__(self) -> None:
        self.curve, self.steady = LeastSquares(12, 2**18), LeastSquares(12, 2**12)
        self.recent = [LeastSquares(8, 2**12), LeastSquares(8, 2**12)]
        self.side, self.step = defaultdict(Bit), defaultdict(Bit)
        self.side_weights = [2**14] * 5
        self.step_weights = [[2**14] * 5 for _ in range(8)]
        self.far = defaultdict(Magnitude)


class Sample:
    def __init__(self, picture: np.ndarray, y: int, x: int) -> None:
        self.y, self.x = y, x
        patch = np.pad(picture, ((0, 0), (2, 2), (2, 2)), "edge")[:, y : y + 5, x : x + 5]
        inner = patch[:, 1:4, 1:4]
        self.p = [16 * int(v) for v in patch[:, 2, 2]]
        self.ring = [16 * int(v.sum()) // 9 for v in inner]
        self.outer = [int(v.sum() - w.sum()) for v, w in zip(patch, inner, strict=True)]
        self.activity = int(inner[GREEN].max() - inner[GREEN].min())
        self.clipped = int(any(not 1 < v // 16 < 254 for v in self.p))
        self.offset, self.residual, self.value = [0, 0, 0], [0, 0, 0], [0, 0, 0]
        self.miss = [[0] * 5 for _ in range(3)]


def neighbors(sample: Sample, here: dict, above: dict, side: int) -> list[tuple[Sample, int]]:
    c = sample.x // side
    newest = {**above, **here}
    wanted = [here.get(c), newest.get(c - 1), above.get(c), above.get(c + 1)]
    wanted += [above.get(c - 1) if c - 1 in here else None, newest.get(c - 2), above.get(c + 2)]
    found = []
    for other in filter(None, wanted):
        d = ((other.y - sample.y) ** 2 + (other.x - sample.x) ** 2) * 16 // side**2 + 1
        k = sum(abs(p - q) for p, q in zip(sample.p, other.p, strict=True))
        found.append((other, d + d * k // 512))
    nearest = sorted(found, key=lambda pair: pair[1])[:4]
    return [(other, max(1, 2**20 // a)) for other, a in nearest]


def mean(near: list[tuple[Sample, int]], times: int, otherwise: int, of) -> int:
    if not near:
        return otherwise
    return quotient(times * sum(w * of(other) for other, w in near), sum(w for _, w in near))


def color_features(p: list[int]) -> list[int]:
    r, g, b = (v - 2048 for v in p)

    def times(x: int, y: int) -> int:
        return x * y >> 11

    squares = [times(v, v) for v in (r, g, b)]
    cubes = [times(s, v) for s, v in zip(squares, (r, g, b), strict=True)]
    return [1024, r, g, b, *squares, times(r, g), times(r, b), times(g, b), *cubes]


def half_octaves(x: int, most: int) -> int:
    length = x.bit_length()
    return min(2 * length + (x >> (length - 2) & 1 if length > 1 else 0), most)


def contexts(sample, channel, near, spread: int, f: int) -> tuple[list[int], list[int], int]:
    g = sample.residual[GREEN] if channel != GREEN else 0
    h = sample.residual[RED] if channel == BLUE else 0
    around = mean(near, 4, 256, lambda other: abs(other.residual[channel]))
    e = around + 2 * (abs(g) + abs(h) + abs(spread))
    scale, apart = half_octaves(e, 31), half_octaves(abs(spread), 15)
    look = half_octaves(sample.activity, 14) * 32 + sample.p[GREEN] // 256 * 2 + sample.clipped

    def side(x: int) -> int:
        return 0 if x < -16 else 2 if x > 16 else 1

    signs = [sign(other.residual[channel]) for other, _ in near] + [0, 0]
    of_side = [16 * scale + f, look, 16 * (3 * side(g) + side(h)) + f]
    of_side += [32 * apart + 2 * f + (spread > 0), 16 * (3 * signs[0] + signs[1]) + f]
    of_step = [4 * scale + f // 4, look]
    of_step += [16 * half_octaves(4 * abs(g), 15) + half_octaves(4 * abs(h), 15)]
    of_step += [16 * half_octaves(around, 31) + apart, 3 * scale + sign(g)]
    return of_side, of_step, half_octaves(e, 47)


def read_value(stream: Stream, model: Channel, situation, n: int, levels: int) -> int:
    of_side, of_step, far = situation
    above = 0
    if n < levels:
        above = stream.mixed([model.side[key] for key in enumerate(of_side)], model.side_weights)
    most, distance = (levels - n - 1 if above else n), 0
    while distance < min(8, most):
        keys = [(distance, i, 2 * context + above) for i, context in enumerate(of_step)]
        if not stream.mixed([model.step[key] for key in keys], model.step_weights[distance]):
            break
        distance += 1
    else:
        if most > 8:
            distance += stream.magnitude(model.far[far], levels.bit_length())
    assert distance <= most
    return n + 1 + distance if above else n - distance


def read_channel(stream, model: Channel, sample: Sample, channel: int, near, levels: int) -> None:
    colors = color_features(sample.p)
    base = confine(model.curve.predict(colors), 0, 4096)
    smooth = mean(near, 1, 0, lambda other: other.offset[channel])
    own = sample.offset[GREEN] if channel != GREEN else 0
    x = ([other.offset[channel] for other, _ in near] + [smooth] * 4)[:4]
    x += [p - q for p, q in zip(sample.p, sample.ring, strict=True)]
    x += [p - q for p, q in zip(sample.outer, sample.ring, strict=True)]
    x += [smooth, 256, own, sample.offset[RED] if channel == BLUE else 0]
    recent = model.recent[sample.clipped]
    beyond = [recent.predict(x), model.steady.predict(x), smooth, 0, own]
    found = [confine(base + by, 0, 4096) for by in beyond]
    trust = [2**40 // (8 + sum(o.miss[channel][i] for o, _ in near)) ** 2 for i in range(5)]
    blend = 16 * sum(t * c for t, c in zip(trust, found, strict=True))
    place = (blend + sum(trust) // 2) // sum(trust) * levels // 4096
    situation = contexts(sample, channel, near, found[0] - found[3], place % 16)
    value = read_value(stream, model, situation, place // 16, levels)
    u = (8192 * value // levels + 1) // 2
    sample.value[channel], sample.offset[channel] = value, u - base
    sample.residual[channel] = 16 * value - place
    sample.miss[channel] = [abs(u - c) for c in found]
    model.curve.learn(colors, u)
    recent.learn(x, u - base)
    model.steady.learn(x, u - base)


def read_predicted(data: bytes, index: list[int], picture: np.ndarray, side: int, levels: int):
    assert data[0] == 2
    stream, models = Stream(data[1:]), [Channel() for _ in range(3)]
    values, here, above, row = {}, {}, {}, 0
    width = picture.shape[2]
    for pixel in sorted(index, key=lambda i: (i // width // side, i % width // side, i)):
        sample = Sample(picture, pixel // width, pixel % width)
        if sample.y // side != row:
            above.update(here)
            here.clear()
            row = sample.y // side
        near = neighbors(sample, here, above, side)
        for channel in (GREEN, RED, BLUE):
            read_channel(stream, models[channel], sample, channel, near, levels)
        here[sample.x // side] = sample
        values[pixel] = sample.value
    stream.finish()
    return [values[pixel] for pixel in index]
