"""Sections pARA and lRBF: what they hold, and the raw picture that they say.

Pictures are (H, W, 3) float64 in [0, 1].
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import sqrt

import numpy as np

EPSILON = 0.001
POWERS = [(i, j, k) for i in range(4) for j in range(4) for k in range(4) if i + j + k <= 3]


@dataclass
class Formula:
    """Section pARA."""

    gains: np.ndarray
    matrix: np.ndarray
    curves: np.ndarray
    radius: float
    points: np.ndarray
    weights: np.ndarray

    def raw(self, srgb: np.ndarray) -> np.ndarray:
        knots = np.arange(256) / 255
        linear = [np.interp(srgb[..., c], knots, self.curves[c]) for c in range(3)]
        balanced = np.stack(linear, -1) @ self.matrix.T
        for point, weight in zip(self.points, self.weights, strict=True):
            distance = np.linalg.norm(srgb - point, axis=-1, keepdims=True)
            balanced += weight * np.maximum(0, 1 - distance / self.radius) ** 2
        return np.clip(balanced / self.gains, 0, 1)


def read_formula(data: bytes) -> Formula:
    gains, matrix, curves, radius = fields(data, 0, "f4", 3, 9, 768, 1)
    (count,) = struct.unpack_from(">H", data, 3124)
    (points,) = fields(data, 3126, "u2", 3 * count)
    (weights,) = fields(data, 3126 + 6 * count, "f2", 3 * count)
    assert len(data) == 3126 + 12 * count
    shaped = points.reshape(-1, 3) / 65535, weights.reshape(-1, 3)
    return Formula(gains, matrix.reshape(3, 3), curves.reshape(3, 256), radius[0], *shaped)


def fields(data: bytes, place: int, kind: str, *counts: int) -> list[np.ndarray]:
    """Arrays of big-endian numbers, one behind the other, as float64."""
    found = []
    for count in counts:
        found.append(np.frombuffer(data, f">{kind}", count, place).astype(np.float64))
        place += found[-1].size * np.dtype(kind).itemsize
    return found


@dataclass
class LocalRBF:
    """Section lRBF."""

    kernel: int
    neighbors: int
    scales: tuple[float, float, float]
    cubic: np.ndarray
    centers: np.ndarray
    gains: np.ndarray
    weights: np.ndarray
    network: str

    def raw(
        self,
        srgb: np.ndarray,
        index: list[int],
        value: np.ndarray,
        is_control: bool,
        told: np.ndarray | None = None,
    ) -> np.ndarray:
        """value: (N, 3) of the samples. told: (H, W, F - 33), what the network tells."""
        height, width, _ = srgb.shape
        guess = self.guess(srgb, told)
        points = self.points(srgb)
        at = points.reshape(-1, 7)[index]
        known = guess.reshape(-1, 3)[index]
        target = np.log((value + EPSILON) / (known + EPSILON))
        side = min(16, max(4, round(sqrt(height * width / len(index)))))
        gain = np.zeros_like(srgb)
        rows, columns = np.array(index) // width, np.array(index) % width
        for top in range(0, height, side):
            for left in range(0, width, side):
                middle = (side - 1) / 2
                distance = (rows - top - middle) ** 2 + (columns - left - middle) ** 2
                near = np.argsort(distance, kind="stable")[: self.neighbors]
                system = self.phi(at[near], at[near]) + self.scales[2] * np.eye(len(near))
                u = np.linalg.solve(system, target[near])
                square = np.s_[top : top + side, left : left + side]
                gain[square] = self.phi(points[square], at[near]) @ u
        raw = np.clip((guess + EPSILON) * np.exp(gain) - EPSILON, 0, 1)
        raw = without_specks(raw)
        if not is_control:
            raw.reshape(-1, 3)[index] = value
        return raw

    def phi(self, x: np.ndarray, centers: np.ndarray) -> np.ndarray:
        r = np.linalg.norm(x[..., None, :] - centers, axis=-1)
        return np.exp(-r) if self.kernel == 0 else 1 / (1 + r**2)

    def points(self, srgb: np.ndarray) -> np.ndarray:
        height, width, _ = srgb.shape
        around = np.stack([0.25 * srgb.mean(-1), 0.2 * (srgb >= 254 / 255).mean(-1)], -1)
        around = enlarged(square_means(around), 4, height, width)
        place = np.indices((height, width)).transpose(1, 2, 0)
        return np.concatenate(
            [place / self.scales[0], srgb / self.scales[1], around / self.scales[1]], -1
        )

    def guess(self, srgb: np.ndarray, told: np.ndarray | None) -> np.ndarray:
        r, g, b = np.moveaxis(srgb, -1, 0)
        monomials = np.stack([r**i * g**j * b**k for i, j, k in POWERS], -1)
        cubic = np.clip(monomials @ self.cubic.T, 0, 1)
        if not self.weights.shape[1]:
            return cubic
        features = picture_features(srgb)
        if told is not None:
            features = np.concatenate([features, told], -1)
        h = np.clip(self.smooth(srgb) + features @ self.weights.T, -2, 2)
        return np.clip((cubic + EPSILON) * np.exp(h) - EPSILON, 0, 1)

    def smooth(self, srgb: np.ndarray) -> np.ndarray:
        if not len(self.centers):
            return np.zeros_like(srgb)
        system = matern(self.centers, self.centers) + 1e-6 * np.eye(len(self.centers))
        return matern(srgb, self.centers) @ np.linalg.solve(system, self.gains)


def without_specks(raw: np.ndarray) -> np.ndarray:
    height, width, _ = raw.shape
    wide = np.pad(raw, ((2, 2), (2, 2), (0, 0)), "edge")
    around = [wide[y : y + height, x : x + width] for y in range(5) for x in range(5)]
    mean = np.mean(around, 0)
    return np.maximum(raw, 0.4 * np.minimum(mean, 0.04 - mean))


def read_local_rbf(data: bytes) -> LocalRBF:
    kernel, neighbors = data[:2]
    scales = struct.unpack_from(">3f", data, 2)
    m, f = data[14:16]
    (cubic,) = fields(data, 16, "f4", 60)
    (centers,) = fields(data, 256, "u1", 3 * m)
    (gains,) = fields(data, 256 + 3 * m, "i2", 3 * m)
    (weights,) = fields(data, 256 + 9 * m, "f2", 3 * f)
    rest = data[256 + 9 * m + 6 * f :]
    network = rest[2:].decode() if f > 33 else ""
    assert rest == (struct.pack(">H", len(network)) + network.encode() if f > 33 else b"")
    return LocalRBF(
        kernel,
        neighbors,
        scales,
        cubic.reshape(3, 20),
        centers.reshape(-1, 3) / 255,
        gains.reshape(-1, 3) / 4096,
        weights.reshape(3, f),
        network,
    )


def matern(x: np.ndarray, centers: np.ndarray) -> np.ndarray:
    r = 2 * sqrt(5) * np.linalg.norm(x[..., None, :] - centers, axis=-1)
    return (1 + r + r**2 / 3) * np.exp(-r)


def picture_features(srgb: np.ndarray) -> np.ndarray:
    height, width, _ = srgb.shape
    clipped = srgb >= 254 / 255
    bands, _ = pyramid(np.log(srgb**2 + 0.005), (1, 2, 4))
    coarse, rest = pyramid(np.log(square_means(srgb) ** 2 + 0.005), (2, 4))
    bands += [enlarged(band, 4, height, width) for band in coarse]
    rest = enlarged(rest, 4, height, width)
    m = srgb.mean(-1, keepdims=True)
    contrast = np.concatenate([band.mean(-1, keepdims=True) for band in bands], -1) * m
    level = rest.mean(-1, keepdims=True) ** 2
    all_ = clipped.all(-1, keepdims=True)
    return np.concatenate([clipped, all_, *bands, contrast, contrast * m, rest, level], -1)


def pyramid(picture: np.ndarray, distances: tuple[int, ...]) -> tuple[list[np.ndarray], np.ndarray]:
    """Bands and what remains of a picture that goes on beyond its edges as it is at them."""
    halo = sum(distances)
    wide = np.pad(picture, ((halo, halo), (halo, halo), (0, 0)), "edge")
    bands = []
    for d in distances:
        rows = (wide[: -2 * d] + 2 * wide[d:-d] + wide[2 * d :]) / 4
        smooth = (rows[:, : -2 * d] + 2 * rows[:, d:-d] + rows[:, 2 * d :]) / 4
        band = wide[d:-d, d:-d] - smooth
        halo -= d
        bands.append(band[halo : len(band) - halo, halo : band.shape[1] - halo])
        wide = smooth
    return bands, wide


def square_means(picture: np.ndarray) -> np.ndarray:
    height, width, channels = picture.shape
    wide = np.pad(picture, ((0, -height % 4), (0, -width % 4), (0, 0)), "edge")
    return wide.reshape(len(wide) // 4, 4, wide.shape[1] // 4, 4, channels).mean((1, 3))


def enlarged(means: np.ndarray, side: int, height: int, width: int) -> np.ndarray:
    """(height, width, ...): bilinear between the centers of squares of side x side pixels."""
    for axis, size in enumerate((height, width)):
        place = np.clip((np.arange(size) + 0.5) / side - 0.5, 0, means.shape[axis] - 1)
        before = np.floor(place).astype(int)
        after = np.minimum(before + 1, means.shape[axis] - 1)
        share = (place - before).reshape((-1, 1) if axis else (-1, 1, 1))
        means = np.take(means, before, axis) * (1 - share) + np.take(means, after, axis) * share
    return means
