"""What a method's metadata takes, as it is really coded."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from torch import Tensor

from .. import codec, io
from ..capture.residual import enhance
from ..codec.header import Header
from ..codec.local_rbf import pack_local_rbf
from ..codec.parametric import pack_parametric
from ..codec.positions import pack_positions
from ..codec.values import pack_values
from ..decoder import Guide
from ..frame import Frame
from ..samples import ParametricModel

__all__ = ["Stored", "store"]


@dataclass(frozen=True)
class Stored:
    """Sizes of a picture's metadata, bits.

    Attributes:
        samples: how many pixels were kept.
        positions, values: of the two sections that hold them, as coded.
        parameters: of the sections that hold models fitted to the picture.
        enhancement: of the section that holds what recovery from those misses.
        total: of the whole payload: the above, the camera's calibration, the binding to the
            picture and the checksums, which together take some 400 bytes and a byte every 64x64
            pixels, whatever the method.
    """

    samples: int = 0
    positions: int = 0
    values: int = 0
    parameters: int = 0
    enhancement: int = 0
    total: int = 0

    @property
    def content(self) -> int:
        """What the method itself needs stored, bits: all but what is the same for every method."""
        return self.positions + self.values + self.parameters + self.enhancement


def store(
    frame: Frame,
    bits: int = 14,
    model: ParametricModel | None = None,
    enhancement: float | None = None,
) -> tuple[Frame, codec.Payload, Stored]:
    """Encodes what is kept of a picture as a JPEG would carry it, and decodes it again.

    Args:
        frame: with ``srgb``, ``samples`` and ``camera``; with ``raw`` where it is enhanced.
        bits: depth of a stored value, 8 to 16.
        model: fitted to the picture, or None.
        enhancement: coefficients' step of what is stored beside, as of
            :func:`isp_meta.embed`; None: nothing.

    Returns:
        What recovery knows: a frame with ``srgb``, ``camera`` and the samples as decoded, with
        their enhancement, without ``raw``; the payload as decoded; and what that took.
    """
    srgb: Tensor = frame.require("srgb", "store")
    pixels = io.to_uint8(srgb)
    binding = codec.Binding.of(pixels, bytes(32))
    samples = frame.require("samples", "store")
    # What editors are told is the same for all methods, and of no use to any.
    camera = frame.camera.replace(editing=None)
    payload = codec.Payload(samples, camera, binding, codec.Steps.linear(bits), parametric=model)
    payload, data = payload.rounded(), codec.encode(payload)
    if enhancement is not None:
        raw, guide = frame.require("raw", "store"), Guide(srgb)
        filtered, found = enhance(payload, len(data), raw, guide, enhancement)
        payload = dataclasses.replace(payload, adaptive_filter=filtered, enhancement=found)
        data = codec.encode(payload)
    decoded = codec.decode(data)
    header = Header.parse(data)
    parameters = b"" if model is None else pack_parametric(model)
    parameters += b"" if samples.model is None else pack_local_rbf(samples.model)
    mended = decoded.adaptive_filter
    parameters += b"" if mended is None else mended.pack()
    sizes = Stored(
        samples=header.count,
        positions=8 * len(pack_positions(samples, header, packed=False)),
        values=8 * len(pack_values(samples, header, "range")),
        parameters=8 * len(parameters),
        enhancement=8 * len(decoded.enhancement.pack()) if decoded.enhancement else 0,
        total=8 * len(data),
    )
    known = dataclasses.replace(
        decoded.samples, enhancement=decoded.enhancement, adaptive_filter=mended
    )
    return Frame(decoded.camera, srgb=srgb, samples=known, space=frame.space), decoded, sizes
