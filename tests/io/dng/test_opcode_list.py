"""An opcode list for a part of a picture, turned, does there what it did in the whole."""

from __future__ import annotations

import dataclasses
import math
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_opcodes import GRID, bad_pixels, gain_map, listed, maps_of, opcode, tags_of

from isp_meta.camera import QUAD_BAYER, XTRANS, Camera, pattern_of
from isp_meta.io import remosaic
from isp_meta.io.dng.opcode_list import GainGrid, Move, linear, moved, split
from isp_meta.io.dng.opcodes import _opcodes
from isp_meta.registration import Placement
from isp_meta.stages import lens_shading, vignette

SIZE = (40, 48)
RAW = torch.rand(1, *SIZE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
MOVES = [
    Move(SIZE, (0, 0), SIZE),
    Move(SIZE, (0, 0), SIZE, 3),
    Move(SIZE, (6, 3), (20, 31)),
    *(Move(SIZE, (5, 2), (30, 21), turn) for turn in range(2, 9)),
]
every_move = pytest.mark.parametrize("move", MOVES, ids=lambda m: f"{m.turn}{m.offset}")


def shown(picture: torch.Tensor, move: Move) -> torch.Tensor:
    return Placement(move.turn, *move.offset).apply(picture, move.part)


def window(move: Move) -> tuple[int, int, int, int]:
    return 0, 0, *move.part


@every_move
@pytest.mark.parametrize("pitch", [(1, 1), (2, 2), (3, 2)])
def test_gain_maps_follow_the_pixels(move: Move, pitch: tuple[int, int]) -> None:
    data = listed(gain_map((1, 3, 39, 48), pitch, (0.3, 0.4), (0.1, -0.2)))
    wanted = shown(lens_shading(RAW, maps_of(data)), move)
    found = lens_shading(shown(RAW, move), maps_of(moved(data, move), window(move)))
    torch.testing.assert_close(found, wanted)


@every_move
def test_bad_pixels_follow_the_pixels(move: Move) -> None:
    data = listed(bad_pixels([(0, 0), (17, 20), (39, 47)], [(10, 3, 20, 30), (38, 40, 50, 60)]))
    (before,) = _opcodes(tags_of(data, 1), 0, (0, 0, *SIZE))
    after = _opcodes(tags_of(moved(data, move), 1), 0, window(move))
    mask = shown(before.mask(*SIZE), move)
    assert torch.equal(after[0].mask(*move.part), mask)


@every_move
@pytest.mark.parametrize("phase", range(4))
def test_the_phase_follows_the_pattern(move: Move, phase: int) -> None:
    for data in (
        opcode(4, struct.pack(">2I", 7, phase)),
        opcode(5, struct.pack(">5I", phase, 0, 0, 0, 0)[:12] + struct.pack(">4I", 0, 0, 40, 48)),
    ):
        if data[3] == 5:  # one rectangle, of the whole picture
            data = opcode(5, struct.pack(">7I", phase, 0, 1, 0, 0, 40, 48))
        ((_, _, parameters),) = split(moved(listed(data), move))
        found = struct.unpack_from(">2I", parameters)[1 if data[3] == 4 else 0]
        # Red, green beside red, green beside blue, blue.
        places = torch.arange(4).view(2, 2).roll((-(phase // 2), -(phase % 2)), (0, 1))
        picture = places.repeat(20, 24)[None]
        first = int(shown(picture, move)[0, 0, 0])
        assert found == ({1: 2, 2: 1}.get(first, first) if move.swapped else first)


@every_move
def test_vignettes_follow_the_pixels(move: Move) -> None:
    data = listed(opcode(3, struct.pack(">7d", 0.3, -0.1, 0.05, 0.01, 0.002, 0.4, 0.7)))
    (one,) = _opcodes(tags_of(data, 3), 2, (0, 0, *SIZE))
    (other,) = _opcodes(tags_of(moved(data, move), 3), 2, window(move))
    wanted = shown(vignette(RAW, one.coefficients, one.center), move)
    found = vignette(shown(RAW, move), other.coefficients, other.center)
    torch.testing.assert_close(found, wanted)


def sources(data: bytes, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 2) rows and columns that WarpRectilinear takes pixels from (DNG, chapter 7)."""
    k0, k1, k2, k3, t0, t1, x, y = struct.unpack(">8d", data[4:])
    center = np.array([y * size[0], x * size[1]])
    farthest = math.hypot(*(max(c, 1 - c) * n for c, n in zip((y, x), size, strict=True)))
    places = np.stack(np.meshgrid(*(np.arange(n) + 0.5 for n in size), indexing="ij"), -1)
    down, across = np.moveaxis((places - center) / farthest, -1, 0)
    r2 = down**2 + across**2
    radial = k0 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    to_x = across * radial + t0 * 2 * across * down + t1 * (r2 + 2 * across**2)
    to_y = down * radial + t1 * 2 * across * down + t0 * (r2 + 2 * down**2)
    return np.stack([to_y, to_x], -1) * farthest + center


@every_move
def test_warps_follow_the_pixels(move: Move) -> None:
    values = (0.98, 0.05, -0.03, 0.01, 0.004, -0.007, 0.45, 0.6)
    data = listed(opcode(1, struct.pack(">I8d", 1, *values)))
    ((_, _, before),) = split(data)
    ((_, _, after),) = split(moved(data, move))
    # What lies at a pixel of the part comes from the same place in the picture.
    wanted = shown(torch.from_numpy(sources(before, SIZE)).movedim(-1, 0), move).numpy()
    found = sources(after, move.part) + np.array(move.offset)
    for axis, flip in enumerate(move.flips):
        if flip:
            found[..., axis] = move.turned[axis] - found[..., axis]
    if move.swapped:
        found = found[..., ::-1]
    np.testing.assert_allclose(np.moveaxis(wanted, 0, -1), found)


def test_what_cannot_be_carried_over_is_left_out() -> None:
    unknown, known = opcode(8, b"\0" * 40), opcode(3, struct.pack(">7d", *[0.1] * 7))
    assert moved(listed(unknown, known), Move(SIZE, (0, 0), SIZE)) == listed(unknown, known)
    ((code, _, _),) = split(moved(listed(unknown, known), Move(SIZE, (1, 0), (30, 30))))
    assert code == 3
    assert moved(listed(unknown), Move(SIZE, (1, 0), (30, 30))) == b""
    outside = listed(gain_map((0, 0, 5, 5)), bad_pixels([(0, 0)], []))
    assert moved(outside, Move(SIZE, (10, 10), (20, 20))) == b""
    assert moved(listed(known)[:-1], Move(SIZE, (0, 0), SIZE)) == b""


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(MOVES), st.sampled_from([1, 3, 4, 5, 9, 77]))
def test_hostile_lists_raise_nothing(data: bytes, move: Move, code: int) -> None:
    for whole in (data, listed(opcode(code, data))):
        moved(whole, move)
        linear(whole, pattern_of("RGGB").numpy(), SIZE)


def maps_of_places(period: int, strength: np.ndarray) -> bytes:
    """One gain map for each place of a mosaic."""
    places = np.ndindex(period, period)
    return listed(
        *(
            gain_map((y, x, *SIZE), (period, period), grid=1 + (GRID - 1) * strength[y, x])
            for y, x in places
        )
    )


@pytest.mark.parametrize("cfa", ["RGGB", "GBRG", QUAD_BAYER, XTRANS])
def test_maps_of_a_mosaic_become_those_of_colors(cfa: str) -> None:
    camera = Camera(cfa=cfa)
    pattern = pattern_of(cfa).numpy()
    # Places of one color are alike, as lenses are.
    strength = np.array([1.0, 0.7, 0.5])[pattern].astype(np.float32)
    data = maps_of_places(camera.period, strength)
    found = [GainGrid.parse(p) for _, _, p in split(linear(data, pattern, SIZE))]
    assert [(m.planes, m.pitch, m.rectangle) for m in found] == [
        ((plane, 1), (1, 1), (0, 0, *SIZE)) for plane in range(3)
    ]
    alone = [dataclasses.replace(each, planes=(0, 1)).pack() for each in found]
    corrected = torch.cat([lens_shading(RAW, maps_of(listed(opcode(9, m)))) for m in alone])
    if len(cfa) == 4:
        wanted = lens_shading(RAW, maps_of(data), cfa)
        torch.testing.assert_close(remosaic(corrected, cfa), wanted)
    assert not torch.equal(corrected[0], corrected[1])


def test_a_color_s_map_is_the_mean_over_its_places() -> None:
    strength = np.array([[1.0, 0.8], [0.6, 0.5]], np.float32)
    found = linear(maps_of_places(2, strength), pattern_of("RGGB").numpy(), SIZE)
    grids = [GainGrid.parse(p).gains for _, _, p in split(found)]
    for grid, share in zip(grids, (1.0, 0.7, 0.5), strict=True):
        np.testing.assert_allclose(grid, 1 + (GRID - 1) * share, rtol=1e-6)


def test_a_map_for_all_places_is_one_for_all_colors() -> None:
    found = linear(listed(gain_map()), pattern_of("RGGB").numpy(), SIZE)
    grids = [GainGrid.parse(p) for _, _, p in split(found)]
    assert [grid.planes for grid in grids] == [(0, 1), (1, 1), (2, 1)]
    for grid in grids:
        np.testing.assert_array_equal(grid.gains, GRID)


def test_maps_of_a_part_of_the_picture_are_left_out() -> None:
    vignetting = opcode(3, struct.pack(">7d", *[0.1] * 7))
    part = gain_map((4, 0, 40, 48), (2, 2))
    assert linear(listed(vignetting, part), pattern_of("RGGB").numpy(), SIZE) == b""
    assert linear(listed(vignetting), pattern_of("RGGB").numpy(), SIZE) == listed(vignetting)
    odd = dataclasses.replace(GainGrid.parse(gain_map()[16:]), pitch=(3, 3))
    assert linear(listed(opcode(9, odd.pack())), pattern_of("RGGB").numpy(), SIZE) == b""


def test_lists_that_would_take_all_memory_are_left_out() -> None:
    pattern = pattern_of("RGGB").numpy()
    assert linear(listed(*[gain_map()] * 65), pattern, SIZE) == b""
    long = gain_map(grid=np.ones((1025, 1, 1), np.float32))
    assert linear(listed(long), pattern, SIZE) == b""
