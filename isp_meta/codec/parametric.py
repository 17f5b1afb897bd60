"""Section pARA: a :class:`ParametricModel`, at most 63,126 bytes."""

from __future__ import annotations

import struct

import numpy as np
import torch
from torch import Tensor

from ..errors import PayloadCorrupt
from ..frame import ParametricModel
from .reader import Reader

__all__ = ["pack_parametric", "unpack_parametric"]

_STEPS = 65535


def _pack(value: Tensor, dtype: str) -> bytes:
    return value.detach().cpu().numpy().astype(dtype).tobytes()


def pack_parametric(model: ParametricModel) -> bytes:
    """The section's bytes: those of the model :meth:`~ParametricModel.rounded`."""
    return b"".join(
        [
            *(_pack(value, ">f4") for value in (model.gains, model.matrix, model.curves)),
            struct.pack(">fH", model.radius, len(model.points)),
            _pack((model.points * _STEPS).round(), ">u2"),
            _pack(model.weights, ">f2"),
        ]
    )


def unpack_parametric(data: bytes) -> ParametricModel:
    """The model of a section's bytes, on the CPU.

    Raises:
        PayloadCorrupt: damaged, or values that no model has.
    """
    reader = Reader(data, "section pARA of the raw metadata")

    def numbers(dtype: str, *shape: int) -> Tensor:
        layout = np.dtype(dtype)
        stored = reader.take(layout.itemsize * int(np.prod(shape)))
        return torch.from_numpy(np.frombuffer(stored, layout).astype(np.float32)).view(shape)

    gains, matrix = numbers(">f4", 3), numbers(">f4", 3, 3)
    curves = numbers(">f4", 3, ParametricModel.KNOTS)
    radius, count = reader.unpack("fH")
    points, weights = numbers(">u2", count, 3) / _STEPS, numbers(">f2", count, 3)
    reader.finish()
    try:
        return ParametricModel(gains, matrix, curves, points, weights, radius)
    except ValueError as error:
        raise PayloadCorrupt(f"{reader.name} is wrong: {error}") from None
