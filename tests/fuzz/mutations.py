"""Ways to damage a file: blindly, or with its checksums made right again."""

from __future__ import annotations

import hashlib
import random
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from subjects import HEIGHT, WIDTH, Subject

from isp_meta import _payload

__all__ = ["Mutant", "damage", "mutate", "number_near", "reseal_png", "sealed", "sections"]

_HEADER, _DIGEST = 40, 32
_NUMBERS = (0, 1, 2, 7, 8, 63, 64, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 1 << 20, 1 << 24)
_NUMBERS += (1 << 25, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 64) - 1)
_NAMES = (
    b"CAMR",
    b"VALU",
    b"mOSA",
    b"eNHA",
    b"fILT",
    b"lRBF",
    b"CTRL",
    b"DPTH",
    b"pARA",
    b"NEWS",
    b"news",
    b"ab1c",
)

Section = tuple[bytes, bytes]


class Mutant:
    """A damaged file.

    Attributes:
        data: its bytes.
        is_forged: whether checksums of the payload were made right again, so that what it holds
            is what the forger wished.
        packed: the payload put into it, where that was changed rather than the file.
    """

    def __init__(self, data: bytes, packed: bytes | None = None) -> None:
        self.data = data
        self.packed = packed
        self.is_forged = packed is not None


def mutate(subject: Subject, others: Sequence[Subject], chance: random.Random) -> Mutant:
    """One mutant of a file.

    Args:
        others: files to splice pieces from.
    """
    if chance.random() < 0.5:
        packed = _forge(subject.packed, chance.choice(others).packed, chance)
        return Mutant(subject.carrying(packed), packed)
    data = subject.data
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        data = damage(data, chance.choice(others).data, chance)
    if subject.file.endswith(".png") and chance.random() < 0.7:
        data = reseal_png(data)
    return Mutant(data)


def damage(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """Bytes with one edit of a random kind, never none at all."""
    bad = bytearray(data or b"\0")
    # Structure stands in front, and a scan's bytes behind it hold little to go wrong.
    reach = chance.choice((64, 700, len(bad), len(bad)))
    at = chance.randrange(min(reach, len(bad)))
    length = chance.choice((1, 2, 4, 8, 50, 500))
    kind = chance.randrange(8)
    if kind == 0:
        bad[at] ^= 1 << chance.randrange(8)
    elif kind == 1:
        bad[at : at + length] = chance.randbytes(length)
    elif kind == 2:
        del bad[at : at + length]
    elif kind == 3:
        bad[at:at] = bad[at : at + length]
    elif kind == 4:
        start = chance.randrange(len(other)) if other else 0
        bad[at : at + chance.choice((0, length))] = other[start : start + length]
    elif kind == 5:
        del bad[max(1, at) :]
    elif kind == 6:
        bad[at : at + length] = bytes((chance.choice((0, 0xFF)),)) * length
    else:
        size = chance.choice((1, 2, 4, 8))
        number = number_near(int.from_bytes(bad[at : at + size], "big"), size, chance)
        order = chance.choice(("big", "little"))
        bad[at : at + size] = number.to_bytes(size, order)  # type: ignore[arg-type]
    return bytes(bad)


def number_near(old: int, size: int, chance: random.Random) -> int:
    """A number near the old one, or one at which things tend to break."""
    near = (old - 1, old + 1, 2 * old, old // 2)
    return chance.choice((*near, *_NUMBERS)) % (1 << 8 * size)


def _forge(packed: bytes, other: bytes, chance: random.Random) -> bytes:
    """A payload whose header or sections were changed, all checksums right."""
    header, parts = packed[:_HEADER], sections(packed)
    for _ in range(chance.choice((1, 1, 2, 3))):
        kind = chance.randrange(13)
        at = chance.randrange(len(parts)) if parts else 0
        if kind == 0 and parts:
            del parts[at]
        elif kind == 1 and parts:
            parts.append(parts[at])
        elif kind == 2 and parts:
            parts[at] = chance.choice(_NAMES), parts[at][1]
        elif kind == 3:
            parts.append(chance.choice(sections(other)))
        elif kind == 4 and parts:
            theirs = dict(sections(other))
            name, content = parts[at]
            parts[at] = name, theirs.get(name, content)
        elif kind in (5, 6):
            # Behind mark and version: sizes, counts and steps.
            changed = bytearray(header)
            place, size = chance.choice(((20, 4), (24, 4), (28, 4), (32, 4), (36, 1), (37, 1)))
            old = int.from_bytes(changed[place : place + size], "big")
            changed[place : place + size] = number_near(old, size, chance).to_bytes(size, "big")
            header = bytes(changed)
        elif kind == 7:
            parts = [part for part in parts if part[0] != b"eNHA"] + [(b"eNHA", correction(chance))]
        elif parts:
            name, content = parts[at]
            parts[at] = name, damage(content, chance.choice(sections(other))[1], chance)
    return sealed(header, parts)


def correction(chance: random.Random) -> bytes:
    """An enhancement of any sizes and steps, coded as it should be, for a subject's mosaic."""
    levels = np.zeros((-(-HEIGHT // 16), -(-WIDTH // 16), 4, 64), np.int16)
    largest = chance.choice((1, 2, 9, 300, 32767))
    for _ in range(chance.choice((0, 1, 30, 2000))):
        levels.flat[chance.randrange(levels.size)] = chance.randint(-largest, largest)
    exponent, knee = chance.choice((0, 16, 80, 176)), chance.choice((0, 3, 15))
    head = struct.pack(">4B", exponent, knee, 4, chance.randrange(17)) + chance.randbytes(2)
    basis = (chance.choice((-16384, 0, 16384, chance.randrange(-16384, 16385))) for _ in range(16))
    return head + struct.pack(">16h", *basis) + _payload.encode_enhancement(levels, 1)


def sections(packed: bytes) -> list[Section]:
    """Name and content of each section of a payload whose structure is right."""
    found, place = [], _HEADER
    while place < len(packed) - _DIGEST:
        name, length = struct.unpack_from(">4sI", packed, place)
        found.append((name, packed[place + 8 : place + 8 + length]))
        place += length + 12
    return found


def sealed(header: bytes, sections: Sequence[Section]) -> bytes:
    """A payload of these parts, its length and all checksums right."""
    body = b"".join(
        struct.pack(">4sI", name, len(content))
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in sections
    )
    total = struct.pack(">Q", _HEADER + len(body) + _DIGEST)
    data = header[:12] + total + header[20:] + body
    return data + hashlib.sha256(data).digest()


def reseal_png(png: bytes) -> bytes:
    """A PNG whose chunks have the checksums of what they hold, as far as it reads as chunks."""
    data, place = bytearray(png), 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        end = place + 8 + length
        if end + 4 > len(data):
            break
        struct.pack_into(">I", data, end, zlib.crc32(data[place + 4 : end]))
        place = end + 4
    return bytes(data)
