"""DNG files of every kind, written byte by byte: what a reader must find in them is known.

Nothing here is shared with what reads them: TIFF, packing, predictors and checksums are done anew.
"""

from __future__ import annotations

import dataclasses
import hashlib
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import imagecodecs
import numpy as np

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SRATIONAL, FLOAT, DOUBLE = (
    1,
    2,
    3,
    4,
    5,
    7,
    10,
    11,
    12,
)
_FORMATS = {BYTE: "B", SHORT: "H", LONG: "I", RATIONAL: "I", UNDEFINED: "B", SRATIONAL: "i"}
_FORMATS |= {FLOAT: "f", DOUBLE: "d"}
_PER_VALUE = {RATIONAL: 2, SRATIONAL: 2}
_COMPRESSIONS = {"none": 1, "jpeg": 7, "deflate": 8, "old deflate": 32946, "lossy": 34892}
_COMPRESSIONS |= {"jpeg dct": 7, "jpeg xl": 52546}
CFA, LINEAR_RAW = 32803, 34892

PATTERNS = {
    "RGGB": ((2, 2), (0, 1, 1, 2)),
    "BGGR": ((2, 2), (2, 1, 1, 0)),
    "GRBG": ((2, 2), (1, 0, 2, 1)),
    "GBRG": ((2, 2), (1, 2, 0, 1)),
    "quad": ((4, 4), (0, 0, 1, 1) * 2 + (1, 1, 2, 2) * 2),
    "x-trans": (
        (6, 6),
        tuple(map(int, "121101010212121101101121212010101121")),
    ),
}
MATRIX = (7171, -1986, -648, -8085, 15555, 2718, -2170, 2559, 7493)

Tags = Mapping[int, tuple[int, Any] | None]


@dataclass(frozen=True)
class Coding:
    """How a picture is stored.

    Attributes:
        compression: a key of ``_COMPRESSIONS``.
        bits: a sample; 16, 24 or 32 of floating point.
        tile: (rows, columns), or None for strips.
        rows: a strip; 0: all.
        order: of bytes, "<" or ">".
        predictor: as in the tag; of a lossless JPEG its own, 1 to 7.
        components: of a lossless JPEG of one sample a pixel: 2 makes it half as wide.
        planar: planes apart.
        fill_order: 2 for lowest bit first.
        interleave: fields of (rows, columns).
    """

    compression: str = "none"
    bits: int = 16
    tile: tuple[int, int] | None = None
    rows: int = 0
    order: str = "<"
    predictor: int = 1
    components: int = 1
    planar: bool = False
    fill_order: int = 1
    interleave: tuple[int, int] = (1, 1)

    def replace(self, **changes: Any) -> Coding:
        return dataclasses.replace(self, **changes)


WORDS = Coding()


@dataclass(frozen=True)
class MadeDng:
    """A DNG's bytes, and where its parts stand.

    Attributes:
        data: the file.
        segments: (offset, count) of each strip or tile.
        entries: where each tag's entry of 12 bytes stands.
    """

    data: bytes
    segments: list[tuple[int, int]]
    entries: dict[int, int] = field(default_factory=dict)

    def with_bytes(self, place: int, content: bytes) -> bytes:
        return self.data[:place] + content + self.data[place + len(content) :]


def photograph(height: int, width: int, bits: int, samples: int = 1, seed: int = 0) -> np.ndarray:
    """Codes with shading, edges, noise and clipped light; (H, W), or (H, W, samples)."""
    chance = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    light = 0.35 + 0.3 * np.sin(x / 9) * np.cos(y / 7) + 0.2 * (x > y) + 0.3 * (x + y < 20)
    light = light[..., None] * np.linspace(1, 0.7, samples) + chance.normal(
        0, 0.02, (height, width, samples)
    )
    codes = np.rint(light.clip(0, 1) * (2**bits - 1)).astype(np.uint32 if bits > 16 else np.uint16)
    return codes[..., 0] if samples == 1 else codes


def made_dng(
    picture: np.ndarray,
    coding: Coding = WORDS,
    tags: Tags | None = None,
    cfa: str | None = "RGGB",
) -> MadeDng:
    """A DNG of a picture.

    Args:
        picture: (H, W) or (H, W, samples); of floating point where it is that.
        coding: how it is stored.
        tags: code to type and values, on top of the usual ones; None takes one away. Values of a
            rational are numerators and denominators in turn.
        cfa: a key of PATTERNS; None: a linear DNG.
    """
    planes = picture[..., None] if picture.ndim == 2 else picture
    stored = _woven(_woven(planes, 0, coding.interleave[0]), 1, coding.interleave[1])
    height, width, samples = stored.shape
    segments = list(_segments(stored, coding))
    found: dict[int, tuple[int, Any] | None] = {
        254: (LONG, (0,)),
        256: (LONG, (width,)),
        257: (LONG, (height,)),
        258: (SHORT, (coding.bits,) * samples),
        259: (SHORT, (_COMPRESSIONS[coding.compression],)),
        262: (SHORT, (LINEAR_RAW if cfa is None else CFA,)),
        266: (SHORT, (coding.fill_order,)) if coding.fill_order != 1 else None,
        271: (ASCII, "Maker"),
        272: (ASCII, "Model"),
        274: (SHORT, (1,)),
        277: (SHORT, (samples,)),
        284: (SHORT, (2 if coding.planar else 1,)),
        317: (SHORT, (coding.predictor,)) if "deflate" in coding.compression else None,
        339: (SHORT, (3,) * samples) if picture.dtype.kind == "f" else None,
        33421: None if cfa is None else (SHORT, PATTERNS[cfa][0]),
        33422: None if cfa is None else (BYTE, PATTERNS[cfa][1]),
        50706: (BYTE, (1, 7, 1, 0)),
        50707: (BYTE, (1, 1, 0, 0)),
        50708: (ASCII, "Maker Model"),
        50721: (SRATIONAL, tuple(v for n in MATRIX for v in (n, 10000))),
        50728: (RATIONAL, (5, 10, 10, 10, 6, 10)),
        50778: (SHORT, (21,)),
        50975: (LONG, (coding.interleave[0],)) if coding.interleave[0] > 1 else None,
        52547: (LONG, (coding.interleave[1],)) if coding.interleave[1] > 1 else None,
        **(tags or {}),
    }
    if coding.tile:
        found |= {322: (LONG, (coding.tile[1],)), 323: (LONG, (coding.tile[0],))}
    else:
        found[278] = (LONG, (coding.rows or height,))
    return _file(found, segments, (324, 325) if coding.tile else (273, 279), coding.order)


def _file(
    tags: dict[int, tuple[int, Any] | None],
    segments: list[bytes],
    codes: tuple[int, int],
    order: str,
) -> MadeDng:
    tags = {**tags, codes[0]: (LONG, (0,) * len(segments))}
    tags[codes[1]] = (LONG, tuple(map(len, segments)))
    entries = {code: value for code, value in sorted(tags.items()) if value is not None}
    behind = 8 + 2 + 12 * len(entries) + 4
    size = sum(
        len(packed) + len(packed) % 2
        for packed in map(_packed, entries.values())
        if len(packed) > 4
    )
    places, place = [], behind + size
    for segment in segments:
        places.append((place, len(segment)))
        place += len(segment) + len(segment) % 2
    entries[codes[0]] = (LONG, tuple(offset for offset, _ in places))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries))
    values = b""
    where = {}
    for code, (kind, value) in entries.items():
        packed = _packed((kind, value), order)
        where[code] = len(head)
        count = len(packed) if kind == ASCII else len(value) // _PER_VALUE.get(kind, 1)
        head += struct.pack(order + "HHI", code, kind, count)
        if len(packed) > 4:
            head += struct.pack(order + "I", behind + len(values))
            values += packed + b"\0" * (len(packed) % 2)
        else:
            head += packed.ljust(4, b"\0")
    body = b"".join(segment + b"\0" * (len(segment) % 2) for segment in segments)
    return MadeDng(head + bytes(4) + values + body, places, where)


def _packed(entry: tuple[int, Any], order: str = "<") -> bytes:
    kind, value = entry
    if kind == ASCII:
        return value.encode() + b"\0"
    return struct.pack(f"{order}{len(value)}{_FORMATS[kind]}", *value)


def _segments(stored: np.ndarray, coding: Coding) -> Iterator[bytes]:
    height, width, samples = stored.shape
    rows, columns = coding.tile or (coding.rows or height, width)
    for plane in range(samples) if coding.planar else (slice(None),):
        for top in range(0, height, rows):
            for left in range(0, width, columns):
                part = stored[top : top + rows, left : left + columns, plane]
                part = part[..., None] if part.ndim == 2 else part
                if coding.tile:
                    missing = rows - part.shape[0], columns - part.shape[1]
                    part = np.pad(part, ((0, missing[0]), (0, missing[1]), (0, 0)), "edge")
                yield _coded(part, coding)


def _coded(part: np.ndarray, coding: Coding) -> bytes:
    kind = coding.compression
    if kind in ("none", "deflate", "old deflate"):
        predictor = 1 if kind == "none" else coding.predictor
        rows = _float_rows if part.dtype.kind == "f" else _integer_rows
        data = rows(part, coding, predictor)
        if coding.fill_order == 2 and kind == "none":
            data = _bits_reversed(data)
        return data if kind == "none" else zlib.compress(data, 6)
    flat = part[..., 0] if part.shape[2] == 1 else part
    if kind == "jpeg":
        if coding.components > 1:
            flat = part.reshape(part.shape[0], -1, coding.components)
        flat = flat.astype(np.uint8 if coding.bits <= 8 else np.uint16)
        return imagecodecs.jpeg8_encode(
            flat, lossless=True, predictor=coding.predictor, bitspersample=coding.bits, colorspace=0
        )
    if kind == "jpeg xl":
        flat = flat.astype(np.float16) if coding.bits == 16 and flat.dtype.kind == "f" else flat
        return imagecodecs.jpegxl_encode(flat, lossless=True)
    return imagecodecs.jpeg8_encode(
        np.ascontiguousarray(flat.astype(np.uint8)), 95, subsampling="444"
    )


_STEPS = {1: 0, 2: 1, 34892: 2, 34893: 4, 3: 1, 34894: 2, 34895: 4}


def _integer_rows(part: np.ndarray, coding: Coding, predictor: int) -> bytes:
    bits, rows = coding.bits, part.reshape(part.shape[0], -1)
    if bits in (8, 16, 32):
        values = rows.astype(f"u{bits // 8}")
        step = _STEPS[predictor] * part.shape[2]
        if step:
            values[:, step:] -= values[:, :-step].copy()
        return values.astype(f"{coding.order}u{bits // 8}").tobytes()
    weights = np.arange(bits - 1, -1, -1)
    return np.packbits(
        (rows[..., None] >> weights & 1).astype(np.uint8).reshape(len(rows), -1), 1
    ).tobytes()


def _float_rows(part: np.ndarray, coding: Coding, predictor: int) -> bytes:
    size, rows = coding.bits // 8, part.reshape(part.shape[0], -1)
    if size == 3:
        highest_first = _bytes_of_24(rows)
    else:
        values = rows.astype(f">f{size}")
        highest_first = np.frombuffer(values.tobytes(), np.uint8).reshape(*rows.shape, size)
    step = _STEPS[predictor] * part.shape[2]
    if step == 0:
        return (highest_first if coding.order == ">" else highest_first[..., ::-1]).tobytes()
    planes = highest_first.swapaxes(1, 2).reshape(len(rows), -1).copy()
    planes[:, step:] -= planes[:, :-step].copy()
    return planes.tobytes()


def _bytes_of_24(values: np.ndarray) -> np.ndarray:
    """1 bit of sign, 7 of exponent (bias 63), 16 of mantissa; values must fit exactly."""
    found = np.zeros((*values.shape, 3), np.uint8)
    for place, value in np.ndenumerate(values):
        mantissa, exponent = np.frexp(abs(float(value)))
        code = 0 if not value else (exponent + 62) << 16 | round((mantissa * 2 - 1) * 65536)
        code |= (value < 0) << 23
        found[place] = code >> 16, code >> 8 & 255, code & 255
    return found


def _bits_reversed(data: bytes) -> bytes:
    return np.packbits(
        np.unpackbits(np.frombuffer(data, np.uint8)).reshape(-1, 8)[:, ::-1]
    ).tobytes()


def _woven(picture: np.ndarray, axis: int, fields: int) -> np.ndarray:
    """Sorts lines field by field: every n-th from the first, then from the second ..."""
    lines = [np.arange(first, picture.shape[axis], fields) for first in range(fields)]
    return picture.take(np.concatenate(lines), axis)


def digest(picture: np.ndarray) -> bytes:
    """NewRawImageDigest of a picture, as Adobe's SDK computes it."""
    planes = picture[..., None] if picture.ndim == 2 else picture
    found = b""
    for top in range(0, planes.shape[0], 256):
        for left in range(0, planes.shape[1], 256):
            tile = planes[top : top + 256, left : left + 256]
            packed = b"".join(
                np.ascontiguousarray(tile[..., p]).tobytes() for p in range(planes.shape[2])
            )
            found += hashlib.md5(packed).digest()
    return hashlib.md5(found).digest()
