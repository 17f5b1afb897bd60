"""Levels, scale and colors as a DNG's tags say them."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pytest
import rawpy
from made_dng import (
    BYTE,
    LONG,
    MATRIX,
    PATTERNS,
    RATIONAL,
    SHORT,
    SRATIONAL,
    UNDEFINED,
    Coding,
    Tags,
    made_dng,
    photograph,
)

from isp_meta.errors import RawFileDamaged
from isp_meta.frame import Frame
from isp_meta.io.dng.read import read_dng
from isp_meta.stages import BlackLevel

HEIGHT, WIDTH = 40, 64
MOSAIC = photograph(HEIGHT, WIDTH, 12)
WORDS = Coding()


def frame_of(
    tags: Tags, picture: np.ndarray = MOSAIC, coding: Coding = WORDS, cfa: str | None = "RGGB"
) -> Frame:
    return read_dng(made_dng(picture, coding, tags, cfa).data, "a.dng")


def light(frame: Frame) -> np.ndarray:
    """The linear mosaic, in [0, 1]."""
    mosaic = BlackLevel()(frame).mosaic
    assert mosaic is not None
    return mosaic[0].numpy()


def rationals(*values: float) -> tuple[int, ...]:
    return tuple(part for value in values for part in (round(value * 100), 100))


BLACKS: dict[str, tuple[Tags, tuple[float, ...]]] = {
    "none": ({}, (0,) * 4),
    "one": ({50714: (SHORT, (256,))}, (256,) * 4),
    "fraction": ({50714: (RATIONAL, rationals(255.5))}, (255.5,) * 4),
    "2x2": (
        {50713: (SHORT, (2, 2)), 50714: (RATIONAL, rationals(10, 20, 30.5, 41))},
        (10, 20, 30.5, 41),
    ),
    "four without a repeat": ({50714: (SHORT, (10, 20, 30, 41))}, (10, 20, 30, 41)),
    "1x2": ({50713: (SHORT, (1, 2)), 50714: (SHORT, (10, 20))}, (10, 20, 10, 20)),
    "2x1": ({50713: (SHORT, (2, 1)), 50714: (SHORT, (10, 20))}, (10, 10, 20, 20)),
    "0/0": ({50714: (RATIONAL, (0, 0))}, (0,) * 4),
    "many of one value": ({50713: (SHORT, (3, 3)), 50714: (SHORT, (7,) * 9)}, (7,) * 4),
}


@pytest.mark.parametrize("kind", BLACKS)
@pytest.mark.parametrize("white", [None, 4000, 65535])
@pytest.mark.parametrize("cfa", ["RGGB", "GBRG"])
@pytest.mark.parametrize("area", [(0, 0, HEIGHT, WIDTH), (2, 2, 38, 60), (1, 0, 40, 64)])
def test_levels_of_a_bayer_mosaic(
    kind: str, white: int | None, cfa: str, area: tuple[int, ...]
) -> None:
    changes, black = BLACKS[kind]
    tags: Tags = {
        **changes,
        50829: (LONG, area),
        50717: None if white is None else (LONG, (white,)),
    }
    data = made_dng(MOSAIC, tags=tags, cfa=cfa).data
    camera = read_dng(data, "a.dng").camera
    down, across = camera.crop[0] - area[0], camera.crop[1] - area[1]
    assert camera.black_level == tuple(
        np.roll(np.reshape(black, (2, 2)), (-down, -across), (0, 1)).ravel()
    )
    assert camera.white_level == (white or 65535)
    if kind in ("four without a repeat", "0/0", "many of one value"):
        return  # LibRaw drops them
    if kind in ("2x2", "2x1") and area[0] % 2:
        return  # LibRaw moves the pattern of colors alone
    with rawpy.imread(BytesIO(data)) as raw:
        assert raw.white_level == camera.white_level
        of_places = [raw.black_level_per_channel[i] for i in raw.raw_pattern.ravel()]
        assert of_places == pytest.approx(camera.black_level, abs=1)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_white_is_by_default_the_largest_code(bits: int) -> None:
    frame = frame_of({}, photograph(HEIGHT, WIDTH, bits), Coding(bits=bits))
    assert frame.camera.white_level == 2**bits - 1
    assert light(frame).max() == 1


def test_white_behind_a_table_is_by_default_its_largest_entry() -> None:
    table = tuple(i * 16 for i in range(256))
    picture = photograph(HEIGHT, WIDTH, 8)
    frame = frame_of({50712: (SHORT, table)}, picture, Coding(bits=8))
    assert frame.camera.white_level == 255 * 16
    np.testing.assert_array_equal(frame.codes[0].numpy(), picture * 16)


def test_codes_beyond_a_table_are_its_last_entry() -> None:
    table = tuple(range(0, 3000, 2))
    frame = frame_of({50712: (SHORT, table), 50717: (SHORT, (2998,))})
    np.testing.assert_array_equal(frame.codes[0].numpy(), np.minimum(MOSAIC, 1499) * 2)


@pytest.mark.parametrize("cfa", ["quad", "x-trans"])
def test_levels_of_longer_periods(cfa: str) -> None:
    side = PATTERNS[cfa][0][0]
    told = tuple(range(100, 100 + side * side))
    for repeat in ((SHORT, (side, side)), None):
        frame = frame_of({50713: repeat, 50714: (SHORT, told)}, cfa=cfa)
        assert frame.camera.black_level == told
    assert frame_of({50714: (SHORT, (64,))}, cfa=cfa).camera.black_level == (64,) * side**2


def test_levels_of_linear_pictures() -> None:
    picture = photograph(HEIGHT, WIDTH, 12, 3)
    for told, black in (((64,), (64,) * 3), ((64, 65, 66), (64, 65, 66))):
        frame = frame_of({50714: (SHORT, told), 50717: (SHORT, (4000,) * 3)}, picture, cfa=None)
        assert frame.camera.black_level == black
        assert frame.camera.white_level == 4000
        np.testing.assert_array_equal(frame.codes.movedim(0, -1).numpy(), picture)


def test_colors_with_white_levels_of_their_own() -> None:
    picture = photograph(HEIGHT, WIDTH, 12, 3)
    black, white = np.array([64, 65, 66]), np.array([4000, 3900, 3000])
    tags: Tags = {50714: (SHORT, tuple(black.tolist())), 50717: (SHORT, tuple(white.tolist()))}
    frame = frame_of(tags, picture, cfa=None)
    found = (frame.codes.movedim(0, -1).numpy() - black) / (4000 - black)
    np.testing.assert_allclose(found, (picture - black) / (white - black), atol=1e-6)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [16, 32])
def test_floating_point_has_the_light_of_the_codes_it_was_made_of(order: str, bits: int) -> None:
    tags: Tags = {50714: (SHORT, (256,)), 50717: (LONG, (4095,))}
    codes = MOSAIC.clip(256).astype(np.float32)
    if bits == 16:
        codes = codes.astype(np.float16).astype(np.float32)
    frame = frame_of(tags, codes, Coding(bits=bits, order=order))
    assert (frame.camera.black_level, frame.camera.white_level) == ((256,) * 4, 4095)
    np.testing.assert_allclose(light(frame), ((codes - 256) / 3839).clip(0, 1), atol=1e-6)


@pytest.mark.parametrize("bits", [16, 24, 32])
def test_white_of_floating_point_is_by_default_one(bits: int) -> None:
    picture = (photograph(HEIGHT, WIDTH, 10) / np.float32(1024)).astype(np.float32)
    frame = frame_of({}, picture, Coding(bits=bits))
    assert (frame.camera.black_level, frame.camera.white_level) == ((0,) * 4, 1)
    np.testing.assert_array_equal(light(frame), picture)


def black_map(pattern: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    tiled = np.tile(pattern, (HEIGHT, WIDTH))[:HEIGHT, :WIDTH]
    return tiled + down[:, None] + across


@pytest.mark.parametrize("pattern", [[[100]], [[100, 110], [120, 130]], [[100, 140, 90]]])
@pytest.mark.parametrize("down", [0, 40])
@pytest.mark.parametrize("across", [0, 25])
def test_black_that_differs_among_lines_is_that_of_each_pixel(
    pattern: list[list[int]], down: int, across: int
) -> None:
    chance = np.random.default_rng(0)
    rows, columns = (
        chance.integers(-down, down + 1, HEIGHT),
        chance.integers(-across, across + 1, WIDTH),
    )
    tags: Tags = {
        50713: (SHORT, np.shape(pattern)),
        50714: (SHORT, tuple(np.ravel(pattern).tolist())),
        50716: (SRATIONAL, rationals(*rows)),
        50715: (SRATIONAL, rationals(*columns)),
        50717: (LONG, (65535,)),
    }
    black = black_map(np.array(pattern), rows, columns)
    codes = black + 20000 + np.arange(WIDTH)
    frame = frame_of(tags, codes.astype(np.uint16))
    levels = np.tile(np.reshape(frame.camera.black_level, (2, 2)), (HEIGHT // 2, WIDTH // 2))
    np.testing.assert_allclose(frame.codes[0].numpy() - levels, codes - black, atol=1e-9)
    assert (frame.codes == frame.codes.round()).all()


def test_black_that_differs_by_noise_is_shared() -> None:
    rows = np.random.default_rng(0).choice([-0.4, 0.0, 0.4], HEIGHT)
    frame = frame_of({50714: (SHORT, (100,)), 50716: (SRATIONAL, rationals(*rows))})
    np.testing.assert_array_equal(frame.codes[0].numpy(), MOSAIC)
    expected = [100 + rows[y::2].mean() for y in (0, 0, 1, 1)]
    assert frame.camera.black_level == pytest.approx(expected)


def test_black_lines_start_at_the_active_area() -> None:
    area = (2, 4, 38, 60)
    rows, columns = np.arange(36) * 5, np.arange(56) * 3
    tags: Tags = {
        50829: (LONG, area),
        50714: (SHORT, (100,)),
        50716: (SRATIONAL, rationals(*rows)),
        50715: (SRATIONAL, rationals(*columns)),
    }
    codes = np.zeros((HEIGHT, WIDTH), np.uint16)
    codes[2:38, 4:60] = 5000 + rows[:, None] + columns
    frame = frame_of(tags, codes)
    levels = np.tile(np.reshape(frame.camera.black_level, (2, 2)), (18, 28))
    np.testing.assert_array_equal(frame.codes[0].numpy() - levels, np.full((36, 56), 4900))


def test_too_few_black_lines() -> None:
    with pytest.raises(RawFileDamaged, match="of 3 of 40 lines"):
        frame_of({50714: (SHORT, (100,)), 50716: (SRATIONAL, rationals(1, 2, 3))})


def opcode(number: int, body: bytes) -> bytes:
    return struct.pack(">4I", number, 0x01030000, 0, len(body)) + body


def polynomial(plane: int, *coefficients: float, area: tuple[int, ...] = (0, 0, 40, 64)) -> bytes:
    head = struct.pack(">9I", *area, plane, 1, 1, 1, len(coefficients) - 1)
    return opcode(8, head + struct.pack(f">{len(coefficients)}d", *coefficients))


def listed(*opcodes: bytes) -> tuple[int, tuple[int, ...]]:
    return UNDEFINED, tuple(struct.pack(">I", len(opcodes)) + b"".join(opcodes))


def test_lossy_pictures_go_through_their_curves() -> None:
    picture = photograph(HEIGHT, WIDTH, 8, 3)
    curves = listed(*(polynomial(plane, 0.0, 0.1, 0.9 - plane / 10) for plane in range(3)))
    frame = frame_of({51009: curves}, picture, Coding(bits=8), cfa=None)
    x = picture / 255
    expected = 0.1 * x + (0.9 - np.arange(3) / 10) * x**2
    assert frame.camera.black_level == (0, 0, 0)
    assert frame.camera.white_level == 65535
    np.testing.assert_allclose(frame.codes.movedim(0, -1).numpy() / 65535, expected, atol=1e-6)


def test_a_curve_of_a_part_of_a_mosaic() -> None:
    curve = polynomial(0, 0.5, area=(10, 20, 30, 50))
    frame = frame_of(
        {
            51009: listed(curve),
            50829: (LONG, (2, 4, 40, 64)),
            50714: (SHORT, (64,)),
            50717: (SHORT, (4095,)),
        }
    )
    expected = ((MOSAIC[2:, 4:].astype(float) - 64) / 4031).clip(0, 1)
    expected[10:30, 20:50] = 0.5
    np.testing.assert_allclose(light(frame), expected, atol=1e-6)


def test_a_curve_in_a_table() -> None:
    table = np.rint(np.linspace(0, 1, 65536) ** 2 * 65535).astype(">u2")
    body = struct.pack(">9I", 0, 0, 40, 64, 0, 1, 1, 1, 65536) + table.tobytes()
    frame = frame_of({51009: listed(opcode(7, body)), 50717: (SHORT, (4095,))})
    np.testing.assert_allclose(light(frame), (MOSAIC / 4095) ** 2, atol=2e-5)


@pytest.mark.parametrize(
    "curve", [polynomial(0, float("nan")), opcode(8, bytes(20)), opcode(7, bytes(36))]
)
def test_a_curve_that_makes_no_sense(curve: bytes) -> None:
    with pytest.raises(RawFileDamaged, match="make no sense"):
        frame_of({51009: listed(curve)})


def test_scale_is_kept() -> None:
    assert frame_of({50718: (RATIONAL, (2, 1, 1, 1))}).camera.default_scale == (2, 1)
    for scale in (None, (RATIONAL, (0, 1, 1, 1)), (RATIONAL, (0, 0, 1, 1))):
        assert frame_of({50718: scale}).camera.default_scale == (1, 1)


def test_planes_in_another_order() -> None:
    matrix = np.reshape(MATRIX, (3, 3))
    swapped: Tags = {
        50710: (BYTE, (2, 1, 0)),
        50721: (SRATIONAL, tuple(v for n in matrix[::-1].ravel().tolist() for v in (n, 10000))),
        50728: (RATIONAL, (6, 10, 10, 10, 5, 10)),
    }
    assert frame_of(swapped).camera == frame_of({}).camera


@pytest.mark.parametrize("xy", [None, (0.3127, 0.329), (0.4476, 0.4074)])
def test_neutral_without_its_tag(xy: tuple[float, float] | None) -> None:
    tag = (
        None if xy is None else (RATIONAL, tuple(v for n in xy for v in (round(n * 10000), 10000)))
    )
    data = made_dng(MOSAIC, tags={50728: None, 50729: tag}).data
    neutral = read_dng(data, "a.dng").camera.as_shot_neutral
    x, y = xy or (0.3127, 0.329)
    expected = np.reshape(MATRIX, (3, 3)) @ (x / y, 1, (1 - x - y) / y)
    assert neutral == pytest.approx(expected / expected[1], rel=1e-5)
    if xy != (0.4476, 0.4074):
        with rawpy.imread(BytesIO(data)) as raw:
            gains = raw.daylight_whitebalance
        assert neutral == pytest.approx([gains[1] / g for g in gains[:3]], rel=1e-3)


def test_monochrome() -> None:
    single: Tags = {33421: (SHORT, (2, 2)), 33422: (BYTE, (1, 1, 1, 1))}
    for tags, cfa in (({}, None), (single, "RGGB")):
        frame = frame_of({**tags, 50714: (SHORT, (64,)), 50728: None, 50721: None}, cfa=cfa)
        assert (frame.camera.cfa, frame.camera.black_level) == ("W", (64,))
        assert frame.camera.as_shot_neutral == (1, 1, 1)
        np.testing.assert_array_equal(frame.codes[0].numpy(), MOSAIC)


def test_odd_patterns_become_squares() -> None:
    for shape, told, cfa in (
        ((2, 4), (0, 1, 0, 1, 1, 2, 1, 2), "RGGB"),
        ((4, 2), (1, 0, 2, 1) * 2, "GRBG"),
        ((2, 4), (0, 1, 2, 1, 1, 2, 1, 0), "RGBGGBGRRGBGGBGR"),
        ((3, 3), (0, 1, 2, 1, 2, 0, 2, 0, 1), "RGBGBRBRG"),
        ((2, 2), (0, 2, 1, 1), "RBRBGGGGRBRBGGGG"),
    ):
        frame = frame_of({33421: (SHORT, shape), 33422: (BYTE, told)})
        assert frame.camera.cfa == cfa
