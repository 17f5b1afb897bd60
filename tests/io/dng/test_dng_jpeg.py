from __future__ import annotations

import struct

import imagecodecs
import numpy as np
import pytest
from made_dng import photograph

from isp_meta.io.dng.jpeg import decode_jpeg, read_jpeg_header


def lossless_jpeg(
    picture: np.ndarray, bits: int, restart_rows: int = 0, first_name: int = 0, fill: int = 0
) -> bytes:
    """A lossless JPEG by the first predictor, with a plain code of five bits for each length.

    Args:
        picture: (H, W, components).
        restart_rows: rows between restarts; 0: none.
        first_name: of the components, whose names count up: 1, 2, 3 suggest colors.
        fill: bytes 0xFF before the end's marker.

    Source: ITU-T T.81, annex H.
    """
    height, width, components = picture.shape
    lengths = bytes([0, 0, 0, 0, 17, *[0] * 11])
    names = range(first_name, first_name + components)
    parts = [
        b"\xff\xd8",
        segment(
            0xC3,
            struct.pack(">BHHB", bits, height, width, components)
            + b"".join(bytes((n, 0x11, 0)) for n in names),
        ),
        segment(0xC4, b"\0" + lengths + bytes(range(17))),
    ]
    if restart_rows:
        parts.append(segment(0xDD, struct.pack(">H", restart_rows * width)))
    scan = bytes([components, *(v for n in names for v in (n, 0)), 1, 0, 0])
    parts.append(segment(0xDA, scan))
    step = restart_rows or height
    for number, top in enumerate(range(0, height, step)):
        if top:
            parts.append(bytes((0xFF, 0xD0 + (number - 1) % 8)))
        parts.append(stuffed(coded_rows(picture[top : top + step].astype(int), bits)))
    return b"".join(parts) + b"\xff" * fill + b"\xff\xd9"


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def coded_rows(rows: np.ndarray, bits: int) -> str:
    predicted = np.empty_like(rows)
    predicted[:, 1:] = rows[:, :-1]
    predicted[1:, 0] = rows[:-1, 0]
    predicted[0, 0] = 1 << (bits - 1)
    found = []
    for difference in (rows - predicted).ravel().tolist():
        difference = (difference + 32768) % 65536 - 32768
        if difference == -32768:
            found.append(f"{16:05b}")
            continue
        length = abs(difference).bit_length()
        value = difference if difference > 0 else difference + (1 << length) - 1
        found.append(f"{length:05b}" + (f"{value:0{length}b}" if length else ""))
    return "".join(found)


def stuffed(bits: str) -> bytes:
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return data.replace(b"\xff", b"\xff\0")


@pytest.mark.parametrize("bits", [2, 8, 12, 16])
@pytest.mark.parametrize("components", [1, 2, 3, 4])
@pytest.mark.parametrize("restart_rows", [0, 1, 3, 8])
def test_any_number_of_components_and_restarts(
    bits: int, components: int, restart_rows: int
) -> None:
    picture = photograph(24, 31, bits, components).reshape(24, 31, components)
    for first_name in (0, 1):
        data = lossless_jpeg(picture, bits, restart_rows, first_name)
        header = read_jpeg_header(data)
        assert (header.lossless, header.precision) == (True, bits)
        assert (header.height, header.width, header.components) == (24, 31, components)
        np.testing.assert_array_equal(decode_jpeg(data, header), picture.reshape(24, -1))


def test_fill_bytes_and_what_follows_the_end() -> None:
    picture = photograph(24, 31, 12).reshape(24, 31, 1)
    for data in (lossless_jpeg(picture, 12, fill=3), lossless_jpeg(picture, 12) + bytes(50)):
        np.testing.assert_array_equal(decode_jpeg(data, read_jpeg_header(data)), picture[..., 0])


def test_a_scan_with_0xff_in_any_place_near_its_end() -> None:
    random = np.random.default_rng(5)
    before_the_cut = 0
    for _ in range(300):
        picture = random.integers(0, 1 << 16, (9, 24, 1), np.uint16)
        data = lossless_jpeg(picture, 16)
        header = read_jpeg_header(data)
        np.testing.assert_array_equal(decode_jpeg(data, header), picture[..., 0])
        before_the_cut += data[header.scan[1] - 65] == 0xFF
        if (stuffed_at := data.rfind(b"\xff\0", header.scan[0])) > 0:
            half = data[: stuffed_at + 1]
            with pytest.raises(ValueError, match="ends before its last sample"):
                decode_jpeg(half, read_jpeg_header(half))
    assert before_the_cut


def jpegs() -> list[bytes]:
    picture = photograph(64, 64, 12)
    eight = photograph(64, 64, 8).astype(np.uint8)
    return [
        lossless_jpeg(picture[..., None], 12),
        lossless_jpeg(picture[..., None], 12, restart_rows=5),
        imagecodecs.jpeg8_encode(picture, lossless=True, predictor=7, bitspersample=12),
        imagecodecs.jpeg8_encode(eight, 95),
        imagecodecs.jpeg8_encode(np.stack([eight] * 3, -1), 95, subsampling="420"),
    ]


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("missing", [1, 3, 20, 300, 0.5])
def test_a_scan_that_ends_early_is_found(number: int, missing: float) -> None:
    data = jpegs()[number]
    start, end = read_jpeg_header(data).scan
    cut = end - (missing if isinstance(missing, int) else int((end - start) * missing))
    # The decoder itself makes up the rest, and says nothing.
    for short in (data[:cut], data[:cut] + b"\xff\xd9"):
        assert imagecodecs.jpeg8_decode(short).shape[0] == 64
        with pytest.raises(ValueError, match="ends before its last sample"):
            decode_jpeg(short, read_jpeg_header(short))


@pytest.mark.parametrize("number", range(5))
def test_a_scan_that_goes_on_is_found(number: int) -> None:
    data = jpegs()[number]
    _, end = read_jpeg_header(data).scan
    longer = data[:end] + bytes(range(1, 200)) + data[end:]
    with pytest.raises(ValueError, match="holds more than its samples"):
        decode_jpeg(longer, read_jpeg_header(longer))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "does not begin"),
        (bytes(100), "does not begin"),
        (b"\xff\xd8" + bytes(20), "no marker"),
        (b"\xff\xd8\xff\xd9" + bytes(20), "no picture"),
        (b"\xff\xd8" + segment(0xC3, b"\x08"), "no picture"),
    ],
)
def test_what_is_no_jpeg(data: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        read_jpeg_header(data)
