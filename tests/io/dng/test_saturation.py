from __future__ import annotations

import numpy as np
import pytest

from isp_meta.camera import Camera
from isp_meta.io.dng.saturation import saturation_level

HEIGHT, WIDTH = 120, 160
BLACK, WHITE = 256, 4095
NEUTRAL = (0.5, 1.0, 0.6)
CFAS = {"RGGB": "RGGB", "x-trans": "GBGGRGRGRBGBGBGGRGGRGGBGBGBRGRGRGGBG", "linear": "RGB"}


def camera_of(cfa: str, neutral: tuple[float, float, float] = NEUTRAL) -> Camera:
    return Camera(cfa=cfa, black_level=(BLACK,), white_level=WHITE, as_shot_neutral=neutral)


def scene(
    camera: Camera, brightest: float, clipped_at: int, noise: float = 0.005, flat: bool = False
) -> np.ndarray:
    """Codes of a gray scene with a glow, or of even patches, that end at a code."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    glow = 0.05 + (brightest - 0.05) * np.exp(-((y - 40) ** 2 + (x - 60) ** 2) / 2500)
    if flat:
        glow = np.where((x // 40 + y // 40) % 2, brightest, brightest / 3)
    chance = np.random.default_rng(0)
    found = []
    for channel in range(camera.channels):
        if camera.cfa == "RGB":
            neutral: np.ndarray | float = camera.as_shot_neutral[channel]
        else:
            side = camera.period
            of_places = [camera.as_shot_neutral["RGB".index(c)] for c in camera.cfa]
            tiles = HEIGHT // side + 1, WIDTH // side + 1
            neutral = np.tile(np.reshape(of_places, (side, side)), tiles)[:HEIGHT, :WIDTH]
        signal = glow * neutral
        signal = signal + chance.normal(0, noise, signal.shape) * np.sqrt(signal)
        found.append(np.rint(BLACK + signal * (WHITE - BLACK)).clip(0, clipped_at))
    return np.stack(found).astype(np.float32)


@pytest.mark.parametrize("cfa", CFAS)
@pytest.mark.parametrize("clipped_at", [2800, 3558, 3900])
@pytest.mark.parametrize("brightest", [1.3, 2.5])
@pytest.mark.parametrize("noise", [0.0, 0.005, 0.02])
def test_where_codes_pile_up_is_white(
    cfa: str, clipped_at: int, brightest: float, noise: float
) -> None:
    # At 1.3 green alone saturates.
    camera = camera_of(CFAS[cfa])
    codes = scene(camera, brightest, clipped_at, noise)
    assert saturation_level(codes, camera, WHITE) == clipped_at


@pytest.mark.parametrize("cfa", CFAS)
@pytest.mark.parametrize("brightest", [0.4, 0.7, 0.87, 0.97])
@pytest.mark.parametrize("noise", [0.0, 0.005])
@pytest.mark.parametrize("flat", [False, True])
def test_a_picture_that_is_not_clipped_stays(
    cfa: str, brightest: float, noise: float, flat: bool
) -> None:
    camera = camera_of(CFAS[cfa])
    codes = scene(camera, brightest, 65535, noise, flat)
    assert saturation_level(codes, camera, WHITE) == WHITE


@pytest.mark.parametrize("brightest", [1.1, 2.5])
def test_a_picture_that_is_clipped_at_white_stays(brightest: float) -> None:
    camera = camera_of("RGGB")
    assert saturation_level(scene(camera, brightest, WHITE), camera, WHITE) == WHITE


def test_equal_colors_may_be_an_even_surface() -> None:
    camera = camera_of("RGGB", (1.0, 1.0, 1.0))
    assert saturation_level(scene(camera, 0.8, 65535, 0.0, flat=True), camera, WHITE) == WHITE


def test_defective_pixels_may_lie_above() -> None:
    camera = camera_of("RGGB")
    codes = scene(camera, 2.5, 3558)
    codes[0, ::110, ::150] = 3700
    assert saturation_level(codes, camera, WHITE) == 3558


def test_one_channel_has_no_color() -> None:
    camera = Camera(cfa="W", black_level=(BLACK,), white_level=WHITE)
    codes = np.full((1, HEIGHT, WIDTH), 3558, np.float32)
    assert saturation_level(codes, camera, WHITE) == WHITE
