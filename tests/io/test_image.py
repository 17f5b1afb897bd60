from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from isp_meta.errors import ImageFileError
from isp_meta.frame import Frame
from isp_meta.io import decode_image, encode_jpeg, to_uint8


def gradient(height: int = 48, width: int = 64) -> torch.Tensor:
    y = torch.linspace(0, 1, height)[:, None].expand(height, width)
    x = torch.linspace(0, 1, width)[None].expand(height, width)
    return torch.stack([y, x, (x * y).sqrt()])


def pillow(mode: str = "RGB") -> Image.Image:
    return Image.fromarray(to_uint8(gradient()).movedim(0, -1).numpy()).convert(mode)


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


FILES = {
    "jpeg": saved(pillow(), "JPEG"),
    "progressive": saved(pillow(), "JPEG", progressive=True),
    "png": saved(pillow(), "PNG"),
    "tiff": saved(pillow(), "TIFF"),
    "lzw": saved(pillow(), "TIFF", compression="tiff_lzw"),
}


def test_to_uint8() -> None:
    values = torch.tensor([-0.1, 0.0, 0.5 / 255, 1.5 / 255, 0.999, 1.0, 2.0])
    assert to_uint8(values).tolist() == [0, 0, 0, 2, 255, 255, 255]
    codes = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(codes / 255), codes)
    with pytest.raises(ValueError, match="NaN"):
        to_uint8(torch.tensor([float("nan")]))


@pytest.mark.parametrize(("subsampling", "layer"), [("4:4:4", 0), ("4:2:2", 1), ("4:2:0", 2)])
def test_jpeg_round_trip(subsampling: str, layer: int) -> None:
    data = encode_jpeg(gradient(), quality=98, subsampling=subsampling)
    decoded = decode_image(data, "a.jpg")
    assert decoded.dtype == torch.uint8
    assert float((decoded / 255 - gradient()).abs().mean()) < 0.006
    assert data == encode_jpeg(to_uint8(gradient()), quality=98, subsampling=subsampling)
    from PIL.JpegImagePlugin import get_sampling

    with Image.open(io.BytesIO(data)) as picture:
        assert get_sampling(picture) == layer


def test_exif_of_a_jpeg(tmp_path: Path, sample: Frame, exiftool: Callable[[Path], str]) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encode_jpeg(gradient(), camera=sample.camera))
    assert exiftool(path).split() == ["Validate", ":", "OK"]
    with Image.open(path) as picture:
        exif = picture.getexif()
        assert (exif[271], exif[272], exif[274]) == ("GoPro", "HERO6 Black", 2)
        below = exif.get_ifd(0x8769)
        assert (float(below[33434]), float(below[33437]), below[34855]) == (1 / 455, 2.8, 100)
        assert below[36867] == "2016:01:01 23:07:27"
        assert below[40961] == 1
        assert (below[40962], below[40963]) == picture.size


def test_encode_jpeg_wrong_arguments() -> None:
    with pytest.raises(ValueError, match=r"\(3, H, W\)"):
        encode_jpeg(torch.zeros(1, 4, 4))
    with pytest.raises(ValueError, match="quality"):
        encode_jpeg(gradient(), quality=0)
    with pytest.raises(ValueError, match="4:2:0"):
        encode_jpeg(gradient(), subsampling="4:1:1")
    with pytest.raises(ImageFileError, match="65500"):
        encode_jpeg(torch.zeros(3, 1, 65501, dtype=torch.uint8))


@pytest.mark.parametrize("kind", ["png", "tiff", "lzw"])
def test_lossless_files_are_exact(kind: str) -> None:
    assert torch.equal(decode_image(FILES[kind], kind), to_uint8(gradient()))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_gray_becomes_three_channels(kind: str) -> None:
    decoded = decode_image(saved(pillow("L"), kind), "gray")
    assert decoded.shape == (3, 48, 64)
    assert torch.equal(decoded[0], decoded[1])
    assert torch.equal(decoded[0], decoded[2])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_orientation_is_not_applied(kind: str) -> None:
    exif = Image.Exif()
    exif[274] = 6
    turned = decode_image(saved(pillow(), kind, exif=exif), "turned")
    assert torch.equal(turned, decode_image(saved(pillow(), kind), "plain"))


def test_opaque_alpha_and_palette() -> None:
    assert torch.equal(decode_image(saved(pillow("RGBA"), "PNG"), "a"), to_uint8(gradient()))
    palette = pillow("P")
    expected = torch.from_numpy(np.array(palette.convert("RGB"))).movedim(-1, 0)
    assert torch.equal(decode_image(saved(palette, "PNG"), "a"), expected)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "empty"),
        (b"GIF89a hardly", "no JPEG, PNG or TIFF"),
        (saved(pillow("CMYK"), "JPEG"), "CMYK"),
        (saved(pillow("CMYK"), "TIFF"), "SEPARATED"),
        (saved(Image.fromarray(np.zeros((4, 4), np.uint16)), "PNG"), "more than 8 bits"),
        (saved(Image.fromarray(np.zeros((4, 4), np.uint16)), "TIFF"), "more than 8 bits"),
        (saved(Image.new("RGBA", (4, 4), (1, 2, 3, 4)), "PNG"), "transparent"),
    ],
)
def test_other_kinds_are_named(data: bytes, text: str) -> None:
    with pytest.raises(ImageFileError, match=text) as caught:
        decode_image(data, "photo.x")
    assert "photo.x" in str(caught.value)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("kept", [0.05, 0.3, 0.6, 0.9, 0.97])
def test_truncation(kind: str, kept: float) -> None:
    data = FILES[kind]
    with pytest.raises(ImageFileError, match=r"a\.x"):
        decode_image(data[: int(len(data) * kept)], "a.x")


def test_a_small_file_cannot_claim_a_large_picture() -> None:
    jpeg, png = bytearray(FILES["jpeg"]), bytearray(FILES["png"])
    struct.pack_into(">HH", jpeg, jpeg.index(b"\xff\xc0") + 5, 9000, 9000)
    struct.pack_into(">II", png, 16, 9000, 9000)
    struct.pack_into(">I", png, 29, zlib.crc32(png[12:29]))
    tiff = FILES["tiff"]
    for tag, side in ((256, 64), (257, 48)):
        entry = tiff.index(struct.pack("<HHI", tag, 4, 1) + struct.pack("<I", side))
        tiff = tiff[: entry + 8] + struct.pack("<I", 9000) + tiff[entry + 12 :]
    for data in (bytes(jpeg), bytes(png), tiff):
        with pytest.raises(ImageFileError, match="claims 9000x9000 pixels"):
            decode_image(data, "a")


def test_bombs_are_refused_before_decoding() -> None:
    jpeg = bytearray(FILES["jpeg"])
    frame = jpeg.index(b"\xff\xc0")
    struct.pack_into(">HH", jpeg, frame + 5, 65500, 65500)
    header = struct.pack(">IIBBBBB", 1 << 30, 1 << 30, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    png = FILES["png"][:8] + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    for data in (bytes(jpeg), png + FILES["png"][33:]):
        with pytest.raises(ImageFileError, match=r"claims \d+x\d+ pixels"):
            decode_image(data, "bomb")
    for kind in FILES:
        with pytest.raises(ImageFileError, match="claims 64x48 pixels, 1000 at most"):
            decode_image(FILES[kind], "a", most_pixels=1000)


def test_too_many_scans() -> None:
    data = FILES["progressive"]
    scan = data.rindex(b"\xff\xda")
    assert decode_image(data[:-2] + data[scan:-2] * 5 + b"\xff\xd9", "a").shape == (3, 48, 64)
    with pytest.raises(ImageFileError, match="scans"):
        decode_image(data[:-2] + data[scan:-2] * 200 + b"\xff\xd9", "a")


@pytest.mark.parametrize("kind", FILES)
def test_hostile_bytes_raise_only_our_error(kind: str) -> None:
    generator = random.Random(0)
    refused = 0
    for _ in range(100):
        data = bytearray(FILES[kind])
        for _ in range(generator.randint(1, 5)):
            data[generator.randrange(min(len(data), 600))] = generator.randrange(256)
        try:
            decode_image(bytes(data), "a")
        except ImageFileError:
            refused += 1
    assert refused > 0
