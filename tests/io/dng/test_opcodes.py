from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_dng import HEIGHT, WIDTH, write

from isp_meta.camera import Camera, GainMap
from isp_meta.errors import RawFileError
from isp_meta.frame import Frame
from isp_meta.io import read_raw
from isp_meta.io.dng.opcodes import (
    BadPixelsConstant,
    BadPixelsList,
    VignetteRadial,
    gain_maps,
    lens_warp,
    read_opcodes,
)
from isp_meta.io.dng.tags import Tag, TiffTags
from isp_meta.optics import Warp, resampled
from isp_meta.stages import DefectivePixels, lens_shading, vignette

GRID = np.random.default_rng(0).uniform(1, 2, (4, 3, 1)).astype(np.float32)


def opcode(number: int, data: bytes, flags: int = 1) -> bytes:
    return struct.pack(">4I", number, 0x01030000, flags, len(data)) + data


def listed(*opcodes: bytes) -> bytes:
    return struct.pack(">I", len(opcodes)) + b"".join(opcodes)


def gain_map(
    rectangle: tuple[int, int, int, int] = (0, 0, 40, 48),
    pitch: tuple[int, int] = (1, 1),
    spacing: tuple[float, float] = (1 / 3, 1 / 2),
    origin: tuple[float, float] = (0.0, 0.0),
    grid: np.ndarray = GRID,
    planes: tuple[int, int] = (0, 1),
) -> bytes:
    head = struct.pack(">8I", *rectangle, *planes, *pitch)
    shape = struct.pack(">2I4dI", *grid.shape[:2], *spacing, *origin, grid.shape[2])
    return opcode(9, head + shape + grid.astype(">f4").tobytes())


def vignette_radial(*values: float) -> bytes:
    return opcode(3, struct.pack(">7d", *values))


def warp_rectilinear(sets: list[list[float]], center: tuple[float, float]) -> bytes:
    numbers = [*(value for one in sets for value in one), *center]
    return opcode(1, struct.pack(f">I{len(numbers)}d", len(sets), *numbers))


def bad_pixels(points: list[tuple[int, int]], rectangles: list[tuple[int, ...]]) -> bytes:
    numbers = [1, len(points), len(rectangles), *sum(points, ()), *sum(rectangles, ())]
    return opcode(5, struct.pack(f">{len(numbers)}I", *numbers))


def tags_of(data: bytes, number: int = 2, **more: Any) -> TiffTags:
    numbers = {Tag.OPCODE_LIST[number - 1]: tuple(float(b) for b in data), **more}
    return TiffTags(numbers)


def maps_of(data: bytes, window: tuple[int, int, int, int] = (0, 0, 40, 48)) -> tuple[GainMap, ...]:
    return gain_maps(tags_of(data), window)


def test_gain_map_as_the_file_says_it() -> None:
    data = gain_map((1, 0, 40, 48), (2, 2), (0.3, 0.4), (0.1, -0.2), np.tile(GRID, 3), (0, 3))
    (found,) = maps_of(listed(data))
    assert found.rectangle == (1, 0, 40, 48)
    assert (found.pitch, found.planes) == ((2, 2), (0, 3))
    assert found.spacing == pytest.approx((0.3, 0.4))
    assert found.origin == pytest.approx((0.1, -0.2))
    np.testing.assert_array_equal(found.gains.numpy(), np.tile(GRID, 3))


def test_unknown_opcodes_are_passed_over() -> None:
    others = opcode(77, b"whatever"), opcode(2, bytes(80), flags=0), opcode(6, b"")
    data = listed(others[0], gain_map(), others[1], gain_map((0, 0, 5, 5)), others[2])
    assert [m.rectangle for m in maps_of(data)] == [(0, 0, 40, 48), (0, 0, 5, 5)]


WHOLE = gain_map()
SIZES = struct.pack(">2I", 1 << 31, 1 << 31)
BROKEN = {
    "no list": b"",
    "cut in the count": listed(WHOLE)[:3],
    "cut in a head": listed(WHOLE)[:10],
    "cut in the gains": listed(WHOLE)[:-1],
    "more opcodes than there are": struct.pack(">I", 9) + WHOLE,
    "four billion opcodes": b"\xff" * 4 + WHOLE,
    "huge grid": listed(opcode(9, WHOLE[16:48] + SIZES + WHOLE[56:])),
    "a sound one before a broken one": listed(WHOLE, opcode(9, WHOLE[16:-4])),
    "gain 0": listed(gain_map(grid=GRID * 0)),
    "negative gain": listed(gain_map(grid=GRID - 1.5)),
    "gain beyond reason": listed(gain_map(grid=GRID * 1e30)),
    "gain not a number": listed(gain_map(grid=GRID * np.nan)),
    "pitch 0": listed(gain_map(pitch=(0, 1))),
    "no planes": listed(gain_map(planes=(0, 0))),
    "spacing 0": listed(gain_map(spacing=(0.0, 1.0))),
    "spacing not a number": listed(gain_map(spacing=(math.nan, 1.0))),
    "origin infinite": listed(gain_map(origin=(0.0, math.inf))),
    "empty rectangle": listed(gain_map((5, 5, 5, 9))),
    "rectangle beyond the picture": listed(gain_map((50, 0, 90, 48))),
    "broken vignette beside it": listed(WHOLE, vignette_radial(math.nan, *[0.0] * 6)),
    "broken list of pixels beside it": listed(WHOLE, opcode(5, bytes(11))),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_makes_no_sense_gives_no_map(what: str) -> None:
    assert maps_of(BROKEN[what]) == ()


def test_a_tag_of_another_type_gives_no_map() -> None:
    numbers = {Tag.OPCODE_LIST[1]: (1e9, -1.0, math.nan)}
    assert gain_maps(TiffTags(numbers), (0, 0, 4, 4)) == ()
    assert gain_maps(TiffTags(), (0, 0, 4, 4)) == ()


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_hostile_bytes_never_crash(data: st.DataObject) -> None:
    sound = listed(
        gain_map(pitch=(2, 2)), bad_pixels([(1, 2)], [(0, 0, 3, 3)]), vignette_radial(*[0.5] * 7)
    )
    damaged = bytearray(sound[: data.draw(st.integers(0, len(sound)))])
    for _ in range(data.draw(st.integers(0, 4)) if damaged else 0):
        damaged[data.draw(st.integers(0, min(len(damaged) - 1, 200)))] = data.draw(
            st.integers(0, 255)
        )
    numbers = {code: tuple(float(b) for b in damaged) for code in Tag.OPCODE_LIST}
    area = data.draw(st.tuples(*[st.integers(0, 60)] * 4))
    numbers[Tag.ACTIVE_AREA] = tuple(float(v) for v in area)
    for found in gain_maps(TiffTags(numbers), (1, 3, 37, 41)):
        assert lens_shading(torch.ones(1, 37, 41), [found]).isfinite().all()


AREAS = [
    ((0, 0, 40, 48), (0, 0, 40, 48)),
    ((2, 4, 38, 46), (3, 5, 34, 40)),
    ((5, 3, 40, 48), (2, 2, 20, 20)),
]


@pytest.mark.parametrize(("area", "window"), AREAS)
@pytest.mark.parametrize("pitch", [(1, 1), (2, 2), (3, 2)])
def test_every_pixel_keeps_its_gain_in_the_coordinates_of_the_picture(
    area: tuple[int, int, int, int], window: tuple[int, int, int, int], pitch: tuple[int, int]
) -> None:
    """The picture cut out of the corrected active area is the cut-out, corrected."""
    data = tags_of(listed(gain_map((1, 0, 33, 39), pitch, (0.3, 0.4), (0.1, -0.1))), 2)
    size = area[2] - area[0], area[3] - area[1]
    (whole,) = gain_maps(data, (0, 0, *size))
    numbers = {**data.numbers, Tag.ACTIVE_AREA: tuple(float(v) for v in area)}
    (moved,) = gain_maps(TiffTags(numbers), window)
    file = torch.ones(1, 60, 60, dtype=torch.float64)
    file[:, area[0] : area[2], area[1] : area[3]] = lens_shading(
        torch.ones(1, *size).double(), [whole]
    )
    top, left, height, width = window
    expected = file[:, top : top + height, left : left + width]
    out = lens_shading(torch.ones(1, height, width, dtype=torch.float64), [moved])
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-9)


def test_all_lists_of_a_file_in_the_coordinates_of_codes(tmp_path: Path) -> None:
    lists = (
        listed(
            opcode(4, struct.pack(">2I", 7, 0)),
            bad_pixels([(2, 3), (39, 47), (0, 0)], [(5, 0, 6, 48)]),
        ),
        listed(gain_map((0, 0, 36, 42), grid=GRID[:1, :1])),
        listed(vignette_radial(0.4, -0.3, 0.6, 0.2, -0.1, 0.3, 0.6)),
    )
    tags: dict[int, tuple[int, Any]] = {
        code: (7, tuple(data)) for code, data in zip(Tag.OPCODE_LIST, lists, strict=True)
    }
    path = write(tmp_path / "a.dng", tags | {Tag.ACTIVE_AREA: (4, (2, 4, 38, 46))})
    codes = torch.zeros(1, 34, 40)
    frame = Frame(Camera(crop=(3, 5)), codes=codes)
    constant, pixels, shading, radial = read_opcodes(path, frame)
    assert constant == BadPixelsConstant(7)
    assert isinstance(pixels, BadPixelsList)
    assert isinstance(shading, GainMap)
    assert isinstance(radial, VignetteRadial)
    # The first list speaks of the whole file: its row 5 is row 2 of the picture.
    mask = pixels.mask(34, 40)
    assert mask.sum() == 40
    assert bool(mask[0, 2].all())
    assert len(DefectivePixels(mask).defects) == 40  # type: ignore[arg-type]
    assert shading.rectangle == (0, 0, 34, 40)
    # The last one of the active area, whose gain at the picture's pixels stays the same.
    whole = vignette(torch.ones(1, 36, 42).double(), (0.4, -0.3, 0.6, 0.2, -0.1), (0.6, 0.3))
    part = vignette(codes.double() + 1, radial.coefficients, radial.center)
    torch.testing.assert_close(part, whole[:, 1:35, 1:41])


def test_read_raw_fills_the_camera(tmp_path: Path) -> None:
    maps = listed(*(gain_map((y, x, HEIGHT, WIDTH), (2, 2)) for y in (0, 1) for x in (0, 1)))
    path = write(tmp_path / "a.dng", {Tag.OPCODE_LIST[1]: (7, tuple(maps))})
    camera = read_raw(path).camera
    assert [m.rectangle for m in camera.gain_maps] == [
        (0, 0, HEIGHT, WIDTH), (0, 1, HEIGHT, WIDTH), (1, 0, HEIGHT, WIDTH), (1, 1, HEIGHT, WIDTH),
    ]  # fmt: skip
    broken = write(tmp_path / "b.dng", {Tag.OPCODE_LIST[1]: (7, tuple(maps[:-9]))})
    assert read_raw(broken).camera.gain_maps == ()


def test_rectangles_of_bad_pixels_may_overlap_and_leave_the_picture() -> None:
    far = (1 << 32) - 1
    rectangles = torch.tensor([[0, 0, 2, 2], [1, 1, 3, far], [-5, 4, 1, 5], [3, 3, 1, 1]])
    mask = BadPixelsList(torch.tensor([[4, 0], [far, 0]]), rectangles).mask(5, 6)
    expected = torch.zeros(1, 5, 6, dtype=torch.bool)
    expected[0, :2, :2] = expected[0, 1:3, 1:] = expected[0, 0, 4] = expected[0, 4, 0] = True
    assert torch.equal(mask, expected)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RawFileError, match=r"none\.dng"):
        read_opcodes(tmp_path / "none.dng", Frame(codes=torch.zeros(1, 2, 2)))


SETS = [[1.0, -0.1, 0.02, 0.0, 0.001, 0.002], [0.99, -0.1, 0.0, 0.0, 0.0, 0.0], [1.0] + [0.0] * 5]


@pytest.mark.parametrize("sets", [SETS, SETS[:1]])
def test_a_warp_is_the_cameras(tmp_path: Path, sets: list[list[float]]) -> None:
    data = listed(warp_rectilinear(sets, (0.6, 0.4)))
    path = write(tmp_path / "a.dng", {Tag.OPCODE_LIST[2]: (7, data)})
    camera = read_raw(path).camera
    assert camera.warp == Warp(tuple(map(tuple, sets)), (0.4, 0.6))
    assert read_opcodes(path, read_raw(path)) == (camera.warp,)


def test_a_warp_of_a_part_moves_its_pixels_alike() -> None:
    """What lies within the window goes where it goes in the whole picture."""
    one = warp_rectilinear([SETS[0]], (0.6, 0.4))
    whole = lens_warp(tags_of(listed(one), 3), (0, 0, 40, 48))
    numbers = {Tag.IMAGE_LENGTH: (40.0,), Tag.IMAGE_WIDTH: (48.0,)}
    list_ = {Tag.OPCODE_LIST[2]: tuple(float(b) for b in listed(one))}
    moved = lens_warp(TiffTags({**numbers, **list_}), (6, 4, 30, 40))
    assert whole is not None
    assert moved is not None
    picture = torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(0)).double()

    def corrected(pixels: torch.Tensor, warp: Warp) -> torch.Tensor:
        values = (torch.tensor(v).double() for v in (warp.coefficients[0], warp.center))
        return resampled(pixels, *values)

    # 8 pixels in, no light comes from beyond the part.
    found = corrected(picture[..., 6:36, 4:44], moved)[..., 8:-8, 8:-8]
    torch.testing.assert_close(found, corrected(picture, whole)[..., 14:28, 12:36])


@pytest.mark.parametrize(
    "data",
    [
        opcode(1, struct.pack(">I8d", 2, *[1.0] * 8)),
        opcode(1, struct.pack(">I8d", 1, math.nan, *[1.0] * 7)),
        opcode(1, struct.pack(">I7d", 1, *[1.0] * 7)),
        opcode(1, b""),
        warp_rectilinear([SETS[0]], (0.5, 0.5)) * 2,
    ],
)
def test_a_warp_that_makes_no_sense_is_left_out(data: bytes) -> None:
    count = 2 if len(data) > 90 else 1
    assert lens_warp(tags_of(struct.pack(">I", count) + data, 3), (0, 0, 40, 48)) is None
