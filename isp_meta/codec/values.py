"""Section VALU: what was kept at each sample, in steps of 1 / (2^bits - 1)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .. import _payload
from ..errors import PayloadCorrupt
from ..frame import Samples
from .header import Header

__all__ = ["pack_values", "quantize", "unpack_values"]

_PACKED, _RANGE = b"\x00", b"\x01"

# A stream cannot hold more samples a byte: three coded bits each, none below 0.0113 bits.
_MOST_SAMPLES_A_BYTE = 256


def quantize(value: Tensor, bits: int) -> Tensor:
    """What a decoder will see of these values.

        round(value (2^bits - 1)) / (2^bits - 1), halves to even

    Args:
        value: (...) float, in [0, 1].
        bits: depth, 8 to 16.

    Returns:
        (...) float32 on the same device; quantizing it again changes nothing.

    Raises:
        ValueError: a value outside [0, 1] or not a number, bits out of range.
    """
    return _from_codes(_to_codes(value, bits), bits)


def _to_codes(value: Tensor, bits: int) -> Tensor:
    if not 8 <= bits <= 16:
        raise ValueError(f"bits must be 8 to 16, not {bits}")
    if not bool(((value >= 0) & (value <= 1)).all()):
        raise ValueError("sample values must lie in [0, 1]")
    # In float64 the product of a float32 and a 16-bit number is exact, so rounding is the same
    # on every machine.
    codes: Tensor = torch.round(value.double() * (2**bits - 1))
    return codes.to(torch.int32)


def _from_codes(codes: Tensor, bits: int) -> Tensor:
    value: Tensor = codes.double() / (2**bits - 1)
    return value.float()


def pack_values(samples: Samples, header: Header, *, packed: bool) -> bytes:
    """The section's bytes: its coding, then every value.

    Raises:
        ValueError: a value outside [0, 1].
    """
    codes = _to_codes(samples.value.detach().cpu(), header.bits).numpy().astype(np.uint16)
    if packed:
        return _PACKED + _payload.pack(codes, header.bits)
    index = samples.index.cpu().contiguous().numpy()
    return _RANGE + _payload.encode_values(
        np.ascontiguousarray(codes), index, header.height, header.width, header.cell, header.bits
    )


def check_room(data: bytes, header: Header) -> None:
    """Raises PayloadCorrupt where a section is too short for the header's samples.

    To be called before anything of their size is allocated.
    """
    if header.count > _MOST_SAMPLES_A_BYTE * len(data):
        raise PayloadCorrupt("section VALU of the raw metadata is too short for its samples")


def unpack_values(data: bytes, index: npt.NDArray[np.int64], header: Header) -> Tensor:
    """(N, 3) float32 of a section's bytes.

    Raises:
        PayloadCorrupt: not what the encoder writes.
    """
    coding, coded = data[:1], data[1:]
    try:
        if coding == _PACKED:
            codes = _payload.unpack(coded, 3 * header.count, header.bits)
        elif coding == _RANGE:
            codes = _payload.decode_values(
                coded, index, header.height, header.width, header.cell, header.bits
            )
        else:
            raise PayloadCorrupt("the raw metadata's values are in an unknown coding")
    except _payload.CorruptStream as error:
        raise PayloadCorrupt(f"the raw metadata's values are damaged: {error}") from None
    return _from_codes(torch.from_numpy(codes.astype(np.int32)).view(-1, 3), header.bits)
