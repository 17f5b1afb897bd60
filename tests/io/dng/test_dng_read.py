"""Every coding of a raw picture gives the codes that were written, and those that LibRaw reads."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pytest
import rawpy
from codings import FLOATS, HEIGHT, TILE, WIDTH, codes_of, each_coding, named
from made_dng import (
    LONG,
    PATTERNS,
    SHORT,
    Coding,
    Tags,
    made_dng,
    photograph,
)

from isp_meta.errors import RawFileDamaged
from isp_meta.io.dng import tiles
from isp_meta.io.dng.read import read_dng


def libraw_codes(data: bytes) -> np.ndarray:
    with rawpy.imread(BytesIO(data)) as raw:
        codes = raw.raw_image_visible
        return codes[..., :3].copy() if codes.ndim == 3 else codes.copy()


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


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_samples_that_are_not_packed(order: str, bits: int) -> None:
    picture = photograph(HEIGHT, WIDTH, bits)
    data = made_dng(picture, Coding("none", 16, order=order), {258: (SHORT, (bits,))}).data
    np.testing.assert_array_equal(codes_of(data), picture)
    beyond = made_dng(picture * 2, Coding("none", 16, order=order), {258: (SHORT, (bits,))}).data
    with pytest.raises(RawFileDamaged, match=f"strip 1 of 1 holds codes of more than {bits} bits"):
        read_dng(beyond, "a.dng")


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
