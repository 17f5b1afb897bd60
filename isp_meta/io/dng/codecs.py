"""Bytes of one strip or tile to its samples, whatever their compression and predictor."""

from __future__ import annotations

import dataclasses
import zlib
from typing import Literal

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from .jpeg import decode_jpeg, read_jpeg_header
from .jpeg_xl import read_jpeg_xl_size
from .layout import DEFLATE, JPEG_XL, UNCOMPRESSED, Layout, Segment

__all__ = ["NotSupported", "decode_segment"]

Samples = NDArray[np.generic]

# Predictor tag: at which distance, in pixels, differences are taken (TIFF 6.0, section 14; TIFF
# Technical Note 3; DNG specification 1.7.1, Predictor).
_DIFFERENCES = {2: 1, 34892: 2, 34893: 4}
_FLOAT_DIFFERENCES = {3: 1, 34894: 2, 34895: 4}


class NotSupported(ValueError):
    """A whole segment of a coding that is not read."""


def decode_segment(data: memoryview, segment: Segment, layout: Layout) -> Samples:
    """All samples of one strip or tile.

    Args:
        data: its bytes.
        segment: where they belong.
        layout: how they are coded.

    Returns:
        (rows, columns, samples), at least those of the segment that lie in the picture: uint8,
        uint16 or uint32, float32 where samples are floating point.

    Raises:
        NotSupported: a coding that is not read.
        Exception: damaged bytes; mostly ValueError, with a text that follows the segment's name.
    """
    if layout.compression == UNCOMPRESSED:
        return _unpacked(data, segment, layout)
    if layout.compression in DEFLATE:
        return _unpacked(_inflated(data, segment, layout), segment, layout)
    if layout.compression == JPEG_XL:
        return _from_jpeg_xl(bytes(data), segment, layout)
    return _from_jpeg(bytes(data), segment, layout)


def _row_bytes(segment: Segment, layout: Layout) -> int:
    return -(-segment.coded_columns * layout.coded_samples * layout.bits // 8)


def _is_in_words(segment: Segment, layout: Layout) -> bool:
    """Whether samples of 9 to 15 bits are not packed, as some cameras write them: by their size."""
    words = segment.coded_columns * layout.coded_samples * 2
    size = segment.coded_rows * words
    return 8 < layout.bits < 16 and layout.compression == UNCOMPRESSED and segment.count == size


def _unpacked(data: memoryview | bytes, segment: Segment, layout: Layout) -> Samples:
    """Samples of rows that each start at a byte."""
    if _is_in_words(segment, layout):
        words = _unpacked(data, segment, dataclasses.replace(layout, bits=16))
        if int(words.max()) >> layout.bits:
            raise ValueError(f"holds codes of more than {layout.bits} bits")
        return words
    length = _row_bytes(segment, layout)
    rows = segment.coded_rows if layout.compression != UNCOMPRESSED else segment.rows
    have, need = len(data), segment.rows * length
    if have < need:
        raise ValueError(f"has {have} of {need} bytes")
    rows = min(rows, have // length)
    raw = np.frombuffer(data, np.uint8, rows * length).reshape(rows, length)
    if layout.fill_order == 2 and layout.compression == UNCOMPRESSED:
        raw = imagecodecs.bitorder_decode(raw)
    columns = segment.coded_columns * layout.coded_samples
    samples = _as_floats(raw, layout) if layout.floats else _as_integers(raw, columns, layout)
    return samples.reshape(rows, segment.coded_columns, layout.coded_samples)


def _as_integers(raw: NDArray[np.uint8], columns: int, layout: Layout) -> Samples:
    if layout.predictor != 1 and layout.bits not in (8, 16, 32):
        raise NotSupported(f"differences of {layout.bits} bits")
    if layout.bits in (8, 16, 32):
        found: Samples = raw.view(f"{layout.byte_order}u{layout.bits // 8}")
    else:
        # TIFF packs the highest bit first, whatever its byte order (TIFF 6.0, FillOrder).
        kind = np.uint8 if layout.bits < 8 else np.uint16
        packed = imagecodecs.packints_decode(raw.tobytes(), kind, layout.bits, runlen=columns)
        found = packed.reshape(len(raw), columns)
    if layout.predictor == 1:
        return found
    if layout.predictor not in _DIFFERENCES:
        raise NotSupported(f"predictor {layout.predictor} of whole numbers")
    distance = _DIFFERENCES[layout.predictor] * layout.coded_samples
    return _summed(found.astype(found.dtype.newbyteorder("=")), distance)


def _summed(differences: Samples, distance: int) -> Samples:
    """Running sums along rows, each over every ``distance``-th value, modulo the type's range."""
    for first in range(min(distance, differences.shape[1])):
        line = differences[:, first::distance]
        np.add.accumulate(line, axis=1, out=line)
    return differences


def _as_floats(raw: NDArray[np.uint8], layout: Layout) -> Samples:
    size = layout.bits // 8
    order: Literal["<", ">"] = "<" if layout.byte_order == "<" else ">"
    if layout.predictor in _FLOAT_DIFFERENCES:
        # Bytes of equal weight stand together, the highest first, and are differences.
        distance = _FLOAT_DIFFERENCES[layout.predictor] * layout.coded_samples
        planes = np.reshape(_summed(raw.copy(), distance), (len(raw), size, -1))
        bytewise = np.ascontiguousarray(planes.swapaxes(1, 2)).view(np.uint8)
        raw, order = bytewise.reshape(len(raw), -1), ">"
    elif layout.predictor != 1:
        raise NotSupported(f"predictor {layout.predictor} of floating point")
    if layout.bits == 24:
        return np.asarray(imagecodecs.float24_decode(raw.tobytes(), byteorder=order))
    return raw.view(f"{order}f{size}").astype(np.float32)


def _inflated(data: memoryview, segment: Segment, layout: Layout) -> bytes:
    need = segment.coded_rows * _row_bytes(segment, layout)
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(data, need)
        # Its end, with the checksum, and no more: a strip may go on below the picture's last row.
        found += stream.decompress(stream.unconsumed_tail, need + 1)
    except zlib.error as error:
        raise ValueError(f"is no Deflate stream ({error})") from error
    if not stream.eof:
        where = f"after {len(found)} of {need} bytes" if len(found) < need else "with more to come"
        raise ValueError(f"ends {where}")
    return found


def _from_jpeg(data: bytes, segment: Segment, layout: Layout) -> Samples:
    if layout.tables:
        # An abbreviated stream: its tables stand in a tag, between marks of their own.
        data = data[:2] + layout.tables[2:-2] + data[2:]
    header = read_jpeg_header(data)
    if header.other:
        raise NotSupported(f"{header.other} JPEG")
    shape = _shape(header.height, header.width * header.components, segment, layout)
    kind = f"{header.precision}-bit {'lossless' if header.lossless else 'DCT'} JPEG"
    if not header.lossless and header.precision != layout.bits:
        raise NotSupported(f"{kind} for samples of {layout.bits} bits")
    try:
        samples = decode_jpeg(data, header)
    except imagecodecs.Jpeg8Error as error:
        if "not supported" in str(error) or "Unsupported" in str(error):
            raise NotSupported(f"{kind} ({error})") from error
        raise ValueError(f"is no whole {kind} ({error})") from error
    return samples.reshape(shape)


def _shape(rows: int, line: int, segment: Segment, layout: Layout) -> tuple[int, int, int]:
    """How samples of a codec's picture, ``line`` in each of its rows, lie in the segment.

    A lossless JPEG is often half as wide, of two components, or of other sides: what counts is the
    sequence of samples (DNG specification 1.7.1, Compression).
    """
    samples = layout.coded_samples
    if segment.coded_rows * segment.coded_columns * samples == rows * line:
        return segment.coded_rows, segment.coded_columns, samples
    columns = line // samples
    whole = line % samples == 0 and columns in (segment.columns, segment.coded_columns)
    if whole and rows >= segment.rows and columns >= segment.columns:
        return rows, columns, samples
    want = f"{segment.coded_columns}x{segment.coded_rows}"
    raise ValueError(f"decodes to {columns}x{rows} of {want} pixels")


def _from_jpeg_xl(data: bytes, segment: Segment, layout: Layout) -> Samples:
    height, width = read_jpeg_xl_size(data)
    want = (segment.coded_rows, segment.coded_columns)
    fits = segment.rows <= height <= want[0] and segment.columns <= width <= want[1]
    if not fits:
        raise ValueError(f"decodes to {width}x{height} of {want[1]}x{want[0]} pixels")
    try:
        found: Samples = imagecodecs.jpegxl_decode(data)
    except imagecodecs.JpegxlError as error:
        raise ValueError(f"is no whole JPEG XL ({error})") from error
    shape = (height, width, layout.coded_samples)
    if found.shape not in (shape, shape[: 2 if layout.coded_samples == 1 else 3]):
        raise ValueError(f"decodes to {found.shape} of {shape}")
    kind = "f" if layout.floats else "u"
    if found.dtype.kind != kind or found.itemsize < min(2, layout.bits / 8):
        raise NotSupported(f"JPEG XL of {found.dtype} for samples of {layout.bits} bits")
    return found.reshape(shape)
