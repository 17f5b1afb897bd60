"""Ten kinds of DNG that readers commonly get wrong, each from file to linear light."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_dng import LONG, SHORT, Coding, Tags, made_dng, photograph

from isp_meta.errors import RawFileDamaged, RawFileUnsupported
from isp_meta.frame import Frame
from isp_meta.io import read_raw
from isp_meta.stages import BlackLevel, Demosaic, WhiteBalance

HEIGHT, WIDTH, TILE = 80, 96, (32, 32)
BLACK, WHITE = 256, 4095
LEVELS: Tags = {50714: (SHORT, (BLACK,)), 50717: (LONG, (WHITE,))}
CODES = photograph(HEIGHT, WIDTH, 12).clip(BLACK)
LIGHT = (CODES - BLACK) / (WHITE - BLACK)


def read(tmp_path: Path, picture: np.ndarray, coding: Coding, tags: Tags = LEVELS) -> Frame:
    path = tmp_path / "a.dng"
    path.write_bytes(made_dng(picture, coding, tags).data)
    return BlackLevel()(read_raw(path))


def assert_light(frame: Frame, atol: float = 1e-6) -> None:
    np.testing.assert_allclose(frame.mosaic[0].numpy(), LIGHT, atol=atol)


@pytest.mark.parametrize("kind", ["jpeg dct", "lossy"])
def test_mosaic_in_dct_tiles_behind_a_table(tmp_path: Path, kind: str) -> None:
    table = np.rint((np.arange(256) / 255) ** 2 * WHITE).astype(int)
    stored = np.rint(np.sqrt(CODES / WHITE) * 255).astype(np.uint8)
    tags: Tags = {**LEVELS, 50712: (SHORT, tuple(table.tolist()))}
    frame = read(tmp_path, stored, Coding(kind, 8, TILE), tags)
    assert np.abs(frame.mosaic[0].numpy() - LIGHT).mean() < 0.02


def test_tile_of_zeros(tmp_path: Path) -> None:
    made = made_dng(CODES, Coding("jpeg", 12, TILE), LEVELS)
    path = tmp_path / "a.dng"
    path.write_bytes(made.with_bytes(made.segments[0][0], bytes(made.segments[0][1])))
    with pytest.raises(RawFileDamaged, match=r"a\.dng: damaged: tile 1 of 9 "):
        read_raw(path)


def test_floating_point_with_levels_in_codes(tmp_path: Path) -> None:
    assert_light(read(tmp_path, CODES.astype(np.float32), Coding(bits=32)))


def test_half_floats_without_levels(tmp_path: Path) -> None:
    frame = read(tmp_path, LIGHT.astype(np.float16).astype(np.float32), Coding(bits=16), {})
    assert frame.camera.white_level == 1
    assert_light(frame, atol=5e-4)


def test_orientation_zero(tmp_path: Path) -> None:
    frame = read(tmp_path, CODES, Coding(), {**LEVELS, 274: (SHORT, (0,))})
    assert frame.camera.orientation == 1
    assert_light(frame)


@pytest.mark.parametrize(
    "coding", [Coding("jpeg xl", 16, TILE), Coding("deflate", 16, rows=33, predictor=2)]
)
def test_lossless_codings_of_16_bits(tmp_path: Path, coding: Coding) -> None:
    assert_light(read(tmp_path, CODES, coding))


def test_staggered_layout(tmp_path: Path) -> None:
    with pytest.raises(RawFileUnsupported, match=r"staggered \(CFALayout 2\)"):
        read(tmp_path, CODES, Coding(), {**LEVELS, 50711: (SHORT, (2,))})


def test_sensor_that_saturates_below_its_white_level(tmp_path: Path) -> None:
    neutral = np.tile([[0.5, 1.0], [1.0, 0.6]], (HEIGHT // 2, WIDTH // 2))
    scene = np.linspace(0.1, 4, WIDTH) * neutral
    codes = np.rint(BLACK + scene * (WHITE - BLACK)).clip(0, 3558).astype(np.uint16)
    frame = read(tmp_path, codes, Coding())
    assert frame.camera.white_level == 3558
    rgb = WhiteBalance()(Demosaic()(frame)).rgb
    assert rgb is not None
    # The brightest light is white: no color of the gains of white balance.
    assert float(rgb[:, :, -20:].min()) == pytest.approx(1, abs=1e-6)
