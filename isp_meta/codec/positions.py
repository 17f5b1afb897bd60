"""Section POSN: which pixels were kept."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .. import _payload
from ..errors import PayloadCorrupt
from ..samples import Samples
from .header import Header

__all__ = ["pack_positions", "unpack_positions"]


def pack_positions(samples: Samples, header: Header, *, packed: bool) -> bytes:
    """The section's bytes, in the mode that is smallest for these samples."""
    index = samples.index.cpu().contiguous().numpy()
    return _payload.encode_positions(index, header.height, header.width, header.cell, packed)


def unpack_positions(data: bytes, header: Header) -> npt.NDArray[np.int64]:
    """(N,) int64, strictly increasing, in range.

    Raises:
        PayloadCorrupt: not what the encoder writes.
    """
    try:
        return _payload.decode_positions(
            data, header.height, header.width, header.cell, header.count
        )
    except _payload.CorruptStream as error:
        raise PayloadCorrupt(f"the raw metadata's positions are damaged: {error}") from None
