"""Coded streams, magnitudes, mixed bits and packed bits."""

from __future__ import annotations

import functools

TABLE = [22, 36, 60, 98, 162, 267, 439, 720, 1179, 1921, 3108, 4971, 7812, 11955, 17625, 24743]
TABLE += [32768, 40793, 47911, 53581, 57724, 60565, 62428, 63615, 64357, 64816, 65097, 65269]
TABLE += [65374, 65438, 65476, 65500, 65514]


def quotient(a: int, b: int) -> int:
    """Drops the fraction, toward zero."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def confine(x: int, low: int, high: int) -> int:
    return min(max(x, low), high)


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


def squash(odds: int) -> int:
    j, rest = divmod(confine(odds, -2047, 2047) + 2048, 128)
    return TABLE[j] + (TABLE[j + 1] - TABLE[j]) * rest // 128


@functools.cache
def least_odds(sixteenth: int) -> int:
    wanted = 16 * sixteenth + 8
    return next((o for o in range(-2047, 2048) if squash(o) >= wanted), 2047)


def stretch(p: int) -> int:
    return least_odds(p // 16)


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

    def signed(self, model: Magnitude, most: int) -> int:
        value = self.magnitude(model, most)
        return -value if value and self.plain(1) else value

    def mixed(self, models: list[Bit], weights: list[int], rate: int = 16) -> int:
        odds = [stretch(confine(model.p, 512, 65024)) for model in models]
        total = sum(c * o for c, o in zip(weights, odds, strict=True))
        chance = confine(squash(total >> 16), 512, 65024)
        bit = self._bit((self.range >> 16) * chance)
        error = (65536 if bit else 0) - chance
        for i, model in enumerate(models):
            step = (odds[i] * error + 2 ** (rate - 1)) >> rate
            weights[i] = confine(weights[i] + step, -(2**22), 2**22)
            model.learn(bit)
        return bit

    def finish(self) -> None:
        assert self.place == len(self.data)
        assert self.code == 0


def packed(data: bytes, width: int, count: int) -> list[int]:
    assert len(data) == (width * count + 7) // 8
    digits = "".join(f"{byte:08b}" for byte in data)
    assert "1" not in digits[width * count :]
    return [int(digits[width * i : width * (i + 1)] or "0", 2) for i in range(count)]
