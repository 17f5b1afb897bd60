"""Turns and shifts, and the camera that goes with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from isp_meta import Camera
from isp_meta.camera import QUAD_BAYER, XTRANS
from isp_meta.io import remosaic
from isp_meta.registration import Placement, as_stored, between, upright

TURNS = pytest.mark.parametrize("turn", range(1, 9))


@TURNS
def test_upright_is_what_exif_says_and_as_stored_undoes_it(turn):
    picture = torch.arange(30, dtype=torch.uint8).view(1, 5, 6)
    stored = Image.fromarray(picture[0].numpy())
    stored.getexif()[0x0112] = turn
    exif = stored.getexif()
    exif[0x0112] = turn
    seen = upright(picture, turn)
    assert seen[0].numpy().tolist() == np.asarray(ImageOps.exif_transpose(stored)).tolist()
    assert as_stored(seen, turn).equal(picture)


@TURNS
@pytest.mark.parametrize(("top", "left"), [(0, 0), (2, 1), (-1, 3), (-2, -3)])
def test_a_picture_holds_the_turned_raw_where_both_are(turn, top, left):
    raw = torch.arange(1, 3 * 9 * 8 + 1).view(3, 9, 8)
    turned = upright(raw, turn)
    placement = Placement(turn, top, left)
    placed = placement.apply(raw, (7, 5))
    rows, columns = placement.shared((9, 8), (7, 5))
    for y in range(7):
        for x in range(5):
            there = 0 <= y + top < turned.shape[1] and 0 <= x + left < turned.shape[2]
            assert there == (rows.start <= y < rows.stop and columns.start <= x < columns.stop)
            expected = turned[:, y + top, x + left] if there else torch.zeros(3)
            assert placed[:, y, x].tolist() == expected.tolist()


def tile(camera):
    side = camera.period
    return torch.tensor(camera.black_level).view(1, side, side).repeat(1, 12, 12)


@TURNS
@pytest.mark.parametrize("orientation", [1, 2, 6])
@pytest.mark.parametrize(("top", "left"), [(0, 0), (1, 0), (0, 1), (3, -1)])
@pytest.mark.parametrize("cfa", ["GRBG", QUAD_BAYER, XTRANS, "W"])
def test_the_camera_is_that_of_the_pictures_pixels(turn, orientation, top, left, cfa):
    """The mosaic read through the placed camera is the placed mosaic of the sensor."""
    levels = tuple(map(float, range(len(cfa))))
    camera = Camera(cfa=cfa, black_level=levels, orientation=orientation, crop=(10, 20))
    raw = torch.rand(3, 10, 12)
    placement = Placement(turn, top, left)
    placed = placement.camera(camera, (10, 12))
    size = (6, 6)
    rows, columns = placement.shared((10, 12), size)
    mosaic = placement.apply(remosaic(raw, camera.cfa), size)
    again = remosaic(placement.apply(raw, size), placed.cfa)
    assert again[:, rows, columns].equal(mosaic[:, rows, columns])
    black = tile(camera)[:, :10, :12]
    tiled = tile(placed)[:, :6, :6]
    expected = placement.apply(black, size)
    assert tiled[:, rows, columns].equal(expected[:, rows, columns])
    seen = upright(upright(raw, turn), placed.orientation)
    assert seen.equal(upright(raw, orientation))
    assert between(camera, placed, (10, 12)) == placement


@TURNS
def test_the_colors_of_a_linear_picture_stay(turn):
    camera = Camera(cfa="RGB", black_level=(1.0, 2.0, 3.0))
    placed = Placement(turn, 1, 2).camera(camera, (10, 12))
    assert (placed.cfa, placed.black_level) == ("RGB", (1.0, 2.0, 3.0))


def test_a_picture_beside_the_raw_shares_nothing():
    placement = Placement(1, 20, -30)
    assert placement.shared((8, 8), (4, 4)) == (slice(0, 0), slice(4, 4))
    assert placement.apply(torch.ones(3, 8, 8), (4, 4)).sum() == 0
