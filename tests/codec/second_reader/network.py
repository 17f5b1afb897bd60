"""What a network that section lRBF names tells of a picture."""

from __future__ import annotations

import json
import struct
from math import erf
from pathlib import Path

import numpy as np

from .models import enlarged

Weights = dict[str, np.ndarray]


def read_safetensors(path: Path) -> Weights:
    """Arrays by name, that of the network's part left out."""
    data = path.read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    described = json.loads(data[8 : 8 + size])
    described.pop("__metadata__", None)
    found = {}
    for name, one in described.items():
        kind = {"F32": "<f4", "F16": "<f2"}[one["dtype"]]
        start, end = (8 + size + offset for offset in one["data_offsets"])
        values = np.frombuffer(data[start:end], kind).reshape(one["shape"])
        found[name.removeprefix("features.")] = values.astype(np.float64)
    return found


def told_by_network(weights: Weights, srgb: np.ndarray) -> np.ndarray:
    """(H, W, features) of a picture (H, W, 3) in [0, 1]."""
    height, width, _ = srgb.shape

    def convolve(name: str, picture: np.ndarray, step: int = 1) -> np.ndarray:
        return convolved(picture, weights[f"{name}.weight"], weights[f"{name}.bias"], step)

    wide = np.pad(srgb, ((0, -height % 8), (0, -width % 8), (0, 0)), "edge")
    half = gelu(convolve("at_half", unshuffled(seen(wide))))
    half += gelu(convolve("at_half_again", half))
    quarter = gelu(convolve("at_quarter", half, 2))
    quarter += gelu(convolve("at_quarter_again", quarter))
    eighth = gelu(convolve("at_eighth", quarter, 2))
    eighth += gelu(convolve("at_eighth_again", eighth))
    eighth += gelu(convolve("at_eighth_last", eighth))
    quarter = gelu(quarter + twice(convolve("to_quarter", eighth)))
    half += twice(convolve("to_half", quarter))
    half += gelu(convolve("merged", gelu(half)))
    coarse = twice(convolve("to_full", gelu(half)))[:height, :width]
    beyond = np.pad(srgb, ((1, 1), (1, 1), (0, 0)), "edge")
    fine = gelu(convolve("at_full", seen(beyond))[1:-1, 1:-1])
    joined = gelu(convolve("joined", np.concatenate([fine, coarse], -1)))
    length = np.sqrt((joined**2).mean(-1, keepdims=True) + 0.05)
    return convolve("last", joined / length)


def seen(srgb: np.ndarray) -> np.ndarray:
    clipped = (srgb >= 254 / 255).all(-1, keepdims=True)
    return np.concatenate([srgb - 0.5, 0.3 * np.log(srgb**2 + 0.005) + 0.5, clipped], -1)


def unshuffled(picture: np.ndarray) -> np.ndarray:
    """Each square of 2 x 2 as one pixel: of each channel its four values, row-major."""
    height, width, channels = picture.shape
    squares = picture.reshape(height // 2, 2, width // 2, 2, channels)
    return squares.transpose(0, 2, 4, 1, 3).reshape(height // 2, width // 2, 4 * channels)


def convolved(picture: np.ndarray, kernel: np.ndarray, bias: np.ndarray, step: int) -> np.ndarray:
    """kernel: (outputs, inputs, n, n); zeros lie around the picture."""
    n = kernel.shape[-1]
    wide = np.pad(picture, ((n // 2, n // 2), (n // 2, n // 2), (0, 0)))
    height, width, _ = picture.shape
    found = np.zeros((-(-height // step), -(-width // step), len(kernel))) + bias
    for dy in range(n):
        for dx in range(n):
            part = wide[dy : dy + height : step, dx : dx + width : step]
            found += part @ kernel[:, :, dy, dx].T
    return found


def gelu(x: np.ndarray) -> np.ndarray:
    return x * (1 + np.vectorize(erf)(x / np.sqrt(2))) / 2


def twice(picture: np.ndarray) -> np.ndarray:
    return enlarged(picture, 2, 2 * picture.shape[0], 2 * picture.shape[1])
