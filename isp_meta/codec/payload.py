"""A payload: all that travels in a JPEG, as one value and as bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from ..camera import Camera
from ..frame import ParametricModel, Samples
from . import sections
from .binding import Binding
from .camera import pack_camera, unpack_camera
from .header import Header
from .parametric import pack_parametric, unpack_parametric
from .positions import pack_positions, unpack_positions
from .reader import Reader, text_field
from .values import check_room, pack_values, unpack_values

__all__ = ["Coding", "Payload", "decode", "encode"]

Coding = Literal["range", "packed"]

_KNOWN = frozenset({b"CAMR", b"IDNT", b"BIND", b"MEAN", b"POSN", b"VALU"})
_OPTIONAL = frozenset({b"pARA"})


@dataclass(frozen=True, eq=False)
class Payload:
    """Samples of a raw picture, and what recovery must know beside them.

    Attributes:
        samples: raw pixels; their values are quantized to ``bits`` once decoded.
        camera: the sensor and its calibration.
        binding: the finished picture that they belong to.
        bits: depth of a value, 8 to 16.
        demosaic, sampler: short names of what made the raw picture and chose the pixels.
        parametric: how to undo the rendering without samples, or None; rounded once decoded.

    Raises:
        ValueError: the binding is of a picture of another size.
    """

    samples: Samples
    camera: Camera
    binding: Binding
    bits: int = 14
    demosaic: str = ""
    sampler: str = ""
    parametric: ParametricModel | None = None

    def __post_init__(self) -> None:
        kept = (self.samples.width, self.samples.height)
        bound = (self.binding.width, self.binding.height)
        if kept != bound:
            raise ValueError(
                f"samples of {kept[0]}x{kept[1]} pixels cannot travel in a picture of "
                f"{bound[0]}x{bound[1]}"
            )


def encode(payload: Payload, *, coding: Coding = "range") -> bytes:
    """A payload's bytes, the same for equal payloads on every machine.

    Args:
        coding: "range" is small; "packed" stores every number in a fixed number of bits, for
            readers without a range coder.

    Raises:
        ValueError: sample values outside [0, 1], or a field that the format cannot hold.

    Source: docs/format.md.
    """
    if coding not in ("range", "packed"):
        raise ValueError(f"coding must be range or packed, not {coding!r}")
    samples, packed = payload.samples, coding == "packed"
    header = Header(
        width=samples.width,
        height=samples.height,
        cell=samples.cell,
        count=len(samples),
        bits=payload.bits,
        orientation=payload.camera.orientation,
    )
    content = {
        b"CAMR": pack_camera(payload.camera),
        b"IDNT": text_field(payload.sampler) + text_field(payload.demosaic),
        b"BIND": payload.binding.pack_digests(),
        b"MEAN": payload.binding.means,
        b"POSN": pack_positions(samples, header, packed=packed),
        b"VALU": pack_values(samples, header, packed=packed),
    }
    if payload.parametric is not None:
        content[b"pARA"] = pack_parametric(payload.parametric)
    return sections.join(header, content)


def decode(data: bytes) -> Payload:
    """The payload of bytes that :func:`encode` made, on the CPU.

    Raises:
        PayloadCorrupt: no payload, damaged, or of a version that this reader does not know.
    """
    header, content = sections.split(bytes(data), _KNOWN, _OPTIONAL)
    camera = unpack_camera(content[b"CAMR"], header.orientation)
    names = Reader(content[b"IDNT"], "section IDNT of the raw metadata")
    sampler, demosaic = names.text(), names.text()
    names.finish()
    binding = Binding.unpack(content[b"BIND"], content[b"MEAN"], header)
    check_room(content[b"VALU"], header)
    index = unpack_positions(content[b"POSN"], header)
    value = unpack_values(content[b"VALU"], index, header)
    samples = Samples(torch.from_numpy(index), value, header.height, header.width, header.cell)
    stored = content.get(b"pARA")
    parametric = None if stored is None else unpack_parametric(stored)
    return Payload(samples, camera, binding, header.bits, demosaic, sampler, parametric)
