from io import BytesIO

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from isp_meta.camera import Camera
from isp_meta.errors import ImageFileError
from isp_meta.io import (
    decode_image,
    display_values,
    eight_bits,
    encode_png,
    encode_tiff,
    icc_profile,
)

PICTURE = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0))
ENDS = torch.tensor([0.0, 1.0])
CAMERA = Camera(make="Maker", orientation=8)


@pytest.mark.parametrize("space", ["srgb", "display-p3", "rec2020"])
def test_png_keeps_8_bits_exif_and_profile(space):
    with Image.open(BytesIO(encode_png(PICTURE, camera=CAMERA, space=space))) as png:
        assert np.array_equal(png, (PICTURE * 255).round().movedim(0, -1).byte().numpy())
        assert (png.getexif()[271], png.getexif()[274]) == ("Maker", 8)
        assert png.info["icc_profile"] == icc_profile(space)


@pytest.mark.parametrize("space", ["srgb", "display-p3"])
def test_png_keeps_16_bits_exif_and_profile(space):
    data = encode_png(PICTURE, camera=CAMERA, space=space, bits=16)
    codes = decode_image(data, "a.png", deep=True)
    assert codes.dtype == torch.int32
    assert float((codes - 65535 * PICTURE.double()).abs().max()) <= 0.51
    with Image.open(BytesIO(data)) as png:
        assert (png.getexif()[271], png.getexif()[274]) == ("Maker", 8)
        assert png.info["icc_profile"] == icc_profile(space)
        png.verify()


def test_16_bits_as_8():
    codes = torch.arange(65536, dtype=torch.int32)
    expected = (codes.double() / 257).round().to(torch.uint8)
    assert torch.equal(eight_bits(codes), expected)
    assert torch.equal(eight_bits(expected), expected)
    assert torch.equal(display_values(torch.tensor([0, 65535], dtype=torch.int32)), ENDS)
    assert torch.equal(display_values(torch.tensor([0, 255], dtype=torch.uint8)), ENDS)


def test_8_and_16_bits_of_both_kinds_are_the_same_picture():
    for encode in (encode_png, encode_tiff):
        shallow = decode_image(encode(PICTURE, bits=8), "a", deep=True)
        deep = decode_image(encode(PICTURE, bits=16), "a", deep=True)
        assert (shallow.dtype, deep.dtype) == (torch.uint8, torch.int32)
        assert int((eight_bits(deep).int() - shallow.int()).abs().max()) <= 1
        with pytest.raises(ImageFileError, match="more than 8 bits"):
            decode_image(encode(PICTURE, bits=16), "a")
        with pytest.raises(ValueError, match="8 or 16"):
            encode(PICTURE, bits=12)


def test_deep_gray_and_transparent_png():
    gray = np.arange(20, dtype=np.uint16).reshape(4, 5) * 3000
    codes = decode_image(imagecodecs.png_encode(gray), "a", deep=True)
    assert torch.equal(codes, torch.from_numpy(gray.astype(np.int32)).expand(3, -1, -1))
    rgba = np.full((4, 5, 4), 65535, np.uint16)
    assert decode_image(imagecodecs.png_encode(rgba), "a", deep=True).shape == (3, 4, 5)
    rgba[0, 0, 3] = 65534
    with pytest.raises(ImageFileError, match="transparent"):
        decode_image(imagecodecs.png_encode(rgba), "a", deep=True)


def test_damaged_deep_png_is_our_error(caplog):
    data = encode_png(PICTURE, bits=16)
    start = data.index(b"IDAT")
    for end in range(0, len(data) - 12, 5):
        with pytest.raises(ImageFileError):
            decode_image(data[:end], "a.png", deep=True)
    profile = data.index(b"iCCP") + 20
    odd = decode_image(data[:profile] + b"?" + data[profile + 1 :], "a.png", deep=True)
    assert torch.equal(odd, decode_image(data, "a.png", deep=True))
    assert not caplog.records
    huge = data[:16] + bytes((0, 0, 255, 255)) * 2 + data[24:]
    with pytest.raises(ImageFileError, match="claims 65535x65535 pixels"):
        decode_image(huge, "a.png", deep=True)
    with pytest.raises(ImageFileError):
        decode_image(data[: start + 8] + bytes(40) + data[start + 48 :], "a.png", deep=True)


@pytest.mark.parametrize("space", [None, "rec2020"])
def test_tiff_keeps_16_bits_orientation_and_profile(space):
    data = encode_tiff(PICTURE, camera=CAMERA, space=space)
    with tifffile.TiffFile(BytesIO(data)) as file:
        tags = file.pages.first.tags
        codes = torch.from_numpy(file.asarray().astype(np.int64)).movedim(-1, 0)
        assert tags["Orientation"].value == 8
        assert tags["Make"].value == "Maker"
        profile = tags["InterColorProfile"].value if "InterColorProfile" in tags else None
    assert float((codes - 65535 * PICTURE.double()).abs().max()) <= 0.51
    assert profile == (None if space is None else icc_profile(space))


def test_one_channel_is_a_gray_tiff():
    gray = tifffile.imread(BytesIO(encode_tiff(torch.tensor([[[0.0, 0.5, 1.0, 2.0, -1.0]]]))))
    assert gray.tolist() == [[0, 32768, 65535, 65535, 0]]


@pytest.mark.parametrize("encode", [encode_png, encode_tiff])
def test_refuses_what_is_no_picture(encode):
    for picture in (torch.rand(2, 4, 4), torch.rand(4, 4), torch.rand(3, 0, 4)):
        with pytest.raises(ValueError, match="a picture must be"):
            encode(picture)
    with pytest.raises(ValueError, match="NaN"):
        encode(torch.full((3, 2, 2), float("nan")))
