from __future__ import annotations

import hashlib
import io
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from programs import EXIFTOOL

from isp_meta.colorimetry import SPACES, TRANSFERS, conversion
from isp_meta.io import encode_jpeg, icc_profile

WIDE = ["display-p3", "rec2020"]
PATCHES = np.array(
    [[[255, 255, 255], [128, 128, 128], [12, 12, 12], [200, 100, 50], [90, 160, 120]]], np.uint8
)


def opened(space: str) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(icc_profile(space)))


@pytest.mark.parametrize("space", ["srgb", *WIDE])
def test_a_color_engine_converts_by_it_as_we_do(space: str) -> None:
    transform = ImageCms.buildTransform(
        opened(space), ImageCms.createProfile("sRGB"), "RGB", "RGB", renderingIntent=1
    )
    converted = ImageCms.applyTransform(Image.fromarray(PATCHES), transform)
    assert converted is not None
    own = TRANSFERS[SPACES[space].transfer]
    linear = own.decode(torch.from_numpy(PATCHES / 255)) @ conversion(space, "srgb").T
    expected = TRANSFERS["srgb"].encode(linear.clamp(0, 1)) * 255
    assert np.abs(np.asarray(converted) - expected.numpy()).max() <= 1


@pytest.mark.parametrize("space", ["srgb", *WIDE])
def test_structure(space: str) -> None:
    profile = icc_profile(space)
    assert profile == icc_profile(space)
    assert struct.unpack(">I", profile[:4]) == (len(profile),)
    assert len(profile) < 700
    unsigned = profile[:84] + bytes(16) + profile[100:]
    assert profile[84:100] == hashlib.md5(unsigned, usedforsecurity=False).digest()
    tags = [struct.unpack(">4sII", profile[132 + 12 * n : 144 + 12 * n]) for n in range(10)]
    columns = []
    for name, offset, size in tags:
        assert offset % 4 == 0
        assert 0 < size <= len(profile) - offset
        if name[1:] == b"XYZ":
            columns.append(struct.unpack(">3i", profile[offset + 8 : offset + 20]))
    # White is the connection space's to the last step, or greys would be tinted.
    white = np.sum(columns, axis=0)
    assert np.abs(white - np.round(np.array([0.9642, 1.0, 0.8249]) * 65536)).max() <= 1


def test_exiftool_finds_no_fault(tmp_path: Path) -> None:
    exiftool = EXIFTOOL.path()
    for space in WIDE:
        path = tmp_path / f"{space}.icc"
        path.write_bytes(icc_profile(space))
        command = [exiftool, "-validate", "-warning", "-a", "-ProfileDescription", str(path)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert "Validate                        : OK" in text
        assert ImageCms.getProfileName(opened(space)).strip() in text


@pytest.mark.parametrize("space", WIDE)
def test_a_wide_jpeg_carries_it(space: str) -> None:
    picture = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    with Image.open(io.BytesIO(encode_jpeg(picture, space=space))) as wide:
        assert wide.info["icc_profile"] == icc_profile(space)
        assert wide.getexif().get_ifd(0x8769)[0xA001] == 0xFFFF
        pixels = np.asarray(wide)
    plain = encode_jpeg(picture)
    assert plain == encode_jpeg(picture, space="srgb")
    with Image.open(io.BytesIO(plain)) as narrow:
        assert "icc_profile" not in narrow.info
        np.testing.assert_array_equal(np.asarray(narrow), pixels)


def test_unknown_space() -> None:
    with pytest.raises(ValueError, match="'prophoto'"):
        icc_profile("prophoto")
    with pytest.raises(ValueError, match="'adobe'"):
        encode_jpeg(torch.zeros(3, 4, 4), space="adobe")
