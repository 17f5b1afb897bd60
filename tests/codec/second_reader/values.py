"""Section VALU, codings 0 and 1: packed, and predicted from samples."""

from __future__ import annotations

from collections import defaultdict

from .streams import Bit, Magnitude, Stream, packed, quotient

RED, GREEN, BLUE = range(3)


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
