"""Random renderings of one scene, cut into pairs of sRGB and raw.

raw ─ exposure ─ noise ─ pipeline ─ turned ─┬─ 16 bits ─┐
                                            ├─  8 bits ─┼─▶ crops of sRGB and raw, 16 bits each
                                            └─   JPEG ──┘
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .. import io, presets
from ..errors import PipelineFileError
from ..frame import Frame
from ..pipeline import Pipeline
from ..presets.unprocess import random_noise
from ..scenes import render_scene, seeded, without_file
from ..stages import add_noise

__all__ = ["FULL", "InputKind", "Recipe", "Rendering", "crop_count", "render"]

FULL = 65535
"""What stands for 1 in a stored crop."""

InputKind = Literal["16bit", "8bit", "jpeg"]

_SUBSAMPLING = ("4:4:4", "4:2:0")
# A level of raw from which on a pixel counts as saturated, and shares of a picture that may be.
_SATURATED, _SATURATED_SHARE, _MOST_SATURATED = 0.99, 1e-3, 0.05
_POOR = 0.01  # Range of raw in a crop in which there is next to nothing to learn.
# Reciprocals of the plastic number and its square: a sequence of places that fills the plane
# evenly, however long it is (Roberts, "The unreasonable effectiveness of quasirandom sequences").
_STEP = np.array([0.7548776662466927, 0.5698402909980532])


@dataclass(frozen=True)
class Recipe:
    """How the renderings of a training set are made; see :func:`isp_meta.training.prepare`.

    Raises:
        ValueError: a value out of range.
    """

    renderings: int = 8
    crop: int = 192
    crops: int = 16
    inputs: tuple[InputKind, ...] = ("16bit", "8bit", "jpeg")
    presets: tuple[str, ...] = ("random",)
    quality: tuple[int, int] = (80, 100)
    exposure: tuple[float, float] = (-1.0, 1.0)
    noise: tuple[float, float] | None = None
    shrink: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("renderings", "crop", "crops", "shrink"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not self.inputs or not set(self.inputs) <= set(get_args(InputKind)):
            raise ValueError(f"inputs must be of {', '.join(get_args(InputKind))}")
        if not self.presets:
            raise ValueError("presets must name at least one")
        low, high = self.exposure
        if not -16 <= low <= high <= 16:
            raise ValueError(f"exposure must rise within -16 to 16 stops, not {self.exposure}")
        low, high = self.quality
        if not 1 <= low <= high <= 100:
            raise ValueError(f"quality must rise within 1 to 100, not {self.quality}")
        if self.noise is not None and not 0 < self.noise[0] <= self.noise[1] < float("inf"):
            raise ValueError(f"noise must be electrons that rise from above 0, not {self.noise}")
        for preset in self.presets:
            if "srgb" not in self.pipeline(preset, torch.Generator()).gives:
                raise PipelineFileError("the pipeline gives no srgb; end it with Gamma")

    @staticmethod
    def pipeline(preset: str, generator: torch.Generator) -> Pipeline:
        """The camera of that name, or of that TOML text, without what follows its last tones.

        Raises:
            PipelineFileError: there is none; lists those there are.
        """
        if "\n" in preset:
            return without_file(Pipeline.from_toml(preset))
        name = preset.replace("-", "_")
        if name not in presets.__all__:
            known = ", ".join(sorted(presets.__all__))
            raise PipelineFileError(f"there is no preset {preset!r}, only {known}")
        make = getattr(presets, name)
        return without_file(make(generator) if make is presets.random else make())


@dataclass(frozen=True)
class Rendering:
    """How one rendering came about, as the manifest tells.

    Attributes:
        preset: name, or "pipeline" for one from a file.
        exposure: stops by which raw was scaled.
        electrons: full well of a sensor with that much shot noise; None: none was added.
        turn: 0 to 7: bit 0 flips columns, bit 1 rows, bit 2 swaps both axes first.
        input: kind of the sRGB picture.
        quality, subsampling: of a JPEG.
    """

    preset: str
    exposure: float
    turn: int
    input: InputKind
    quality: int | None = None
    subsampling: str | None = None
    electrons: float | None = None

    def row(self) -> dict[str, Any]:
        """For JSON; without what does not apply."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def crop_count(height: int, width: int, recipe: Recipe) -> int:
    """Crops of one rendering: as many as cover the picture once, at most ``recipe.crops``.

    Returns:
        0 where a side is less than half a crop, from which on reflection would make most of it.
    """
    if 2 * min(height, width) < recipe.crop:
        return 0
    return min(recipe.crops, math.ceil(height * width / recipe.crop**2))


def render(
    frame: Frame, recipe: Recipe, name: str, number: int
) -> tuple[Rendering, Iterator[NDArray[np.uint16]]]:
    """One random rendering of a scene, and its crops.

    Args:
        frame: of :func:`isp_meta.scenes.read_scene`; at least half a crop a side.
        recipe: of the set.
        name, number: of the scene and of the rendering: with the recipe's seed all that chance
            depends on.

    Returns:
        How it was made, and :func:`crop_count` crops (6, S, S): sRGB and raw, 0 to 65535.
    """
    generator = seeded(recipe.seed, name, number)
    raw: Tensor = frame.require("raw", "render")
    stops = _exposure(raw, recipe.exposure, generator)
    raw, electrons = _noisy((raw * 2**stops).clamp_(0, 1), recipe.noise, generator)
    frame = frame.replace(raw=raw)
    preset = _choice(recipe.presets, generator)
    shown = render_scene(frame, recipe.pipeline(preset, generator)).require("srgb", "render")
    turn = int(torch.randint(8, (), generator=generator))
    kind = _choice(recipe.inputs, generator)
    quality, subsampling = None, None
    if kind == "jpeg":
        low, high = recipe.quality
        quality = int(torch.randint(low, high + 1, (), generator=generator))
        subsampling = _choice(_SUBSAMPLING, generator)
    srgb = _as_file(_turned(shown, turn), quality, subsampling, kind)
    pair = np.concatenate([srgb, _codes(_turned(raw, turn))])
    made = "pipeline" if "\n" in preset else preset.replace("-", "_")
    how = Rendering(made, round(stops, 4), turn, kind, quality, subsampling, electrons)
    return how, _crops(pair, recipe, generator)


def _choice(options: tuple[Any, ...], generator: torch.Generator) -> Any:
    return options[int(torch.randint(len(options), (), generator=generator))]


def _exposure(raw: Tensor, stops: tuple[float, float], generator: torch.Generator) -> float:
    """Stops to scale raw by, such that it stays what a sensor could have seen.

    Saturated pixels made darker would be gray and not white, so a picture with more than a few
    keeps its exposure or gains; and at most one pixel in twenty is made to saturate.
    """
    brightest = raw[:, ::2, ::2].amax(0).flatten()
    few = max(int(_MOST_SATURATED * len(brightest)), 1)
    room = -math.log2(max(float(brightest.topk(few).values[-1]), 2**-16))
    saturated = float((brightest >= _SATURATED).float().mean()) > _SATURATED_SHARE
    low = max(stops[0], 0.0) if saturated else stops[0]
    high = max(min(stops[1], room), low)
    return low + (high - low) * float(torch.rand((), generator=generator))


def _noisy(
    raw: Tensor, range_: tuple[float, float] | None, generator: torch.Generator
) -> tuple[Tensor, float | None]:
    """Raw with the noise of a sensor, as often as without, and that sensor's electrons."""
    if range_ is None or float(torch.rand((), generator=generator)) < 0.5:
        return raw, None
    shot, read = random_noise(generator, (1 / range_[1], 1 / range_[0]))
    return add_noise(raw, shot, read, generator).clamp_(0, 1), round(1 / shot, 1)


def _turned(picture: Tensor, turn: int) -> Tensor:
    picture = picture.mT if turn & 4 else picture
    return picture.flip([side for bit, side in ((1, -1), (2, -2)) if turn & bit])


def _as_file(
    srgb: Tensor, quality: int | None, subsampling: str | None, kind: InputKind
) -> NDArray[np.uint16]:
    if kind == "16bit":
        return _codes(srgb)
    pixels = io.to_uint8(srgb)
    if quality is not None and subsampling is not None:
        data = io.encode_jpeg(pixels, quality=quality, subsampling=subsampling)
        pixels = io.decode_image(data, "rendering")
    return pixels.numpy() * np.uint16(FULL // 255)


def _codes(picture: Tensor) -> NDArray[np.uint16]:
    codes: NDArray[np.uint16] = (picture * FULL).round_().numpy().astype(np.uint16)
    return codes


def _crops(
    pair: NDArray[np.uint16], recipe: Recipe, generator: torch.Generator
) -> Iterator[NDArray[np.uint16]]:
    side = recipe.crop
    _, height, width = pair.shape
    count = crop_count(height, width, recipe)
    short = [(0, max(side - length, 0)) for length in (height, width)]
    pair = np.pad(pair, [(0, 0), *short], mode="reflect")
    room = np.array(pair.shape[1:]) - side + 1
    start = torch.rand(2, dtype=torch.float64, generator=generator).numpy()
    places = (start + _STEP * np.arange(2 * count)[:, None]) % 1 * room
    crops = [pair[:, y : y + side, x : x + side] for y, x in places.astype(int)]
    # Of twice as many places those with something in them; the sort keeps their order otherwise.
    crops.sort(key=lambda crop: bool(np.ptp(crop[3:]) < _POOR * FULL))
    yield from crops[:count]
