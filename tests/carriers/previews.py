"""JPEGs whose makers point behind the end of the picture: previews, AFCP."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from isp_meta.carriers.segments import segment_bytes

BYTE, SHORT, LONG, UNDEFINED, IFD = 1, 3, 4, 7, 13
HEADER = 12  # of the file: SOI, APP1, Exif; then the EXIF's TIFF header
ENTRY = 12


def directory(order: str, entries: Sequence[tuple[int, int, int, int]]) -> bytes:
    """An IFD: tag, type, number of values, value; a SHORT stands left in its field."""
    packed = [
        struct.pack(order + "HHI", tag, kind, count)
        + (
            struct.pack(order + "HH", value, 0)
            if kind == SHORT
            else struct.pack(order + "I", value)
        )
        for tag, kind, count, value in entries
    ]
    return struct.pack(order + "H", len(entries)) + b"".join(packed) + bytes(4)


def size_of(entries: int) -> int:
    return 2 + entries * ENTRY + 4


def exif(order: str, make: bytes, maker_note: bytes) -> tuple[bytes, int]:
    """The body of an APP1 segment, and where in the TIFF the MakerNote starts."""
    make = make + bytes(1 + len(make) % 2)
    first = 8 + size_of(2)
    second = first + len(make)
    at = second + size_of(1)
    tiff = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    tiff += directory(order, [(0x010F, 2, len(make), first), (0x8769, LONG, 1, second)])
    tiff += make + directory(order, [(0x927C, UNDEFINED, len(maker_note), at)])
    return b"Exif\0\0" + tiff + maker_note, at


class Maker:
    """How a maker points to a preview: a MakerNote whose offset counts from a base.

    Args:
        make: name in the EXIF. order: of bytes. head: before the IFD.
        start, size: tags of the preview's offset and size; ``blob`` where one entry has both.
        base: where offsets count from in the MakerNote; None: from the EXIF's TIFF header.
        within: tag of an IFD in the MakerNote that holds the two.
        before: bytes of a header before the preview.
    """

    def __init__(
        self,
        make: bytes,
        order: str,
        head: bytes,
        start: int,
        size: int,
        *,
        base: int | None = None,
        blob: bool = False,
        within: tuple[int, int] | None = None,
        before: bytes = b"",
        table: bool = False,
    ) -> None:
        self.make, self.order, self.head = make, order, head
        self.start, self.size, self.base = start, size, base
        self.blob, self.within, self.before, self.table = blob, within, before, table

    def note(self, at: int, offset: int, length: int) -> bytes:
        """The MakerNote that stands at a place of the TIFF, for a preview at that offset."""
        # Where the IFD stands as its own offsets count.
        inside = len(self.head) + (at if self.base is None else -self.base)
        if self.blob:
            entries = [(self.start, UNDEFINED, length, offset)]
        elif self.table:
            entries = [(self.start, LONG, 12, inside + size_of(1))]
            values = struct.pack(self.order + "12I", 24, 2, length, 160, 120, offset, *[0] * 6)
            return self.head + directory(self.order, entries) + values
        else:
            entries = sorted([(self.start, LONG, 1, offset), (self.size, LONG, 1, length)])
        found = directory(self.order, entries)
        if self.within:
            tag, kind = self.within
            outer = directory(self.order, [(tag, kind, 1, inside + size_of(1))])
            return self.head + outer + found
        return self.head + found

    def photograph(self, jpeg: bytes, preview: bytes) -> bytes:
        """A JPEG with such an EXIF in place of JFIF, and the preview behind its end."""
        rest = jpeg[20:]  # behind SOI and JFIF
        stored = self.before + preview
        _, at = exif(self.order, self.make, b"")
        length = len(segment_bytes(0xE1, exif(self.order, self.make, self.note(at, 0, 0))[0]))
        counted = 0 if self.base is None else at + self.base
        offset = 2 + length + len(rest) - HEADER - counted
        body, _ = exif(self.order, self.make, self.note(at, offset, len(stored)))
        return jpeg[:2] + segment_bytes(0xE1, body) + rest + stored


_NIKON = b"Nikon\0\2\x10\0\0" + b"MM\0*\0\0\0\x08"
MAKERS = {
    "minolta": Maker(b"Minolta Co., Ltd.", ">", b"", 0x0088, 0x0089),
    "olympus, first": Maker(b"OLYMPUS OPTICAL CO.,LTD", ">", b"OLYMP\0\1\0", 0x0088, 0x0089),
    "olympus": Maker(
        *(b"OLYMPUS IMAGING CORP.", "<", b"OLYMPUS\0II\3\0", 0x0101, 0x0102),
        base=0,
        within=(0x2020, IFD),
    ),
    "pentax": Maker(b"PENTAX Corporation", ">", b"AOC\0MM", 0x0004, 0x0003),
    "casio": Maker(b"CASIO COMPUTER CO.,LTD.", ">", b"QVC\0\0\0", 0x0004, 0x0003),
    "nikon": Maker(
        b"NIKON CORPORATION", ">", _NIKON, 0x0201, 0x0202, base=10, within=(0x0011, LONG)
    ),
    "canon": Maker(b"Canon", "<", b"", 0x00B6, 0, table=True),
    "sony": Maker(
        *(b"SONY", "<", b"SONY DSC \0\0\0", 0x2001, 0), blob=True, before=bytes(range(100, 132))
    ),
}
STRANGER = Maker(b"Stranger", "<", b"", 0x7777, 0x7778)
"""Of tags that nobody knows."""


def with_afcp(jpeg: bytes, order: str = ">", **values: bytes) -> bytes:
    """The file with an AFCP table behind it, and its values by their names of four letters."""
    mark = b"AXS!" if order == ">" else b"AXS*"
    start = len(jpeg)
    offset = start + 12 + 12 * len(values)
    entries = b""
    for name, value in values.items():
        entries += struct.pack(order + "4sII", name.encode(), len(value), offset)
        offset += len(value)
    head = mark + b"01" + struct.pack(order + "HI", len(values), 0)
    return (
        jpeg
        + head
        + entries
        + b"".join(values.values())
        + mark
        + struct.pack(order + "II", start, 0)
    )


def iptc(caption: bytes) -> bytes:
    """An IPTC record with a caption."""
    return b"\x1c\x02\x78" + struct.pack(">H", len(caption)) + caption
