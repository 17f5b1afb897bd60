"""What is damaged, what is cut off, what is not supported: told apart, and named."""

from __future__ import annotations

import numpy as np
import pytest
from codings import HEIGHT, TILE, WIDTH, each_coding
from made_dng import BYTE, LONG, SHORT, Coding, Tags, made_dng, photograph

from isp_meta.errors import NotARawFile, RawFileDamaged, RawFileUnsupported
from isp_meta.io.dng.read import read_dng


@each_coding
@pytest.mark.parametrize("damage", ["zeroed", "first half zeroed", "short", "missing", "other"])
def test_a_tile_that_does_not_decode_is_named(
    coding: Coding, picture: np.ndarray, cfa: str | None, damage: str
) -> None:
    made = made_dng(picture, coding, cfa=cfa)
    count = len(made.segments)
    offset, size = made.segments[1]
    if damage.endswith("zeroed"):
        if coding.compression == "none":
            return  # zeros are codes as good as any
        half = size if damage == "zeroed" else size // 2
        data = made.with_bytes(offset, bytes(half))
    elif damage == "other":
        if coding.compression == "none":
            return
        data = made.with_bytes(offset, np.random.default_rng(0).bytes(size))
    else:
        tag = 325 if coding.tile else 279
        behind = int.from_bytes(made.data[made.entries[tag] + 8 : made.entries[tag] + 12], "little")
        left = {"short": size * 3 // 4, "missing": 0}[damage]
        data = made.with_bytes(behind + 4, left.to_bytes(4, "little"))
    with pytest.raises(RawFileDamaged, match=rf"a\.dng: damaged: \w+ 2 of {count} "):
        read_dng(data, "a.dng")


@each_coding
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9, 0.999])
def test_a_cut_file_tells_both_sizes(
    coding: Coding, picture: np.ndarray, cfa: str | None, kept: float
) -> None:
    made = made_dng(picture, coding, cfa=cfa)
    first = made.segments[0][0]
    end = sum(made.segments[-1])
    have = first + int((end - first) * kept)
    with pytest.raises(RawFileDamaged, match=f"it has {have} of at least {end} bytes"):
        read_dng(made.data[:have], "a.dng")


def test_a_jpeg_of_another_size_is_no_tile() -> None:
    picture = photograph(HEIGHT, WIDTH, 12)
    small = made_dng(picture[:8, :16], Coding("jpeg", 12)).data
    offset, size = made_dng(picture[:8, :16], Coding("jpeg", 12)).segments[0]
    jpeg = small[offset : offset + size]
    made = made_dng(picture, Coding("jpeg", 12, (32, 32)))
    data = made.with_bytes(made.segments[2][0], jpeg)
    with pytest.raises(RawFileDamaged, match="tile 3 of 4 decodes to 16x8 of 32x32 pixels"):
        read_dng(data, "a.dng")


UNSUPPORTED: dict[str, tuple[Tags, str]] = {
    "VC-5": ({259: (SHORT, (9,))}, "VC-5"),
    "LZW": ({259: (SHORT, (5,))}, "LZW"),
    "unknown": ({259: (SHORT, (12345,))}, "compression 12345"),
    "staggered": ({50711: (SHORT, (2,))}, r"staggered \(CFALayout 2\)"),
    "sub-tiles": ({50974: (SHORT, (8, 8))}, "SubTileBlockSize"),
    "CYGM": ({50710: (BYTE, (1, 3, 4, 5)), 33422: (BYTE, (3, 5, 1, 4))}, "CYGM"),
    "CMY": ({50710: (BYTE, (3, 4, 5)), 33422: (BYTE, (3, 4, 4, 5))}, "CMY"),
    "RGBW": ({50710: (BYTE, (0, 1, 2, 6)), 33422: (BYTE, (0, 1, 2, 6))}, "RGBW"),
    "two colors": ({33422: (BYTE, (0, 1, 1, 0))}, "red and green"),
    "long": ({33421: (SHORT, (9, 2)), 33422: (BYTE, (0, 1, 1, 2) * 4 + (0, 2))}, "every 9x2"),
    "64 bits": ({258: (SHORT, (64,))}, "64 bits"),
    "signed": ({339: (SHORT, (2,))}, "signed"),
    "rendered": ({262: (SHORT, (2,))}, r"PhotometricInterpretation 2"),
}


@pytest.mark.parametrize("kind", UNSUPPORTED)
def test_what_is_not_supported_is_named(kind: str) -> None:
    changes, text = UNSUPPORTED[kind]
    data = made_dng(photograph(HEIGHT, WIDTH, 12), tags=changes).data
    with pytest.raises(RawFileUnsupported, match=f"a.dng: not supported: .*{text}"):
        read_dng(data, "a.dng")


@pytest.mark.parametrize(("marker", "what"), [(0xC9, "arithmetic-coded"), (0xC5, "hierarchical")])
def test_jpegs_of_other_codings_are_named(marker: int, what: str) -> None:
    made = made_dng(photograph(HEIGHT, WIDTH, 8), Coding("jpeg dct", 8, TILE))
    start = made.segments[0][0]
    place = made.data.index(b"\xff\xc0", start)
    with pytest.raises(RawFileUnsupported, match=what):
        read_dng(made.with_bytes(place, bytes((0xFF, marker))), "a.dng")


HOSTILE: dict[str, Tags] = {
    "a huge picture": {256: (LONG, (60000,)), 257: (LONG, (60000,))},
    "no width": {256: (LONG, (0,))},
    "many samples": {277: (SHORT, (60000,))},
    "an area beyond the picture": {50829: (LONG, (0, 0, HEIGHT + 1, WIDTH))},
    "an empty area": {50829: (LONG, (9, 9, 5, 5))},
    "no pattern": {33422: None},
    "a pattern of another size": {33422: (BYTE, (0, 1, 1))},
    "white below black": {50714: (SHORT, (5000,)), 50717: (SHORT, (4095,))},
    "black of no size": {50713: (SHORT, (2, 2)), 50714: (SHORT, (1, 2, 3))},
    "fields beyond the lines": {50975: (LONG, (1 << 30,))},
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_tags_that_make_no_sense(kind: str) -> None:
    data = made_dng(photograph(HEIGHT, WIDTH, 12), tags=HOSTILE[kind]).data
    with pytest.raises(RawFileDamaged, match=r"a\.dng: damaged"):
        read_dng(data, "a.dng")


def test_what_is_no_dng() -> None:
    made = made_dng(photograph(HEIGHT, WIDTH, 12), tags={50706: None})
    for data in (b"", b"\xff\xd8\xff", made.data):
        with pytest.raises(NotARawFile, match=r"a\.dng: not a raw file"):
            read_dng(data, "a.dng")
    for data in (b"II*\0", made.data[:100]):
        with pytest.raises(RawFileDamaged, match="directories"):
            read_dng(data, "a.dng")
