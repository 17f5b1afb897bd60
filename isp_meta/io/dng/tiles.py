"""The stored picture of a DNG, put together of its strips or tiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...processors.workers import workers
from ..refusals import damaged, unsupported
from .codecs import NotSupported, Samples, decode_segment
from .layout import CONVERT, Layout, Segment

__all__ = ["read_samples"]


def read_samples(data: bytes, layout: Layout) -> Samples:
    """Every sample of a raw picture, decoded from the file.

    Args:
        data: the whole file.
        layout: of its raw picture.

    Returns:
        (H, W, samples): uint8, uint16 or uint32, or float32 where samples are floating point.

    Raises:
        RawFileDamaged: a strip or tile does not decode to all of its samples.
        RawFileUnsupported: a coding that is not read.
    """
    kind = np.float32 if layout.floats else _integers(layout.bits)
    picture = np.empty((layout.height, layout.width, layout.samples), kind)
    view = memoryview(data)

    def place(segment: Segment) -> None:
        decoded = _decode(view[segment.offset : segment.offset + segment.count], segment, layout)
        planes = slice(segment.plane, segment.plane + layout.coded_samples)
        rows = slice(segment.top, segment.top + segment.rows)
        columns = slice(segment.left, segment.left + segment.columns)
        picture[rows, columns, planes] = decoded[: segment.rows, : segment.columns]

    with workers() as executor:
        # The first of them that fails speaks for all.
        list(executor.map(place, layout.segments))
    if layout.floats and not np.isfinite(picture).all():
        raise damaged(layout.name, "it holds values that are no numbers")
    for axis, fields in enumerate(layout.interleave):
        picture = _woven(picture, axis, fields)
    return picture


def _integers(bits: int) -> type[np.unsignedinteger]:
    return np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32


def _decode(data: memoryview, segment: Segment, layout: Layout) -> Samples:
    try:
        decoded = decode_segment(data, segment, layout)
    except NotSupported as error:
        raise unsupported(layout.name, str(error), CONVERT) from error
    except ValueError as error:
        raise damaged(layout.name, f"{segment.label} {error}") from error
    except Exception as error:  # hostile bytes make decoders raise nearly anything
        raise damaged(layout.name, f"{segment.label} does not decode ({error})") from error
    if decoded.dtype.kind == "u" and decoded.dtype.itemsize > 1:
        most = int(decoded.max(initial=0))
        if most >> 8 * _integers(layout.bits)().itemsize:
            raise damaged(layout.name, f"{segment.label} holds {most}, in {layout.bits} bits")
    return decoded


def _woven(picture: NDArray[np.generic], axis: int, fields: int) -> NDArray[np.generic]:
    """Puts rows or columns that are stored field by field into their places.

    Source: DNG specification 1.7.1, RowInterleaveFactor, ColumnInterleaveFactor.
    """
    if fields == 1:
        return picture
    length = picture.shape[axis]
    order = np.concatenate([np.arange(first, length, fields) for first in range(fields)])
    return picture.take(np.argsort(order), axis)
