"""Section fILT: the filter of what the samples give, and what it makes of that.

Pictures are (H, W, 3) float64 in [0, 1].
"""

from __future__ import annotations

import struct

import numpy as np

from .streams import Bit, Magnitude, Stream

OFFSETS = [
    (y, x)
    for y in range(4)
    for x in range(-3, 4)
    if abs(y) + abs(x) <= 3 and (y > 0 or (y == 0 and x > 0))
]


def read_filter(section: bytes, cfa: str) -> dict[str, object]:
    """Weights (4, 6, 3, 72), and both thresholds."""
    shape, raw, shown, bright, active = struct.unpack_from(">BBBHH", section)
    kinds = 6 if shape & 1 else 1
    # Phases and colors of the rows of weights.
    rows = [(p, "RGB".index(c)) for p, c in enumerate(cfa)] if shape & 2 else [(0, 0)]
    colors = 1 if shape & 2 else 3
    stream, before = Stream(section[7:]), [0] * 72 * colors
    sizes = [[Magnitude() for _ in range(6)] for _ in range(4)]
    negative = [[Bit() for _ in range(3)] for _ in range(4)]
    weights, steps = np.zeros((4, 6, 3, 72)), np.repeat([2.0**-raw, 2.0**-shown], 36)
    for phase, first in rows:
        for kind in range(kinds):
            levels = []
            for color in range(first, first + colors):
                for feature in range(72):
                    plane = feature // 12
                    which = 2 * (plane >= 3) + (plane % 3 != color)
                    old = before[len(levels)]
                    size = stream.magnitude(sizes[which][min(abs(old).bit_length(), 5)], 15)
                    sign = 0 if old == 0 else 1 if old < 0 else 2
                    levels.append(-size if size and stream.bit(negative[which][sign]) else size)
            before = levels
            found = np.array(levels).reshape(colors, 72) * steps
            at = slice(None) if kinds == 1 else kind
            phases = slice(None) if colors == 3 else phase
            weights[phases, at, first : first + colors] = found
    stream.finish()
    return {"weights": weights, "bright": (2 * bright + 1) / 510, "active": (2 * active + 1) / 510}


def apply_filter(found: dict[str, object], raw: np.ndarray, srgb: np.ndarray) -> np.ndarray:
    height, width, _ = raw.shape
    result = np.zeros_like(raw)

    def at(y: int, x: int) -> tuple[int, int]:
        return min(max(y, 0), height - 1), min(max(x, 0), width - 1)

    planes = np.concatenate([np.log(raw + 0.001), srgb], 2)
    weights = found["weights"]
    for y in range(height):
        for x in range(width):
            pairs = [(at(y + v, x + u), at(y - v, x - u)) for v, u in OFFSETS]
            around = [(y, x), *(place for pair in pairs for place in pair)]
            sums = [srgb[place].sum() for place in around]
            kind = int(max(sums) - min(sums) >= found["active"])
            if max(srgb[place].max() for place in around) < 254 / 255:
                kind += 4 if sums[0] >= found["bright"] else 2
            far = np.array([planes[a] + planes[b] - 2 * planes[y, x] for a, b in pairs])
            gain = weights[2 * (y % 2) + x % 2, kind] @ far.T.reshape(-1)
            result[y, x] = (raw[y, x] + 0.001) * (1 + np.clip(gain, -0.5, 1)) - 0.001
    return result.clip(0, 1)
