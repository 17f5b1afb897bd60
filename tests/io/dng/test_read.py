"""Every coding of a raw picture gives the codes that were written, and those that LibRaw reads."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pytest
import rawpy
import torch
from made_dng import (
    BYTE,
    LONG,
    PATTERNS,
    SHORT,
    Coding,
    Tags,
    digest,
    made_dng,
    photograph,
)

from isp_meta.errors import NotARawFile, RawFileDamaged, RawFileUnsupported
from isp_meta.io.dng import tiles
from isp_meta.io.dng.read import read_dng

HEIGHT, WIDTH = 40, 64
TILE = (16, 32)
FLOATS = (photograph(HEIGHT, WIDTH, 10) / np.float32(1024)).astype(np.float32)


def codes_of(data: bytes) -> np.ndarray:
    """(H, W) or (H, W, samples)."""
    codes = read_dng(data, "a.dng").codes
    assert codes is not None
    assert codes.dtype == torch.float32
    assert codes.is_contiguous()
    return codes[0].numpy() if len(codes) == 1 else codes.movedim(0, -1).numpy()


def libraw_codes(data: bytes) -> np.ndarray:
    with rawpy.imread(BytesIO(data)) as raw:
        codes = raw.raw_image_visible
        return codes[..., :3].copy() if codes.ndim == 3 else codes.copy()


def named(coding: Coding) -> str:
    parts = [coding.compression, f"{coding.bits}", coding.order, f"p{coding.predictor}"]
    parts += [f"{coding.tile or coding.rows}", f"c{coding.components}" * (coding.components > 1)]
    return "-".join([*filter(None, parts), *(["planar"] if coding.planar else [])])


def whole_numbers() -> Iterator[Coding]:
    """Codings of a mosaic that LibRaw reads as well."""
    for order, bits in itertools.product("<>", (8, 9, 10, 11, 12, 13, 14, 15, 16)):
        yield Coding("none", bits, order=order)
        yield Coding("none", bits, TILE, order=order)
    for order, bits in itertools.product("<>", (8, 14, 16)):
        yield Coding("none", bits, rows=7, order=order)
    for bits, predictor in itertools.product((8, 10, 12, 14, 16), range(1, 8)):
        yield Coding("jpeg", bits, (32, 32), predictor=predictor)


def more_whole_numbers() -> Iterator[Coding]:
    """Codings that LibRaw misreads or refuses."""
    for order, bits in itertools.product("<>", (9, 10, 12)):
        yield Coding("none", bits, rows=7, order=order)
    for bits, order in itertools.product((2, 4, 6, 12, 16), "<>"):
        yield Coding("none", bits, order=order, fill_order=2)
    for order in "<>":
        yield Coding("none", 32, TILE, order=order)
    for bits, predictor in itertools.product((8, 12, 16), range(1, 8)):
        yield Coding("jpeg", bits, (32, 32), predictor=predictor, components=2)
        yield Coding("jpeg", bits, rows=16, predictor=predictor)
        yield Coding("jpeg", bits, TILE, predictor=predictor, components=4)
    for kind, bits, predictor, order in itertools.product(
        ("deflate", "old deflate"), (8, 16, 32), (1, 2, 34892, 34893), "<>"
    ):
        yield Coding(kind, bits, TILE, order=order, predictor=predictor)
    for bits, order in itertools.product((8, 10, 12, 14), "<>"):
        yield Coding("deflate", bits, rows=9, order=order)
    for bits, tile in itertools.product((8, 16), (TILE, (32, 32), None)):
        yield Coding("jpeg xl", bits, tile)
    for fields in ((2, 1), (3, 1), (1, 2), (2, 2)):
        yield Coding("none", 16, interleave=fields)
        yield Coding("jpeg", 16, (32, 32), interleave=fields)


@pytest.mark.parametrize("coding", list(whole_numbers()), ids=named)
def test_mosaics_that_libraw_reads(coding: Coding) -> None:
    picture = photograph(HEIGHT, WIDTH, coding.bits)
    data = made_dng(picture, coding).data
    np.testing.assert_array_equal(codes_of(data), picture)
    np.testing.assert_array_equal(libraw_codes(data), picture)


@pytest.mark.parametrize("coding", list(more_whole_numbers()), ids=named)
def test_mosaics_that_libraw_does_not_read(coding: Coding) -> None:
    picture = photograph(HEIGHT, WIDTH, coding.bits)
    kind = np.uint8 if coding.bits <= 8 else np.uint16 if coding.bits <= 16 else np.uint32
    data = made_dng(picture.astype(kind), coding).data
    np.testing.assert_array_equal(codes_of(data), picture.astype(np.float32))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [16, 24, 32])
@pytest.mark.parametrize(
    ("kind", "predictor"), [("none", 1), *(("deflate", p) for p in (1, 3, 34894, 34895))]
)
@pytest.mark.parametrize("samples", [1, 3])
def test_floating_point(order: str, bits: int, kind: str, predictor: int, samples: int) -> None:
    picture = FLOATS if samples == 1 else np.stack([FLOATS, FLOATS / 2, FLOATS / 4], -1)
    coding = Coding(kind, bits, TILE, order=order, predictor=predictor)
    found = codes_of(made_dng(picture, coding, cfa="RGGB" if samples == 1 else None).data)
    exact = picture.astype(np.float16).astype(np.float32) if bits == 16 else picture
    np.testing.assert_array_equal(found, exact)


@pytest.mark.parametrize("bits", [16, 32])
def test_floating_point_in_jpeg_xl(bits: int) -> None:
    np.testing.assert_array_equal(
        codes_of(made_dng(FLOATS, Coding("jpeg xl", bits, TILE)).data), FLOATS
    )


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize(
    ("kind", "tile"), [("none", None), ("none", TILE), ("jpeg", (32, 32)), ("deflate", TILE)]
)
def test_linear_pictures(bits: int, planar: bool, kind: str, tile: tuple[int, int] | None) -> None:
    picture = photograph(HEIGHT, WIDTH, bits, 3)
    data = made_dng(picture, Coding(kind, bits, tile, planar=planar), cfa=None).data
    np.testing.assert_array_equal(codes_of(data), picture)
    assert read_dng(data, "").camera.cfa == "RGB"
    if not planar and kind != "deflate":
        np.testing.assert_array_equal(libraw_codes(data), picture)


@pytest.mark.parametrize("bits", [8, 16])
def test_linear_pictures_in_jpeg_xl(bits: int) -> None:
    picture = photograph(HEIGHT, WIDTH, bits, 3).astype(np.uint8 if bits == 8 else np.uint16)
    data = made_dng(picture, Coding("jpeg xl", bits, TILE), cfa=None).data
    np.testing.assert_array_equal(codes_of(data), picture)


@pytest.mark.parametrize("kind", ["lossy", "jpeg dct"])
@pytest.mark.parametrize("samples", [1, 3])
def test_dct_is_decoded_and_goes_through_the_table(kind: str, samples: int) -> None:
    picture = photograph(HEIGHT, WIDTH, 8, samples)
    # A square root is stored, as cameras do that write so few bits.
    stored = np.rint(np.sqrt(picture / 255) * 255).astype(np.uint8)
    table = np.rint((np.arange(256) / 255) ** 2 * 4095).astype(int)
    tags: Tags = {50712: (SHORT, tuple(table.tolist())), 50717: (SHORT, (4095,) * samples)}
    data = made_dng(stored, Coding(kind, 8, TILE), tags, "RGGB" if samples == 1 else None).data
    found = codes_of(data)
    assert set(np.unique(found)) <= set(table)
    assert np.abs(found / 4095 - picture / 255).mean() < 0.02


AREAS = [
    None,
    (0, 0, 0, 0),
    (2, 4, 38, 60),
    (0, 0, 39, 63),
    (1, 1, 39, 63),
    (3, 0, 40, 64),
    (0, 5, 33, 50),
]


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("cfa", [*PATTERNS, None])
@pytest.mark.parametrize("order", "<>")
def test_areas_and_patterns_are_those_of_libraw(
    area: tuple[int, ...] | None, cfa: str | None, order: str
) -> None:
    picture = photograph(HEIGHT, WIDTH, 12)
    tags: Tags = {} if area is None else {50829: (LONG, area)}
    data = made_dng(picture, Coding(order=order), tags, cfa).data
    frame = read_dng(data, "a.dng")
    top, left = frame.camera.crop
    with rawpy.imread(BytesIO(data)) as raw:
        seen = raw.raw_image_visible
        sizes = raw.sizes
        # From the corner of the whole picture, not of the visible part.
        pattern = np.roll(raw.raw_pattern, (-sizes.top_margin, -sizes.left_margin), (0, 1))
        description = raw.color_desc
        if cfa != "quad":  # LibRaw starts it at an even line, as if it were a Bayer mosaic
            np.testing.assert_array_equal(codes_of(data), seen)
            assert (top, left) == (sizes.top_margin, sizes.left_margin)
        if cfa not in ("quad", None):
            assert frame.camera.cfa == "".join(chr(description[i]) for i in pattern.ravel())
    _, _, bottom, right = area if area and any(area) else (0, 0, HEIGHT, WIDTH)
    np.testing.assert_array_equal(codes_of(data), picture[top:bottom, left:right])


def test_quad_and_linear_start_at_the_active_area() -> None:
    picture = photograph(HEIGHT, WIDTH, 12)
    data = made_dng(picture, tags={50829: (LONG, (1, 2, 39, 60))}, cfa="quad").data
    camera = read_dng(data, "").camera
    assert camera.crop == (1, 2)
    assert camera.cfa == "RRGGRRGGGGBBGGBB"


@pytest.mark.parametrize("main", [None, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 65535])
def test_orientation(main: int | None) -> None:
    picture = photograph(HEIGHT, WIDTH, 12)
    data = made_dng(picture, tags={274: None if main is None else (SHORT, (main,))}).data
    frame = read_dng(data, "a.dng")
    assert frame.camera.orientation == (main if main in range(1, 9) else 1)
    np.testing.assert_array_equal(codes_of(data), picture)


def test_checksum_is_compared() -> None:
    for picture, cfa in ((photograph(300, 280, 12), "RGGB"), (photograph(300, 280, 12, 3), None)):
        told: Tags = {51111: (BYTE, tuple(digest(picture)))}
        made = made_dng(picture, Coding("none", rows=100), told, cfa)
        np.testing.assert_array_equal(codes_of(made.data), picture)
        place = made.segments[1][0] + 77
        changed = made.with_bytes(place, bytes([made.data[place] ^ 1]))
        with pytest.raises(RawFileDamaged, match="checksum"):
            read_dng(changed, "a.dng")


def every_coding() -> Iterator[tuple[Coding, np.ndarray, str | None]]:
    """One of each kind."""
    mosaic, linear = photograph(HEIGHT, WIDTH, 8), photograph(HEIGHT, WIDTH, 8, 3)
    for kind in ("none", "jpeg", "deflate", "lossy", "jpeg dct", "jpeg xl"):
        for tile, rows in ((TILE, 0), (None, 16)):
            coding = Coding(kind, 8, tile, rows)
            yield coding, mosaic.astype(np.uint8), "RGGB"
            yield coding, linear.astype(np.uint8), None
    yield Coding("none", 12, TILE), photograph(HEIGHT, WIDTH, 12), "RGGB"
    yield Coding("deflate", 32, TILE, predictor=3), FLOATS, "RGGB"


CODINGS = list(every_coding())
each_coding = pytest.mark.parametrize(
    ("coding", "picture", "cfa"), CODINGS, ids=[f"{named(c)}-{p.ndim}" for c, p, _ in CODINGS]
)


@each_coding
def test_no_memory_shows_through(
    coding: Coding, picture: np.ndarray, cfa: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = made_dng(picture, coding, cfa=cfa).data
    found = []
    for poison in (0x00, 0xA5):

        def empty(shape: tuple[int, ...], kind: type, poison: int = poison) -> np.ndarray:
            size = int(np.prod(shape)) * np.dtype(kind).itemsize
            return np.full(size, poison, np.uint8).view(kind).reshape(shape)

        monkeypatch.setattr(tiles.np, "empty", empty)
        found.append(codes_of(data))
        monkeypatch.undo()
    np.testing.assert_array_equal(*found)


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
