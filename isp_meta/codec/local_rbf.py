"""Section lRBF: a :class:`LocalRBFModel`, at most 4,338 bytes."""

from __future__ import annotations

import struct

from ..errors import PayloadCorrupt
from ..samples import LocalRBFModel
from .reader import Reader, tensor_field, text_field

__all__ = ["pack_local_rbf", "unpack_local_rbf"]

_SETTING = "BBfffBB"


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
            tensor_field(model.cubic, ">f4"),
            tensor_field((model.centers * model.COLOR_STEPS).round(), ">u1"),
            tensor_field((model.gains * model.GAIN_STEPS).round(), ">i2"),
            tensor_field(model.weights, ">f2"),
            text_field(model.network) if model.network else b"",
        ]
    )


def unpack_local_rbf(data: bytes) -> LocalRBFModel:
    """The model of a section's bytes, on the CPU.

    Raises:
        PayloadCorrupt: damaged, or values that no model has.
    """
    reader = Reader(data, "section lRBF of the raw metadata")

    kernel, neighbors, position_scale, color_scale, ridge, count, features = reader.unpack(_SETTING)
    if kernel >= len(LocalRBFModel.KERNELS):
        raise PayloadCorrupt(f"{reader.name} names an unknown kernel")
    cubic = reader.array(">f4", 3, 20)
    centers = reader.array(">u1", count, 3) / LocalRBFModel.COLOR_STEPS
    gains = reader.array(">i2", count, 3) / LocalRBFModel.GAIN_STEPS
    weights = reader.array(">f2", 3, features)
    network = reader.text() if features > max(LocalRBFModel.FEATURES) else ""
    reader.finish()
    name, scales = LocalRBFModel.KERNELS[kernel], (position_scale, color_scale, ridge)
    try:
        return LocalRBFModel(name, *scales, neighbors, cubic, centers, gains, weights, network)
    except ValueError as error:
        raise PayloadCorrupt(f"{reader.name} is wrong: {error}") from None
