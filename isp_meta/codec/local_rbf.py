"""Section lRBF: a :class:`LocalRBFModel`, at most 4,338 bytes."""

from __future__ import annotations

import struct

import numpy as np
import torch
from torch import Tensor

from ..errors import PayloadCorrupt
from ..frame import LocalRBFModel
from .reader import Reader, text_field

__all__ = ["pack_local_rbf", "unpack_local_rbf"]

_SETTING = "BBfffBB"
_COLORS, _GAINS = 255, 4096


def _pack(value: Tensor, dtype: str) -> bytes:
    return value.detach().cpu().numpy().astype(dtype).tobytes()


def pack_local_rbf(model: LocalRBFModel) -> bytes:
    """The section's bytes: those of the model :meth:`~LocalRBFModel.rounded`."""
    model = model.rounded()
    setting = struct.pack(
        ">" + _SETTING,
        model.KERNELS.index(model.kernel),
        model.neighbors,
        model.position_scale,
        model.color_scale,
        model.ridge,
        len(model.centers),
        model.weights.shape[1],
    )
    return b"".join(
        [
            setting,
            _pack(model.cubic, ">f4"),
            _pack((model.centers * _COLORS).round(), ">u1"),
            _pack((model.gains * _GAINS).round(), ">i2"),
            _pack(model.weights, ">f2"),
            text_field(model.network) if model.network else b"",
        ]
    )


def unpack_local_rbf(data: bytes) -> LocalRBFModel:
    """The model of a section's bytes, on the CPU.

    Raises:
        PayloadCorrupt: damaged, or values that no model has.
    """
    reader = Reader(data, "section lRBF of the raw metadata")

    def numbers(dtype: str, *shape: int) -> Tensor:
        layout = np.dtype(dtype)
        stored = reader.take(layout.itemsize * int(np.prod(shape)))
        return torch.from_numpy(np.frombuffer(stored, layout).astype(np.float32)).view(shape)

    kernel, neighbors, position_scale, color_scale, ridge, count, features = reader.unpack(_SETTING)
    if kernel >= len(LocalRBFModel.KERNELS):
        raise PayloadCorrupt(f"{reader.name} names an unknown kernel")
    cubic = numbers(">f4", 3, 20)
    centers, gains = numbers(">u1", count, 3) / _COLORS, numbers(">i2", count, 3) / _GAINS
    weights = numbers(">f2", 3, features)
    network = reader.text() if features > max(LocalRBFModel.FEATURES) else ""
    reader.finish()
    name, scales = LocalRBFModel.KERNELS[kernel], (position_scale, color_scale, ridge)
    try:
        return LocalRBFModel(name, *scales, neighbors, cubic, centers, gains, weights, network)
    except ValueError as error:
        raise PayloadCorrupt(f"{reader.name} is wrong: {error}") from None
