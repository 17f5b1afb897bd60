"""Makers' formats: the mosaic, and what the file says of the camera."""

from __future__ import annotations

import dataclasses
from typing import Any

import maker_files
import numpy as np
import pytest
from numpy.typing import NDArray

from isp_meta.errors import NotARawFile, RawFileUnsupported
from isp_meta.frame import Frame
from isp_meta.io import libraw, makers
from isp_meta.io.makers import read_maker_raw
from isp_meta.io.signatures import what_is

SCENE = maker_files.scene()


def read(data: bytes, *, gps: bool = False) -> Frame:
    return read_maker_raw(data, what_is(data), "a.raw", gps=gps)


def codes_of(frame: Frame) -> NDArray[np.float32]:
    assert frame.codes is not None
    found: NDArray[np.float32] = frame.codes.numpy()
    return found


def test_bayer() -> None:
    frame = read(maker_files.raw_tiff(SCENE, "SONY", "ILCE-7M3"))
    assert (frame.camera.make, frame.camera.model) == ("SONY", "ILCE-7M3")
    assert frame.camera.cfa == "RGGB"
    assert frame.camera.white_level == 16383
    assert frame.camera.color_matrix[0] == 0.7374  # of LibRaw's table
    np.testing.assert_array_equal(codes_of(frame), SCENE[None])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation: int) -> None:
    frame = read(maker_files.raw_tiff(SCENE, more={274: (3, orientation)}))
    assert frame.camera.orientation == orientation
    np.testing.assert_array_equal(codes_of(frame), SCENE[None])


def test_x_trans_with_a_black_level_for_each_place() -> None:
    black = tuple(1000 + place for place in range(36))
    codes = SCENE[:90, :120]
    frame = read(maker_files.raf(codes, black=black))
    assert frame.camera.cfa == "".join("RGB"[color] for color in maker_files.X_TRANS)
    assert frame.camera.black_level == black
    assert (frame.camera.make, frame.camera.period) == ("FUJIFILM", 6)
    np.testing.assert_array_equal(codes_of(frame), codes[None])


def test_black_levels_follow_the_colors_of_a_bayer_raf() -> None:
    frame = read(
        maker_files.raf(SCENE, model="X-A1", x_trans=False, black=(1020, 1021, 1022, 1023))
    )
    assert frame.camera.cfa == "RGGB"
    assert frame.camera.black_level == (1020, 1021, 1022, 1023)


def test_panasonic_is_named_though_its_tiff_is_none() -> None:
    frame = read(maker_files.rw2())
    assert (frame.camera.make, frame.camera.model) == ("Panasonic", "DMC-GH4")
    assert codes_of(frame).shape == (1, 96, 126)


@pytest.mark.parametrize(("make", "model"), [("Kodak", "DCS760M"), ("Imacon", "of one color")])
def test_monochrome(make: str, model: str) -> None:
    one_color: dict[int, tuple[int, Any]] = {33422: (1, (0,))}
    frame = read(maker_files.raw_tiff(SCENE, make, model, more=one_color))
    assert (frame.camera.cfa, frame.camera.period) == ("W", 1)
    assert len(frame.camera.black_level) == 1
    assert frame.camera.as_shot_neutral == (1.0, 1.0, 1.0)
    np.testing.assert_array_equal(codes_of(frame), SCENE[None])


def test_a_sensor_that_clips_below_its_white_level() -> None:
    codes = maker_files.scene(300, 500).clip(max=12000)
    assert (codes == 12000).mean() > 0.2
    frame = read(maker_files.raw_tiff(codes, "SONY", "ILCE-7M3"))
    assert frame.camera.white_level == 12000


@pytest.mark.parametrize(
    ("letters", "text"),
    [
        ("GMCY", r"green, magenta, cyan, yellow \(GMCY\)"),
        ("RGBE", r"red, green, blue, emerald \(RGBE\)"),
        ("RGBW", r"red, green, blue, white \(RGBW\)"),
    ],
)
def test_other_colors_are_named(letters: str, text: str) -> None:
    unpacked = libraw.unpack(maker_files.raw_tiff(SCENE), "TIFF", "a")
    pattern = np.arange(4, dtype=np.uint8).reshape(2, 2)
    strange = dataclasses.replace(unpacked, letters=letters, pattern=pattern)
    with pytest.raises(RawFileUnsupported, match=f"a mosaic of {text}; .* linear DNG"):
        makers._cfa(strange, "a")


def test_a_camera_that_libraw_does_not_know() -> None:
    text = rf"a\.raw: not supported: CR3 of .* {libraw.LIBRAW} lacks; convert it to DNG"
    with pytest.raises(RawFileUnsupported, match=text):
        read(maker_files.cr3())


def test_a_tiff_without_a_camera_is_never_taken_for_a_dump() -> None:
    data = maker_files.raw_tiff(SCENE, more={271: (2, ()), 272: (2, ())})
    with pytest.raises(NotARawFile, match=r"a TIFF that names no camera; .*a\.raw\.toml"):
        read(data)


def test_a_rendered_tiff_is_told_from_a_raw() -> None:
    rgb = maker_files.raw_tiff(SCENE, more={262: (3, 2), 277: (3, 1)})
    with pytest.raises(NotARawFile, match="already rendered"):
        read(rgb)
