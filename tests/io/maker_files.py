"""Files in the structure of makers' raw formats, small, as a test wants them.

Not from cameras: what LibRaw takes for a NEF, ARW, CR2, RW2 or RAF, or what has the structure of a
CR3, MRW, CRW or IIQ without a picture that LibRaw could decode.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Codes = NDArray[np.uint16]

_FORMATS = {1: "B", 3: "H", 4: "I", 5: "I", 7: "B", 13: "I"}
DATA = None
"""Value of a tag: where the data behind the directories begin."""

# The pattern of Fujifilm's X-Trans sensors; 0 red, 1 green, 2 blue.
X_TRANS = (
    *(1, 1, 0, 1, 1, 2),
    *(1, 1, 2, 1, 1, 0),
    *(2, 0, 1, 0, 2, 1),
    *(1, 1, 2, 1, 1, 0),
    *(1, 1, 0, 1, 1, 2),
    *(0, 2, 1, 2, 0, 1),
)


def scene(height: int = 96, width: int = 128, low: int = 600) -> Codes:
    """Codes of 14 bits: a ramp with noise."""
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(5).integers(0, 200, (height, width))
    return (low + 40 * y + 20 * x + noise).astype(np.uint16)


def directory(
    tags: dict[int, tuple[int, Any]], position: int, data: int, order: str = "<"
) -> bytes:
    """A TIFF directory and its values; ``tags``: to (type, value), DATA for ``data``."""
    entries, values = struct.pack(order + "H", len(tags)), b""
    behind = position + 2 + 12 * len(tags) + 4
    for tag, (kind, value) in sorted(tags.items()):
        if kind == 2:
            packed = value.encode() + b"\0"
            count = len(packed)
        else:
            numbers = value if isinstance(value, Sequence) else (value,)
            numbers = [data if number is DATA else number for number in numbers]
            count = len(numbers) // (2 if kind == 5 else 1)
            packed = struct.pack(f"{order}{len(numbers)}{_FORMATS[kind]}", *numbers)
        entries += struct.pack(order + "HHI", tag, kind, count)
        if len(packed) <= 4:
            entries += packed.ljust(4, b"\0")
        else:
            entries += struct.pack(order + "I", behind + len(values))
            values += packed + b"\0" * (len(packed) % 2)
    return entries + bytes(4) + values


def tiff(
    tags: dict[int, tuple[int, Any]], data: bytes = b"", start: bytes = b"II*\0", order: str = "<"
) -> bytes:
    """A TIFF of one directory with data behind it."""
    end = 8 + len(directory(tags, 8, 0, order))
    return start + struct.pack(order + "I", 8) + directory(tags, 8, end, order) + data


def raw_tiff(
    codes: Codes,
    make: str = "NIKON CORPORATION",
    model: str = "NIKON D850",
    *,
    bits: int = 14,
    compression: int = 1,
    data: bytes | None = None,
    more: dict[int, tuple[int, Any]] | None = None,
) -> bytes:
    """What LibRaw takes for a NEF, ARW, PEF, SRW ..., by its make."""
    height, width = codes.shape
    data = codes.astype("<u2").tobytes() if data is None else data
    tags: dict[int, tuple[int, Any]] = {
        254: (4, 0),
        256: (4, width),
        257: (4, height),
        258: (3, bits),
        259: (3, compression),
        262: (3, 32803),
        271: (2, make),
        272: (2, model),
        273: (4, (DATA,)),
        274: (3, 1),
        277: (3, 1),
        278: (4, height),
        279: (4, len(data)),
        33421: (3, (2, 2)),
        33422: (1, (0, 1, 1, 2)),
        **(more or {}),
    }
    return tiff({tag: value for tag, value in tags.items() if value[1] != ()}, data)


def lossless_jpeg(codes: Codes) -> bytes:
    """As Canon writes it: of one component, with a byte too many behind the frame's header."""
    data: bytes = imagecodecs.ljpeg_encode(codes, bitspersample=14)
    frame = data.index(b"\xff\xc3")
    end = frame + 2 + struct.unpack_from(">H", data, frame + 2)[0]
    return data[:end] + b"\0" + data[end:]


def cr2(codes: Codes, data: bytes | None = None) -> bytes:
    """What LibRaw takes for a CR2: lossless JPEG."""
    data = lossless_jpeg(codes) if data is None else data
    return raw_tiff(codes, "Canon", "Canon EOS 5D", compression=6, data=data)


def arw(codes: Codes, data: bytes | None = None) -> bytes:
    """What LibRaw takes for a compressed ARW: 16 photosites in 16 bytes."""
    data = bytes(range(1, 129)) * (codes.size // 128) if data is None else data
    return raw_tiff(codes, "SONY", "ILCE-7M3", bits=8, compression=32767, data=data)


def rw2(height: int = 96, width: int = 126, count: int | None = None) -> bytes:
    """What LibRaw takes for an RW2: blocks of 16 kB, all with the same picture."""
    blocks = height * width * 16 // 14 // 0x4000 + 1
    data = bytes([5]) * (blocks * 0x4000)
    tags: dict[int, tuple[int, Any]] = {
        0x01: (7, tuple(b"0300")),
        0x02: (3, width),
        0x03: (3, height),
        0x04: (3, 0),
        0x05: (3, 0),
        0x06: (3, height),
        0x07: (3, width),
        0x09: (3, 1),
        0x0A: (3, 12),
        0x0B: (3, 34316),
        0x17: (3, 200),
        **dict.fromkeys((28, 29, 30), (3, 128)),
        0x10F: (2, "Panasonic"),
        0x110: (2, "DMC-GH4"),
        0x111: (4, 0xFFFFFFFF),
        0x117: (4, len(data) if count is None else count),
        0x118: (4, (DATA,)),
    }
    return tiff(tags, data, start=b"IIU\0")


def raf(
    codes: Codes,
    *,
    model: str = "X-T2",
    x_trans: bool = True,
    layout: bytes = b"\x0c\x0c",
    black: Sequence[int] = (1022,) * 36,
) -> bytes:
    """What LibRaw takes for a RAF: preview, directory, raw data."""
    height, width = codes.shape
    size = struct.pack(">HH", height, width)
    items = {0x100: size, 0x121: size, 0x130: layout}
    if x_trans:
        items[0x131] = bytes(reversed(X_TRANS))
    listed = struct.pack(">I", len(items))
    for tag, value in items.items():
        listed += struct.pack(">HH", tag, len(value)) + value
    data = codes.astype("<u2").tobytes()
    fuji: dict[int, tuple[int, Any]] = {
        0xF001: (4, width),
        0xF002: (4, height),
        0xF003: (4, 14),
        0xF007: (4, (DATA,)),
        0xF008: (4, len(data)),
        0xF00A: (4, tuple(black)),
        0xF00E: (4, (302, 500, 600)),
    }
    main = directory({0xF000: (13, 26)}, 8, 0)
    end = 26 + len(directory(fuji, 26, 0))
    raw = b"II*\0" + struct.pack("<I", 8) + main + directory(fuji, 26, end) + data
    preview = _preview("FUJIFILM", model)
    parts, places, position = (preview, listed, raw), b"", 160
    for part in parts:
        places += struct.pack(">II", position, len(part))
        position += len(part)
    head = b"FUJIFILMCCD-RAW 0201FF389501" + model.encode().ljust(32, b"\0")
    head += b"0100".ljust(24, b"\0") + places
    return head.ljust(160, b"\0") + b"".join(parts)


def _preview(make: str, model: str) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "JPEG")
    exif = b"Exif\0\0" + tiff({271: (2, make), 272: (2, model)})
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    return buffer.getvalue()[:2] + segment + buffer.getvalue()[2:]


def cr3(size: int = 5000) -> bytes:
    """The boxes of a CR3; in the last, nothing that could be decoded."""
    boxes = {b"ftyp": b"crx \0\0\0\1crx isom", b"moov": bytes(64)}
    packed = b"".join(struct.pack(">I", len(v) + 8) + k + v for k, v in boxes.items())
    return packed + struct.pack(">I4sQ", 1, b"mdat", 16 + size) + bytes([7]) * size


def mrw(codes: Codes) -> bytes:
    """A header of Minolta's and 12 bits a photosite."""
    height, width = codes.shape
    block = b"27820001" + struct.pack(">HHHHBB", height, width, height, width, 12, 12)
    block = b"\0PRD" + struct.pack(">I", 24) + block.ljust(24, b"\0")
    return b"\0MRM" + struct.pack(">I", len(block)) + block + bytes([9]) * (codes.size * 12 // 8)


def crw(data: bytes = b"\x11" * 4000) -> bytes:
    """A heap of one value, and its directory at the end."""
    heap = data + struct.pack("<HHII", 1, 0x2005, len(data), 0) + struct.pack("<I", len(data))
    return b"II" + struct.pack("<I", 26) + b"HEAPCCDR" + bytes(12) + heap


def iiq(data: bytes = b"\x11" * 4000) -> bytes:
    """Phase One's directory with the raw data in it, behind the header of a TIFF."""
    main = directory({271: (2, "Phase One")}, 48, 0)
    start = 48 - 8 + len(main)
    listed = struct.pack("<II", 1, 0) + struct.pack("<IIII", 0x10F, 4, len(data), start)
    body = (b"IIIITwaR" + struct.pack("<I", 12) + listed).ljust(40, b"\0")
    return b"II*\0" + struct.pack("<I", 48) + body + main + data
