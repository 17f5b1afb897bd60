"""What a DNG tells editors: read as it is, and written as it suits another picture."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_dng import HEIGHT, WIDTH, write
from test_opcodes import bad_pixels, gain_map, listed, opcode

from isp_meta.camera import EDITOR_TAGS, Camera, EditorTag, EditorTags
from isp_meta.frame import Frame
from isp_meta.io import read_raw, write_dng
from isp_meta.io.dng.tags import Tag

VIGNETTE = listed(opcode(3, struct.pack(">7d", *[0.1] * 5, 0.5, 0.5)))
MAPS = listed(*(gain_map((y, x, HEIGHT, WIDTH), (2, 2)) for y in (0, 1) for x in (0, 1)))
CURVE = (0.0, 0.0, 0.25, 0.4, 1.0, 1.0)
TABLE = tuple(float(v) for v in np.linspace(0.5, 1.5, 2 * 2 * 3).astype(np.float32))
SAID: dict[int, tuple[int, Any]] = {
    50709: (2, "Local Name"),
    50718: (5, (2, 1, 1, 1)),
    50722: (10, (1, 1, 0, 1, 0, 1, 0, 1, 2, 1, 0, 1, 0, 1, 0, 1, 1, 1)),
    50727: (5, (1, 1, 1, 1, 1, 1)),
    50730: (10, (1, 2)),
    50733: (4, 12),
    50736: (5, (24, 1, 70, 1, 28, 10, 0, 0)),
    50738: (5, (1, 2)),
    50779: (3, 17),
    50936: (2, "A Profile"),
    50937: (4, (2, 2, 1)),
    50938: (11, TABLE),
    50940: (11, CURVE),
    50941: (4, 0),
    50964: (10, (1, 2) * 9),
    51008: (7, listed(bad_pixels([(1, 2)], []))),
    51009: (7, MAPS),
    51022: (7, VIGNETTE),
    51041: (12, (1e-4, 1e-6)),
    51125: (5, (0, 1, 0, 1, 1, 1, 1, 1)),
}
REFUSED: dict[int, tuple[int, Any]] = {
    50735: (2, "serial 12345"),
    50740: (1, b"private"),
    50827: (1, b"IMG_0001.CR3"),
}


def read(path: Path, changes: dict[int, tuple[int, Any]], **options: Any) -> Frame:
    flat = {
        code: (kind, tuple(value) if isinstance(value, bytes) else value)
        for code, (kind, value) in changes.items()
    }
    return read_raw(write(path, flat, **options))


@pytest.fixture
def frame(tmp_path: Path) -> Frame:
    return read(tmp_path / "original.dng", {**SAID, **REFUSED})


def numbers(path: Path) -> dict[int, tuple[float, ...]]:
    return {code: tag.numbers for code, tag in read_raw(path).camera.editing.tags.items()}


def test_tags_are_kept_as_they_are(frame: Frame, tmp_path: Path) -> None:
    told = frame.camera.editing
    assert told.size == (HEIGHT, WIDTH)
    assert told.tags.keys() >= SAID.keys()
    assert not told.tags.keys() & REFUSED.keys()
    with tifffile.TiffFile(tmp_path / "original.dng") as tif:
        for code in SAID:
            stored, value = tif.pages.first.tags[code], SAID[code][1]
            assert told.tags[code].type == stored.dtype
            if not isinstance(value, str):
                assert told.tags[code] == EditorTag.of(
                    stored.dtype,
                    list(np.atleast_1d(stored.value))
                    if not isinstance(stored.value, bytes)
                    else list(stored.value),
                )
    assert told.tags[50936].text == "A Profile"


def test_a_mosaic_gets_them_all_again(frame: Frame, tmp_path: Path) -> None:
    write_dng(tmp_path / "a.dng", frame)
    again = read_raw(tmp_path / "a.dng").camera
    assert again.editing.tags == frame.camera.editing.tags
    assert again == frame.camera
    assert again.profile.name == "A Profile"
    assert again.default_scale == (2, 1)


def test_a_linear_dng_gets_what_suits_it(frame: Frame, tmp_path: Path) -> None:
    raw = torch.rand(3, HEIGHT, WIDTH)
    write_dng(tmp_path / "a.dng", Frame(frame.camera, raw=raw), linear=True)
    found = read_raw(tmp_path / "a.dng").camera.editing.tags
    gone = {50717, 50733, 50738, 51008}
    told = frame.camera.editing.tags
    assert {code: tag for code, tag in found.items() if code not in (*gone, 51009)} == {
        code: tag for code, tag in told.items() if code not in (*gone, 51009)
    }
    assert not found.keys() & (gone - {50717})
    maps = read_raw(tmp_path / "a.dng").camera.gain_maps
    assert [(m.planes, m.pitch) for m in maps] == [((p, 1), (1, 1)) for p in range(3)]


def test_what_does_not_suit_a_picture_is_left_out(frame: Frame, tmp_path: Path) -> None:
    raw = torch.rand(3, 30, 20)
    write_dng(tmp_path / "small.dng", Frame(frame.camera, raw=raw))
    assert not numbers(tmp_path / "small.dng").keys() & {51008, 51009, 51022, 51125}
    other = frame.camera.replace(color_matrix=(1.0, 0, 0, 0, 1, 0, 0, 0, 2), illuminant=23)
    write_dng(tmp_path / "other.dng", frame.replace(camera=other))
    found = numbers(tmp_path / "other.dng")
    assert found[50721] == other.color_matrix
    assert found[50778] == (23,)
    assert not found.keys() & {50722, 50779, 50964, 50727}
    assert found[50936]
    monochrome = Camera(cfa="W", editing=EditorTags((30, 20), frame.camera.editing.tags))
    write_dng(tmp_path / "gray.dng", Frame(monochrome, raw=raw), linear=True)
    assert not numbers(tmp_path / "gray.dng").keys() & {50721, 50722, 50727, 50964}


def test_the_file_s_white_level_is_that_of_codes_alone(frame: Frame, tmp_path: Path) -> None:
    clipped = frame.replace(camera=frame.camera.replace(white_level=3500.0))
    write_dng(tmp_path / "a.dng", clipped)
    assert numbers(tmp_path / "a.dng")[Tag.WHITE_LEVEL] == (4000,)
    raw = clipped.replace(codes=None, raw=torch.ones(3, HEIGHT, WIDTH))
    write_dng(tmp_path / "b.dng", raw, linear=True)
    assert set(numbers(tmp_path / "b.dng")[Tag.WHITE_LEVEL]) == {3500}
    more = frame.replace(camera=frame.camera.replace(white_level=5000.0))
    write_dng(tmp_path / "c.dng", more)
    assert numbers(tmp_path / "c.dng")[Tag.WHITE_LEVEL] == (5000,)


def test_places_count_from_the_first_pixel_that_is_read(tmp_path: Path) -> None:
    said = {
        Tag.ACTIVE_AREA: (4, (4, 2, 36, 46)),
        Tag.DEFAULT_CROP_ORIGIN: (4, (6, 3)),
        Tag.DEFAULT_CROP_SIZE: (4, (30, 28)),
        Tag.OPCODE_LIST[0]: (7, listed(bad_pixels([(5, 4)], []))),
        Tag.OPCODE_LIST[1]: (7, listed(gain_map((1, 1, 32, 44), (2, 2)))),
    }
    camera = read(tmp_path / "a.dng", said).camera
    told = camera.editing
    assert told.size == (32, 44)
    assert told.tags[Tag.DEFAULT_CROP_ORIGIN].numbers == (6, 3)
    assert told.tags[Tag.DEFAULT_CROP_SIZE].numbers == (30, 28)
    # Of the whole picture before, of the active area now.
    assert told.tags[Tag.OPCODE_LIST[0]].data == listed(bad_pixels([(1, 2)], []))
    assert told.tags[Tag.OPCODE_LIST[1]].data == said[Tag.OPCODE_LIST[1]][1]
    shifted = {**said, Tag.ACTIVE_AREA: (4, (3, 1, 36, 46))}
    told = read(tmp_path / "b.dng", shifted).camera.editing
    # A mosaic is read from an even row and column.
    assert told.size == (32, 44)
    assert told.tags[Tag.DEFAULT_CROP_ORIGIN].numbers == (5, 2)
    whole = {Tag.DEFAULT_CROP_ORIGIN: (4, (0, 0)), Tag.DEFAULT_CROP_SIZE: (4, (WIDTH, HEIGHT))}
    assert Tag.DEFAULT_CROP_SIZE not in read(tmp_path / "c.dng", whole).camera.editing.tags


def test_what_makes_no_sense_is_not_told(tmp_path: Path) -> None:
    said = {
        50730: (11, (1.0, 2.0)),
        50731: (11, float("nan")),
        50738: (5, (1, 0)),
        51009: (7, MAPS[:-3]),
        50719: (4, (100, 100)),
        50720: (4, (10, 10)),
    }
    assert not read(tmp_path / "a.dng", said).camera.editing.tags.keys() & said.keys()


KINDS = st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted(EDITOR_TAGS)), st.tuples(KINDS, st.binary(max_size=90)))
)
def test_whatever_a_payload_says_is_written(said: dict[int, tuple[int, bytes]]) -> None:
    tags = {code: EditorTag(*value) for code, value in said.items()}
    kept = {code: tag for code, tag in tags.items() if tag.fits(EDITOR_TAGS[code])}
    camera = Camera(editing=EditorTags((8, 8), kept))
    with pytest.MonkeyPatch.context() as patch:
        written: list[bytes] = []
        patch.setattr(
            "isp_meta.io.dng.write.write_atomic", lambda _path, data, **_: written.append(data)
        )
        for linear in (True, False):
            write_dng("unused", Frame(camera, raw=torch.rand(3, 8, 8)), linear=linear)
    assert all(data[:4] == b"II*\0" for data in written)
