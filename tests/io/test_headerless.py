"""Raw files without a header, by a layout that their user gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from isp_meta.errors import RawFileDamaged, RawFileError, RawFileUnsupported
from isp_meta.io import RawLayout, read_layout, read_raw

Codes = NDArray[np.uint16]


def codes_of(bits: int, height: int = 6, width: int = 20) -> Codes:
    generator = np.random.default_rng(bits)
    return generator.integers(0, 1 << bits, (height, width), dtype=np.uint16, endpoint=False)


def mipi(codes: Codes, bits: int) -> bytes:
    """By the specification's figures, one group after the other."""
    group = {10: 4, 12: 2, 14: 4}[bits]
    low = bits - 8
    packed = b""
    for row in codes:
        for start in range(0, len(row), group):
            values = [int(value) for value in row[start : start + group]]
            packed += bytes(value >> low for value in values)
            lows = sum((v & ((1 << low) - 1)) << (low * i) for i, v in enumerate(values))
            packed += lows.to_bytes(group * low // 8, "little")
    return packed


def bit_by_bit(codes: Codes, bits: int, order: Any) -> bytes:
    """Each row as one long number."""
    packed = b""
    for row in codes:
        values = [int(value) for value in row]
        if order == "little":
            number = sum(value << (bits * i) for i, value in enumerate(values))
        else:
            number = int("".join(f"{value:0{bits}b}" for value in values), 2)
            number <<= -len(values) * bits % 8
        packed += number.to_bytes(-(-len(values) * bits // 8), order)
    return packed


def check(path: Path, data: bytes, codes: Codes, **layout: Any) -> None:
    path.write_bytes(data)
    frame = read_raw(path, layout=RawLayout(codes.shape[1], codes.shape[0], **layout))
    assert frame.codes is not None
    np.testing.assert_array_equal(frame.codes[0].numpy(), codes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "frame.raw"


@pytest.mark.parametrize("bits", range(8, 17))
@pytest.mark.parametrize("order", ["little", "big"])
def test_unpacked(path: Path, bits: int, order: Any) -> None:
    codes = codes_of(bits)
    kind = "u1" if bits == 8 else ("<" if order == "little" else ">") + "u2"
    check(path, codes.astype(kind).tobytes(), codes, bits=bits, byte_order=order)
    if bits > 8:
        high = (codes << (16 - bits)).astype(kind).tobytes()
        check(path, high, codes, bits=bits, byte_order=order, alignment="high")


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_mipi(path: Path, bits: int) -> None:
    codes = codes_of(bits)
    check(path, mipi(codes, bits), codes, bits=bits, packing="mipi")


def test_mipi_of_ten_bits_as_the_specification_draws_it(path: Path) -> None:
    codes = np.array([[0x3FF, 0, 0x155, 0x2A9]], np.uint16)
    check(path, bytes([0xFF, 0x00, 0x55, 0xAA, 0b01_01_00_11]), codes, bits=10, packing="mipi")


@pytest.mark.parametrize("bits", range(8, 17))
@pytest.mark.parametrize("order", ["little", "big"])
def test_packed(path: Path, bits: int, order: Any) -> None:
    codes = codes_of(bits, width=19)  # of which no number of bits makes whole bytes
    data = bit_by_bit(codes, bits, order)
    check(path, data, codes, bits=bits, byte_order=order, packing="packed")


def test_many_rows_are_unpacked_band_by_band(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isp_meta.io.headerless._BAND", 1000)
    codes = codes_of(10, height=50)
    check(path, mipi(codes, 10), codes, bits=10, packing="mipi")


@pytest.mark.parametrize("last", [True, False])
def test_bytes_before_in_between_and_behind(path: Path, last: bool) -> None:
    codes = codes_of(12)
    rows = [row.astype("<u2").tobytes() + b"\xff" * 7 for row in codes]
    if not last:
        rows[-1] = rows[-1][:-7]
    data = b"head!" + b"".join(rows) + b"tail"
    check(path, data, codes, bits=12, offset=5, stride=47, tail=4)


def test_what_the_camera_is(path: Path) -> None:
    codes = codes_of(12)
    path.write_bytes(codes.tobytes())
    layout = RawLayout(
        *(20, 6, 12),
        cfa="GRBG",
        black=(60, 61, 62, 63),
        white=4000,
        make="SONY",
        model="ILCE-7M3",
        orientation=6,
    )
    camera = read_raw(path, layout=layout).camera
    assert camera.cfa == "GRBG"
    assert camera.black_level == (60, 61, 62, 63)
    assert (camera.white_level, camera.orientation) == (4000, 6)
    assert (camera.make, camera.color_matrix[0]) == ("SONY", 0.7374)
    assert camera.as_shot_neutral[1] == 1
    assert camera.as_shot_neutral[0] < 0.6  # of LibRaw's daylight


@pytest.mark.parametrize(("cfa", "levels"), [("RGGB", 4), ("W", 1), ("RRGGRRGGGGBBGGBB", 16)])
def test_one_black_level_is_that_of_every_place(path: Path, cfa: str, levels: int) -> None:
    path.write_bytes(codes_of(8).astype("u1").tobytes())
    camera = read_raw(path, layout=RawLayout(20, 6, 8, cfa=cfa, black=12.5)).camera
    assert camera.black_level == (12.5,) * levels
    assert camera.white_level == 255


def test_gray_pictures_that_hold_a_mosaic(tmp_path: Path) -> None:
    codes = codes_of(16)
    png = tmp_path / "a.png"
    check(png, imagecodecs.png_encode(codes), codes)
    check(png, imagecodecs.png_encode(codes.astype("u1")), codes & 0xFF, bits=8)
    check(png, imagecodecs.png_encode(codes << 4), codes & 0xFFF, bits=12, alignment="high")
    tifffile.imwrite(tmp_path / "a.tif", codes)
    check(tmp_path / "a.tif", (tmp_path / "a.tif").read_bytes(), codes)


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        (
            imagecodecs.png_encode(codes_of(16)),
            RawFileUnsupported,
            "PNG of 20x6 uint16, where the layout says 19x6",
        ),
        (
            imagecodecs.png_encode(np.zeros((6, 19, 3), np.uint8)),
            RawFileUnsupported,
            "PNG of 19x6 uint8 in 3 channels",
        ),
        (imagecodecs.png_encode(codes_of(16))[:60], RawFileDamaged, "its PNG cannot be decoded"),
    ],
)
def test_pictures_that_hold_no_such_mosaic(path: Path, data: bytes, error: Any, text: str) -> None:
    path.write_bytes(data)
    with pytest.raises(error, match=text):
        read_raw(path, layout=RawLayout(19, 6))


@pytest.mark.parametrize("start", [b"\xff\xd8\xff\xe0", b"BM", b"\x1f\x8b", b"\xff\x0a"])
def test_the_first_codes_may_look_like_a_header(path: Path, start: bytes) -> None:
    codes = codes_of(16)
    data = start + codes.tobytes()[len(start) :]
    check(path, data, np.frombuffer(data, "<u2").reshape(codes.shape))


def test_a_file_of_another_size_is_no_picture(path: Path) -> None:
    path.write_bytes(bytes(240))
    with pytest.raises(
        RawFileDamaged, match="20x7 of 16 bits is incomplete: it has 240 of at leas"
    ):
        read_raw(path, layout=RawLayout(20, 7))
    text = r"it has 240 bytes, where 20x5 of 16 bits, unpacked, has 200; correct size, bits"
    with pytest.raises(RawFileUnsupported, match=text):
        read_raw(path, layout=RawLayout(20, 5))


def test_codes_beyond_their_bits_are_no_codes(path: Path) -> None:
    path.write_bytes(codes_of(14).tobytes())
    with pytest.raises(
        RawFileUnsupported, match=r"it holds code \d+, which 12 bits do not; correct"
    ):
        read_raw(path, layout=RawLayout(20, 6, 12))


def test_a_camera_that_libraw_does_not_know(path: Path) -> None:
    path.write_bytes(bytes(240))
    with pytest.raises(RawFileError, match="No such: LibRaw knows no"):
        read_raw(path, layout=RawLayout(20, 6, make="No", model="such"))


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"bits": 7}, "bits must be 8 to 16"),
        ({"width": 0}, "no mosaic of 0x6"),
        ({"width": 1 << 20, "height": 1 << 20}, "no mosaic of"),
        ({"packing": "zip"}, "packing must be 'unpacked' or 'mipi' or 'packed', not 'zip'"),
        ({"byte_order": "middle"}, "byte_order must be"),
        ({"packing": "mipi", "bits": 11}, "MIPI packs"),
        ({"packing": "packed", "alignment": "high"}, "only unpacked"),
        ({"stride": 39}, "a row has 40 bytes, more than stride 39"),
        ({"offset": -1}, "0 or more"),
        ({"make": "SONY"}, "go together"),
        ({"black": (1, 2)}, "black takes 1 or 4 levels, not 2"),
        ({"cfa": "RGB2"}, "cfa"),
        ({"white": 0}, "white_level"),
        ({"orientation": 9}, "orientation"),
    ],
)
def test_layouts_that_cannot_be(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        RawLayout(**{"width": 20, "height": 6, **wrong})


def test_a_layout_beside_the_file(path: Path) -> None:
    codes = codes_of(10)
    path.write_bytes(mipi(codes, 10))
    beside = path.with_name("frame.raw.toml")
    beside.write_text(
        'width = 20\nheight = 6\nbits = 10\npacking = "mipi"\ncfa = "GBRG"\nblack = [1, 2, 3, 4]\n'
    )
    frame = read_raw(path)
    assert frame.codes is not None
    np.testing.assert_array_equal(frame.codes[0].numpy(), codes)
    assert (frame.camera.cfa, frame.camera.black_level) == ("GBRG", (1, 2, 3, 4))
    # What a call says goes before.
    assert read_raw(path, layout=RawLayout(25, 6, 8)).camera.cfa == "RGGB"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("width = ", "is no TOML"),
        ("width = 20", "width and height must be there"),
        ("width = 20\nheight = 6\ndepth = 3", "depth is none of width, height, bits"),
        ("width = 20\nheight = '6'", "height must be a whole number, not '6'"),
        ("width = 20\nheight = 6\nbits = 3", "bits must be 8 to 16"),
    ],
)
def test_layouts_that_cannot_be_read(path: Path, text: str, cause: str) -> None:
    path.write_bytes(bytes(240))
    beside = path.with_name("frame.raw.toml")
    beside.write_text(text)
    with pytest.raises(RawFileError, match=rf"frame\.raw\.toml: {cause}"):
        read_raw(path)
    with pytest.raises(RawFileError, match=cause):
        read_layout(beside)
