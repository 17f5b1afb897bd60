from __future__ import annotations

import hashlib

import numpy as np
import pytest
from codings import FLOATS, HEIGHT, TILE, WIDTH, codes_of
from made_dng import BYTE, Coding, Tags, digest, made_dng, photograph

from isp_meta.errors import RawFileDamaged
from isp_meta.io.dng.read import read_dng


def test_checksum_is_compared() -> None:
    for picture, cfa in ((photograph(300, 280, 12), "RGGB"), (photograph(300, 280, 12, 3), None)):
        told: Tags = {51111: (BYTE, tuple(digest(picture)))}
        made = made_dng(picture, Coding("none", rows=100), told, cfa)
        np.testing.assert_array_equal(codes_of(made.data), picture)
        place = made.segments[1][0] + 77
        changed = made.with_bytes(place, bytes([made.data[place] ^ 1]))
        with pytest.raises(RawFileDamaged, match="checksum"):
            read_dng(changed, "a.dng")


@pytest.mark.parametrize("cfa", ["RGGB", None])
@pytest.mark.parametrize("order", "<>")
def test_the_old_checksum(cfa: str | None, order: str) -> None:
    for bits in (8, 16):
        picture = photograph(HEIGHT, WIDTH, bits, 1 if cfa else 3)
        told = hashlib.md5(picture.astype("<u2").tobytes()).digest()
        for prefix in (told[:4], b"\x08\0\0\0"):
            tags: Tags = {50972: (BYTE, tuple(prefix + told[4:]))}
            data = made_dng(picture, Coding("none", bits, order=order), tags, cfa).data
            np.testing.assert_array_equal(codes_of(data), picture)
        tags = {50972: (BYTE, tuple(told[:-1] + bytes([told[-1] ^ 1])))}
        with pytest.raises(RawFileDamaged, match="checksum"):
            read_dng(made_dng(picture, Coding("none", bits), tags, cfa).data, "a.dng")


def test_the_checksum_of_floating_point_is_that_of_single_precision() -> None:
    told: Tags = {51111: (BYTE, tuple(digest(FLOATS)))}
    for bits in (16, 24, 32):
        data = made_dng(FLOATS, Coding("deflate", bits, TILE, predictor=3), told).data
        np.testing.assert_array_equal(codes_of(data), FLOATS)


@pytest.mark.parametrize("kind", ["lossy", "jpeg xl"])
def test_the_checksum_of_a_lossy_coding_is_that_of_its_bytes(kind: str) -> None:
    picture = photograph(HEIGHT, WIDTH, 8).astype(np.uint8)
    made = made_dng(picture, Coding(kind, 8, TILE), {51111: (BYTE, (0,) * 16)})
    parts = [made.data[start : start + size] for start, size in made.segments]
    told = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).digest()
    entry = made.entries[51111]
    place = int.from_bytes(made.data[entry + 8 : entry + 12], "little")
    data = made.with_bytes(place, told)
    assert codes_of(data).shape == picture.shape
    wrong = bytes([told[0] ^ 1]) + told[1:]
    with pytest.raises(RawFileDamaged, match="checksum"):
        read_dng(data.replace(told, wrong), "a.dng")
