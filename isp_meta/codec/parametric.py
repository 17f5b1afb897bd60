"""Section pARA: a :class:`ParametricModel`, at most 63,126 bytes."""

from __future__ import annotations

import struct

from ..errors import PayloadCorrupt
from ..samples import ParametricModel
from .reader import Reader, tensor_field

__all__ = ["pack_parametric", "unpack_parametric"]


def pack_parametric(model: ParametricModel) -> bytes:
    """The section's bytes: those of the model :meth:`~ParametricModel.rounded`."""
    return b"".join(
        [
            *(tensor_field(value, ">f4") for value in (model.gains, model.matrix, model.curves)),
            struct.pack(">fH", model.radius, len(model.points)),
            tensor_field((model.points * model.COLOR_STEPS).round(), ">u2"),
            tensor_field(model.weights, ">f2"),
        ]
    )


def unpack_parametric(data: bytes) -> ParametricModel:
    """The model of a section's bytes, on the CPU.

    Raises:
        PayloadCorrupt: damaged, or values that no model has.
    """
    reader = Reader(data, "section pARA of the raw metadata")

    gains, matrix = reader.array(">f4", 3), reader.array(">f4", 3, 3)
    curves = reader.array(">f4", 3, ParametricModel.KNOTS)
    radius, count = reader.unpack("fH")
    points = reader.array(">u2", count, 3) / ParametricModel.COLOR_STEPS
    weights = reader.array(">f2", count, 3)
    reader.finish()
    try:
        return ParametricModel(gains, matrix, curves, points, weights, radius)
    except ValueError as error:
        raise PayloadCorrupt(f"{reader.name} is wrong: {error}") from None
