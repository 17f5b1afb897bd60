"""A payload: its header, its sections, and all that they say."""

from __future__ import annotations

import hashlib
import struct
import zlib
from math import isqrt
from typing import Any

import numpy as np

from .editing import read_editing
from .enhancement import correct
from .models import read_formula, read_local_rbf
from .mosaic import read_mosaic
from .positions import read_positions
from .predicted import read_predicted
from .values import read_values

CRITICAL = {"CAMR", "IDNT", "BIND", "MEAN", "POSN", "VALU", "CTRL", "DPTH"}


def sections_of(data: bytes) -> dict[str, bytes]:
    sections, place = {}, 40
    while place < len(data) - 32:
        name, length = struct.unpack_from(">4sI", data, place)
        content = data[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", data, place + 8 + length)[0] == zlib.crc32(name + content)
        assert name.decode() not in sections
        sections[name.decode()] = content
        place += 12 + length
    assert {name for name in sections if name[0].isupper()} <= CRITICAL
    return sections


def read(data: bytes, picture: np.ndarray | None = None) -> dict[str, object]:
    """All that a payload holds; picture: (3, H, W) 8 bits, for what is predicted from it."""
    assert data[:8] == b"\x89ISPM\r\n\x1a"
    major, minor, size = struct.unpack_from(">BBH", data, 8)
    total, width, height, cell, count, slope, orientation, levels = struct.unpack_from(
        ">QIIIIBBH", data, 12
    )
    assert (major, minor, total, size) == (1, 0, len(data), 40)
    assert hashlib.sha256(data[:-32]).digest() == data[-32:]
    sections = sections_of(data)
    side = cell or max(1, isqrt(width * height // max(count, 1)))
    index = read_positions(sections["POSN"], width, height, side, count)
    if sections["VALU"][0] == 2:
        check_bound(sections["BIND"], picture)
        values = read_predicted(sections["VALU"], index, picture, side, levels)
    else:
        values = read_values(sections["VALU"], index, width, side, levels)
    camera = read_camera(sections["CAMR"])
    return {
        "size": (height, width, cell),
        "index": index,
        "values": values,
        "scale": (slope, levels),
        "orientation": orientation,
        **camera,
        "names": texts(sections["IDNT"]),
        "binding": (sections["BIND"][:32], sections["BIND"][32:], sections["MEAN"]),
        **read_optional(sections, camera["cfa"], picture, height, width),
    }


def read_camera(section: bytes) -> dict[str, Any]:
    letters = int.from_bytes(section[:2], "big")
    levels = f">{letters + 13}d"
    place = 2 + letters + struct.calcsize(levels)
    return {
        "cfa": section[2 : 2 + letters].decode(),
        "levels": struct.unpack_from(levels, section, 2 + letters),
        "place": struct.unpack_from(">Hii", section, place),
        "texts": texts(section[place + 12 :]),
    }


def read_optional(
    sections: dict[str, bytes], cfa: str, picture: np.ndarray | None, height: int, width: int
) -> dict[str, object]:
    found: dict[str, object] = {"is_control": "CTRL" in sections}
    if "CTRL" in sections:
        assert sections["CTRL"] == b""
        assert "lRBF" in sections
        assert "DPTH" not in sections
    if "eDIT" in sections:
        found["editing"] = read_editing(sections["eDIT"])
    if "pARA" in sections:
        found["formula"] = read_formula(sections["pARA"])
    if "lRBF" in sections:
        found["local_rbf"] = read_local_rbf(sections["lRBF"])
    if "DPTH" in sections:
        found["depth"] = (*sections["DPTH"][:3], *texts(sections["DPTH"][3:]))
    if "eNHA" in sections:
        gray = np.full((3 if sections["eNHA"][2] == 3 else 1, height, width), 0.5)
        found["enhancement"] = correct(sections["eNHA"], gray)
    if "mOSA" in sections:
        if sections["mOSA"][0] == 1:
            check_bound(sections["BIND"], picture)
        found["mosaic"] = read_mosaic(sections["mOSA"], cfa, height, width, picture)
    return found


def check_bound(binding: bytes, picture: np.ndarray | None) -> None:
    """The picture is the very one that a payload was made for."""
    assert picture is not None
    _, height, width = picture.shape
    interleaved = picture.transpose(1, 2, 0).astype(np.uint8).tobytes()
    digest = hashlib.sha256(struct.pack(">II", width, height) + interleaved).digest()
    assert digest == binding[32:]


def texts(data: bytes) -> list[str]:
    found, place = [], 0
    while place < len(data):
        end = place + 2 + int.from_bytes(data[place : place + 2], "big")
        found.append(data[place + 2 : end].decode())
        place = end
    return found


def means_of(picture: np.ndarray) -> bytes:
    """What MEAN is of a picture."""
    _, height, width = picture.shape
    down, across = max(1, height // 64), max(1, width // 64)
    means = []
    for i in range(down):
        for j in range(across):
            bottom = 64 * (i + 1) if i + 1 < down else height
            right = 64 * (j + 1) if j + 1 < across else width
            block = picture[:, 64 * i : bottom, 64 * j : right].astype(np.int64)
            r, g, b = (int(total) for total in block.sum((1, 2)))
            area = block[0].size
            means.append((77 * r + 150 * g + 29 * b + 128 * area) // (256 * area))
    return bytes(means)
