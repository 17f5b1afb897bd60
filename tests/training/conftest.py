"""Small folders of pictures, and a training set made of one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from isp_meta.training import prepare

SceneMaker = Callable[..., Path]


@pytest.fixture(scope="session")
def make_scene() -> SceneMaker:
    def make(path: Path, height: int = 40, width: int = 56, seed: int = 0, scale: float = 0.6):
        """A linear 16-bit PNG: shading and texture, no pixel saturated."""
        generator = np.random.default_rng(seed)
        y, x = np.mgrid[:height, :width]
        light = 0.5 + 0.3 * np.sin(x / 7 + seed) * np.cos(y / 5 - seed)
        light = light + 0.1 * generator.random((height, width))
        color = np.array([0.5, 1.0, 0.6]) + 0.1 * generator.random((height, width, 3))
        pixels = (light[..., None] * color * scale * 65535).clip(0, 65535).astype(np.uint16)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(imagecodecs.png_encode(pixels))
        return path

    return make


@pytest.fixture(scope="session")
def pictures(tmp_path_factory, make_scene) -> Path:
    """A folder of four scenes; not to be changed."""
    folder = tmp_path_factory.mktemp("pictures") / "day"
    for number in range(4):
        make_scene(folder / f"{number}.png", seed=number)
    return folder


@pytest.fixture(scope="session")
def crops_folder(tmp_path_factory, pictures) -> Path:
    """A training set of three scenes, one of validation, 16 pixels a side; not to be changed."""
    out = tmp_path_factory.mktemp("sets") / "set"
    prepare(pictures, out, renderings=3, crop=16, crops=5, val=["3.png"])
    return out
