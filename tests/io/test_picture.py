from io import BytesIO

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from isp_meta.camera import Camera
from isp_meta.io import encode_png, encode_tiff, icc_profile

PICTURE = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0))
CAMERA = Camera(make="Maker", orientation=8)


@pytest.mark.parametrize("space", ["srgb", "display-p3", "rec2020"])
def test_png_keeps_8_bits_exif_and_profile(space):
    with Image.open(BytesIO(encode_png(PICTURE, camera=CAMERA, space=space))) as png:
        assert np.array_equal(png, (PICTURE * 255).round().movedim(0, -1).byte().numpy())
        assert (png.getexif()[271], png.getexif()[274]) == ("Maker", 8)
        assert png.info["icc_profile"] == icc_profile(space)


@pytest.mark.parametrize("space", [None, "rec2020"])
def test_tiff_keeps_16_bits_orientation_and_profile(space):
    data = encode_tiff(PICTURE, camera=CAMERA, space=space)
    with tifffile.TiffFile(BytesIO(data)) as file:
        tags = file.pages.first.tags
        codes = torch.from_numpy(file.asarray().astype(np.int64)).movedim(-1, 0)
        assert tags["Orientation"].value == 8
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
