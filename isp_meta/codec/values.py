"""Section VALU: what was kept at each sample, as codes on the scale of the payload's steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from .. import _payload
from ..errors import PayloadCorrupt
from ..samples import Samples
from .header import Header
from .reader import as_array

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Coding", "check_room", "needs_pixels", "pack_values", "unpack_values"]

Coding = Literal["predicted", "range", "packed"]

_PACKED, _RANGE, _PREDICTED = b"\x00", b"\x01", b"\x02"

# A stream cannot hold more samples a byte: three coded bits each, none below 0.0113 bits.
_MOST_SAMPLES_A_BYTE = 256


def pack_values(
    samples: Samples, header: Header, coding: Coding, pixels: Tensor | None = None
) -> bytes:
    """The section's bytes: its coding, then every value.

    Args:
        pixels: (3, H, W) uint8, the finished picture, for "predicted".

    Raises:
        ValueError: a value outside [0, 1].
    """
    steps = header.steps
    codes = steps.encode(samples.value.detach().cpu()).numpy().astype(np.uint16)
    if coding == "packed":
        return _PACKED + _payload.pack(codes, steps.bits)
    codes, index = np.ascontiguousarray(codes), samples.index.cpu().contiguous().numpy()
    if coding == "range":
        return _RANGE + _payload.encode_values(
            codes, index, header.height, header.width, header.cell, steps.levels
        )
    assert pixels is not None
    return _PREDICTED + _payload.encode_predicted(
        codes, index, np.ascontiguousarray(as_array(pixels)), header.cell, steps.levels
    )


def check_room(data: bytes, header: Header) -> None:
    """Raises PayloadCorrupt where a section is too short for the header's samples.

    To be called before anything of their size is allocated.
    """
    if header.count > _MOST_SAMPLES_A_BYTE * len(data):
        raise PayloadCorrupt("section VALU of the raw metadata is too short for its samples")


def needs_pixels(data: bytes) -> bool:
    """Whether a section's values can be read beside their picture alone."""
    return data[:1] == _PREDICTED


def unpack_values(
    data: bytes,
    index: npt.NDArray[np.int64],
    header: Header,
    pixels: npt.NDArray[np.uint8] | None = None,
) -> npt.NDArray[np.float32]:
    """(N, 3) of a section's bytes.

    Args:
        pixels: (3, H, W) uint8, those of :func:`pack_values`, where :func:`needs_pixels`.

    Raises:
        PayloadCorrupt: not what the encoder writes.
    """
    coding, coded, steps = data[:1], data[1:], header.steps
    try:
        if coding == _PACKED:
            codes = _payload.unpack(coded, 3 * header.count, steps.bits)
            if codes.size and int(codes.max()) > steps.levels:
                raise PayloadCorrupt("the raw metadata has a value beyond white")
        elif coding == _RANGE:
            codes = _payload.decode_values(
                coded, index, header.height, header.width, header.cell, steps.levels
            )
        elif coding == _PREDICTED and pixels is not None:
            codes = _payload.decode_predicted(
                coded, index, np.ascontiguousarray(pixels), header.cell, steps.levels
            )
        else:
            raise PayloadCorrupt("the raw metadata's values are in an unknown coding")
    except _payload.CorruptStream as error:
        raise PayloadCorrupt(f"the raw metadata's values are damaged: {error}") from None
    return steps.decode_array(codes.reshape(-1, 3))
