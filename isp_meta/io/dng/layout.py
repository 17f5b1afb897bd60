"""How a DNG's raw picture lies in its file: strips or tiles, their places and their coding."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ..refusals import cut_off, damaged, unsupported
from .tags import Tag, TiffTags

__all__ = [
    "CONVERT",
    "DEFLATE",
    "JPEG",
    "JPEG_XL",
    "LOSSY_JPEG",
    "UNCOMPRESSED",
    "Layout",
    "Segment",
    "read_layout",
]

UNCOMPRESSED, JPEG, LOSSY_JPEG, JPEG_XL = 1, 7, 34892, 52546
DEFLATE = (8, 32946)
# How many samples a byte can stand for, beyond any photograph: a file that claims more is forged.
_MOST_SAMPLES_A_BYTE = {UNCOMPRESSED: 8, JPEG: 1 << 10, LOSSY_JPEG: 1 << 10, JPEG_XL: 1 << 12}
_MOST_SAMPLES_A_BYTE |= dict.fromkeys(DEFLATE, 1 << 11)
_UNSUSPECTED = 1 << 23  # samples that any file may claim: a dark frame packs to nothing
_MOST_SAMPLES = 1 << 28
_MOST_SEGMENTS = 1 << 16
CONVERT = "convert it by Adobe DNG Converter, which writes lossless JPEG"
_OTHER_CODINGS = {
    2: "CCITT coding",
    5: "LZW compression",
    6: "old-style JPEG compression",
    9: "VC-5 compression (GoPro GPR)",
    32767: "Sony's ARW compression",
    32773: "PackBits compression",
    34713: "Nikon's NEF compression",
    34925: "LZMA compression",
    50000: "Zstandard compression",
    65535: "Pentax's PEF compression",
}
_UINT, _FLOAT, _UNTOLD = 1, 3, 4  # SampleFormat


@dataclass(frozen=True)
class Segment:
    """One strip or tile.

    Attributes:
        label: for errors: "tile 3 of 6".
        plane: of its first sample; all planes unless they are stored apart.
        top, left: of its first pixel in the picture.
        rows, columns: of its pixels that lie in the picture.
        coded_rows, coded_columns: that its bytes are of; a tile may reach beyond the picture.
        offset, count: of its bytes in the file.
    """

    label: str
    plane: int
    top: int
    left: int
    rows: int
    columns: int
    coded_rows: int
    coded_columns: int
    offset: int
    count: int


@dataclass(frozen=True)
class Layout:
    """Shape and coding of a raw picture.

    Attributes:
        name: of the file, for errors.
        height, width, samples: of the whole picture; samples a pixel.
        bits: a sample.
        floats: whether samples are floating point.
        compression, fill_order: as in the tags of that name.
        predictor: as in its tag, of Deflate; 1 of all else.
        planar: whether each plane is stored on its own.
        byte_order: "<" or ">".
        tables: JPEGTables, or nothing.
        interleave: (rows, columns): into how many fields, one after the other, they are sorted.
        segments: that cover every pixel once.
    """

    name: object
    height: int
    width: int
    samples: int
    bits: int
    floats: bool
    compression: int
    predictor: int
    fill_order: int
    planar: bool
    byte_order: str
    tables: bytes
    interleave: tuple[int, int]
    segments: tuple[Segment, ...]

    @property
    def coded_samples(self) -> int:
        """Samples at each pixel of one segment."""
        return 1 if self.planar else self.samples


def read_layout(tags: TiffTags, size: int, name: object) -> Layout:
    """Where the raw picture lies, checked against the file's size before any memory is taken.

    Args:
        tags: of a DNG.
        size: of the file, bytes.
        name: of the file, for errors.

    Raises:
        RawFileDamaged: strips or tiles are missing or beyond the end; sizes that make no sense.
        RawFileUnsupported: a coding that is not read.

    Source: TIFF 6.0, sections 3 and 15; DNG specification 1.7.1, chapter 4.
    """
    height, width = (_whole(tags, code, 0) for code in (Tag.IMAGE_LENGTH, Tag.IMAGE_WIDTH))
    samples = _whole(tags, Tag.SAMPLES_PER_PIXEL, 1)
    if not (height > 0 and width > 0 and samples > 0):
        raise damaged(name, f"it claims {width}x{height} pixels of {samples} samples")
    compression = _whole(tags, Tag.COMPRESSION, UNCOMPRESSED)
    if compression not in _MOST_SAMPLES_A_BYTE:
        what = _OTHER_CODINGS.get(compression, f"compression {compression}")
        raise unsupported(name, what, CONVERT)
    planar = _whole(tags, Tag.PLANAR_CONFIGURATION, 1) == 2 and samples > 1
    bits, floats = _depth(tags, name)
    segments = tuple(_segments(tags, (height, width), samples if planar else 1, name))
    rows, columns = (
        _whole(tags, code, 1) for code in (Tag.ROW_INTERLEAVE_FACTOR, Tag.COLUMN_INTERLEAVE_FACTOR)
    )
    if not (0 < rows <= height and 0 < columns <= width):
        raise damaged(name, f"its lines are sorted into {rows}x{columns} fields")
    layout = Layout(
        name=name,
        height=height,
        width=width,
        samples=samples,
        bits=bits,
        floats=floats,
        compression=compression,
        predictor=_whole(tags, Tag.PREDICTOR, 1) if compression in DEFLATE else 1,
        fill_order=_whole(tags, Tag.FILL_ORDER, 1),
        planar=planar,
        byte_order=tags.byte_order,
        tables=bytes(int(v) for v in tags.numbers.get(Tag.JPEG_TABLES, ())),
        interleave=(rows, columns),
        segments=segments,
    )
    if any(value != 1 for value in tags.numbers.get(Tag.SUB_TILE_BLOCK_SIZE, ())):
        raise unsupported(name, "tiles in blocks (SubTileBlockSize)", CONVERT)
    _check_bytes(layout, size)
    return layout


def _whole(tags: TiffTags, code: int, default: int) -> int:
    values = tags.numbers.get(code, ())
    return int(values[0]) if values and math.isfinite(values[0]) else default


def _depth(tags: TiffTags, name: object) -> tuple[int, bool]:
    """Bits a sample, and whether they are floating point."""
    bits = set(tags.numbers.get(Tag.BITS_PER_SAMPLE, (1.0,)))
    told = tags.numbers.get(Tag.SAMPLE_FORMAT, (float(_UINT),))
    formats = {float(_UINT) if kind == _UNTOLD else kind for kind in told}
    if len(bits) > 1 or len(formats) > 1:
        raise unsupported(name, "samples of different kinds at one pixel", CONVERT)
    depth, kind = int(bits.pop()), int(formats.pop())
    if kind == _FLOAT and depth in (16, 24, 32):
        return depth, True
    if kind == _UINT and (2 <= depth <= 16 or depth == 32):
        return depth, False
    kinds = {_UINT: "whole numbers", 2: "signed numbers", _FLOAT: "floating point"}
    raise unsupported(name, f"samples of {depth} bits ({kinds.get(kind, kind)})", CONVERT)


def _segments(
    tags: TiffTags, shape: tuple[int, int], planes: int, name: object
) -> Iterator[Segment]:
    height, width = shape
    tiled = Tag.TILE_OFFSETS in tags.numbers
    kind = "tile" if tiled else "strip"
    if tiled:
        rows, columns = _whole(tags, Tag.TILE_LENGTH, 0), _whole(tags, Tag.TILE_WIDTH, 0)
        places, sizes = tags.numbers[Tag.TILE_OFFSETS], tags.numbers.get(Tag.TILE_BYTE_COUNTS, ())
    else:
        rows, columns = min(_whole(tags, Tag.ROWS_PER_STRIP, height), height), width
        places = tags.numbers.get(Tag.STRIP_OFFSETS, ())
        sizes = tags.numbers.get(Tag.STRIP_BYTE_COUNTS, ())
    if rows <= 0 or columns <= 0:
        raise damaged(name, f"its {kind}s have {columns}x{rows} pixels")
    down, across = -(-height // rows), -(-width // columns)
    claimed = planes * down * across
    if planes * down * rows * across * columns > _MOST_SAMPLES or claimed > _MOST_SEGMENTS:
        raise damaged(name, f"it claims {width}x{height} pixels in {claimed} {kind}s")
    if min(len(places), len(sizes)) < claimed:
        have = min(len(places), len(sizes))
        raise damaged(name, f"the places of {have} of {claimed} {kind}s are there")
    for index in range(claimed):
        plane, at = divmod(index, down * across)
        top, left = at // across * rows, at % across * columns
        within = min(rows, height - top)
        yield Segment(
            label=f"{kind} {index + 1} of {claimed}",
            plane=plane,
            top=top,
            left=left,
            rows=within,
            columns=min(columns, width - left),
            coded_rows=rows if tiled else within,
            coded_columns=columns,
            offset=int(places[index]),
            count=int(sizes[index]),
        )


def _check_bytes(layout: Layout, size: int) -> None:
    """Refuses segments without bytes or beyond the end, and more samples than bytes can hold."""
    name, segments = layout.name, layout.segments
    for segment in segments:
        if segment.offset <= 0 or segment.count <= 0:
            raise damaged(name, f"{segment.label} is missing: it has no bytes")
        if segment.offset + segment.count > size:
            need = max(s.offset + s.count for s in segments)
            raise cut_off(name, size, need, segment.label)
    claimed = layout.coded_samples * sum(s.coded_rows * s.coded_columns for s in segments)
    have = sum(segment.count for segment in segments)
    allowed = max(_UNSUSPECTED, _MOST_SAMPLES_A_BYTE[layout.compression] * have)
    if claimed > min(allowed, _MOST_SAMPLES):
        what = f"it claims {layout.width}x{layout.height} pixels in {have} bytes"
        raise damaged(name, what)
