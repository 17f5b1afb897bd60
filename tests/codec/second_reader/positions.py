"""Section POSN: where the samples lie."""

from __future__ import annotations

from collections import defaultdict

from .streams import Bit, Magnitude, Stream, packed


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
