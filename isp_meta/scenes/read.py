"""Scenes to train and to measure on: any picture file led to linear raw.

raw file ──── black level, demosaic ──────────────┐
16-bit PNG, TIFF ──── linear raw already ─────────┼─▶ Frame(camera, raw) ─ pipeline ─▶ srgb
8-bit PNG, TIFF, JPEG ──── sRGB, unprocessed ─────┘
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .. import io, presets
from ..camera import Camera
from ..errors import ImageFileError, PipelineOrderError, RawFileError
from ..frame import Frame
from ..io import RAW_SUFFIXES, RENDERED_SUFFIXES
from ..pipeline import Pipeline
from ..presets.random_cameras import KNOWN_CAMERAS
from ..presets.unprocess import unprocess
from ..stages import Jpeg, Quantize, gray_world

__all__ = [
    "cameras_of",
    "find_scenes",
    "linear_camera",
    "read_scene",
    "render_scene",
    "scene_name",
    "seeded",
    "without_file",
]

_SUFFIXES = RENDERED_SUFFIXES | RAW_SUFFIXES


def find_scenes(folder: str | os.PathLike[str]) -> list[Path]:
    """All picture files in a folder and the folders below it.

    Hidden files and folders, and files of other endings than those of raw files and of rendered
    pictures, are passed over.

    Args:
        folder: of the pictures; a file stands for itself.

    Returns:
        Paths that begin with ``folder``, sorted by name: the same on every machine.

    Raises:
        ImageFileError: no such folder, one that cannot be read, or no picture in it.
    """
    top = Path(folder)
    if top.is_file():
        return [top]

    def refuse(error: OSError) -> None:
        raise ImageFileError(f"{error.filename}: cannot read it ({error.strerror})") from error

    found: list[Path] = []
    for place, folders, files in os.walk(top, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place) / name for name in files if not name.startswith(".")]
    found = [path for path in found if path.suffix.lower() in _SUFFIXES and path.is_file()]
    if not found:
        raise ImageFileError(f"{folder}: holds no pictures; name a folder of raw files, PNG, TIFF")
    return sorted(found, key=lambda path: scene_name(path, top))


def scene_name(path: Path, folder: str | os.PathLike[str]) -> str:
    """A scene's path from its folder on; the file's name where it stands for itself."""
    return path.name if path == Path(folder) else path.relative_to(folder).as_posix()


def read_scene(
    path: str | os.PathLike[str],
    *,
    generator: torch.Generator | None = None,
    camera: Camera | None = None,
    shrink: int = 1,
) -> Frame:
    """Reads one scene as linear raw-RGB, whatever kind of file it is.

    Which kind it is follows from the file's content where a PNG or TIFF can be either:

    - a raw file (any ending but those of rendered pictures): as :func:`isp_meta.embed` demosaics
      it by default;
    - PNG or TIFF of **16 bits**, RGB: linear raw already, black 0, saturation 65535; a JSON file of
      the same stem may say more, see :func:`linear_camera`;
    - PNG or TIFF of **8 bits**, and JPEG: sRGB, made raw by :func:`isp_meta.unprocess` without
      noise.

    Args:
        path: of the file.
        generator: of what is random where an sRGB picture is unprocessed; None: one seeded by the
            file's name, so that a file always gives the same scene.
        camera: whose raw becomes of an sRGB picture; None: a random one's.
        shrink: raw is averaged over blocks of so many pixels a side, >= 1; rows and columns that
            fill no block are left out, and so are the camera's gain maps.

    Returns:
        A Frame with ``camera`` and ``raw`` (3, H, W) float32 in [0, 1], and nothing else.

    Raises:
        RawFileError, ImageFileError: a file that cannot be read, or is smaller than one block.
        ValueError: shrink out of range.
    """
    if shrink < 1:
        raise ValueError(f"shrink must be at least 1, not {shrink}")
    file = Path(path)
    if file.suffix.lower() not in RENDERED_SUFFIXES:
        frame = _read_raw(file)
    elif io.has_16_bits(file):
        frame = io.read_linear(file)
        frame = frame.replace(camera=linear_camera(file, frame.require("raw", "read_scene")))
    else:
        frame = _read_srgb(file, generator, camera)
    raw: Tensor = frame.require("raw", "read_scene").clamp(0, 1)
    if shrink > 1:
        if min(raw.shape[1:]) < shrink:
            raise ImageFileError(f"{path}: is smaller than a block of {shrink} pixels")
        raw = functional.avg_pool2d(raw[None], shrink)[0]
        # They are laid out for the sensor's own pixels.
        return Frame(frame.camera.replace(gain_maps=(), editing=None), raw=raw)
    return Frame(frame.camera, raw=raw)


def cameras_of(folder: str | os.PathLike[str]) -> list[Camera]:
    """The cameras of the raw files and linear pictures in a folder; sRGB pictures have none.

    Args:
        folder: as in :func:`find_scenes`.

    Raises:
        ImageFileError: no such folder, or nothing but sRGB pictures in it.
        RawFileError: a file that cannot be read.
    """
    found = [camera for path in find_scenes(folder) if (camera := _camera(path)) is not None]
    if not found:
        raise ImageFileError(f"{folder}: holds sRGB pictures alone, which tell no camera")
    return found


def _camera(path: Path) -> Camera | None:
    if path.suffix.lower() not in RENDERED_SUFFIXES:
        return (io.read_linear if io.is_linear_dng(path) else io.read_raw)(path).camera
    if not io.has_16_bits(path):
        return None
    return linear_camera(path, io.read_linear(path).require("raw", "cameras_of"))


def seeded(*parts: object) -> torch.Generator:
    """A generator that depends on nothing but what is given: a seed, a name, a number."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "surrogateescape")).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


@torch.no_grad()
def render_scene(frame: Frame, pipeline: Pipeline) -> Frame:
    """Renders a scene: the part of a pipeline that comes after ``raw`` is made.

    Args:
        frame: as :func:`read_scene` gives it.
        pipeline: any that gives ``srgb``; of a preset, what stands from WhiteBalance on.

    Returns:
        A Frame with ``camera``, ``raw`` as given and ``srgb`` (3, H, W) in [0, 1].

    Raises:
        PipelineOrderError: the pipeline does not lead from ``raw`` to ``srgb``.
    """
    places = [i for i, stage in enumerate(pipeline) if "raw" in stage.gives - stage.needs]
    after = pipeline[places[-1] + 1 :] if places else pipeline
    if "srgb" not in after.gives:
        raise PipelineOrderError("the pipeline has no stage after the demosaic that gives srgb")
    rendered = after(frame, keep=("srgb",))
    return frame.replace(srgb=rendered.srgb.clamp(0, 1), space=rendered.space)


def without_file(pipeline: Pipeline) -> Pipeline:
    """A pipeline without what a file's format does to a picture: no Quantize, no Jpeg.

    Args:
        pipeline: any; pipelines among its stages are searched too.
    """
    kept = (stage for stage in pipeline if not isinstance(stage, Quantize | Jpeg))
    return Pipeline(without_file(stage) if isinstance(stage, Pipeline) else stage for stage in kept)


def linear_camera(path: str | os.PathLike[str], raw: Tensor) -> Camera:
    """The camera of a linear 16-bit picture, by the JSON file beside it.

        {"illuminant_color_raw": [0.42, 0.77, 0.47], "make": "SONY", "model": "SLT-A57"}

    Both are optional. The neutral is the illuminant's color relative to green; without one, it is
    what gray-world (:func:`isp_meta.stages.gray_world`) makes of the picture. The color matrix is
    LibRaw's for a camera of that name; without a name, the mean of those of
    :data:`isp_meta.presets.random_cameras.KNOWN_CAMERAS`, which lies near enough to any sensor to
    render by, but calibrates none.

    Args:
        path: of the picture; the JSON file has its stem.
        raw: (3, H, W), its pixels.

    Raises:
        RawFileError: the JSON file is damaged, or names a camera that LibRaw does not know.
    """
    beside = Path(path).with_suffix(".json")
    known = _facts(beside) if beside.exists() else {}
    color = known.get("illuminant_color_raw")
    if color is None:
        color = (1 / gray_world(raw.double())).tolist()
    elif not _is_color(color):
        raise RawFileError(f"{beside}: illuminant_color_raw must be 3 positive numbers")
    camera = Camera(make="isp_meta", model="linear", color_matrix=_mean_color_matrix())
    make, model = known.get("make"), known.get("model")
    if make is not None or model is not None:
        if not (isinstance(make, str) and isinstance(model, str)):
            raise RawFileError(f"{beside}: make and model must be texts, and both be there")
        camera = io.known_camera(make, model).replace(white_level=65535.0)
    red, green, blue = map(float, color)
    return camera.replace(as_shot_neutral=(red / green, 1.0, blue / green))


def _facts(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(io.read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise RawFileError(f"{path}: is no JSON ({error})") from error
    if not isinstance(known, dict):
        raise RawFileError(f"{path}: must hold a JSON object")
    return known


def _is_color(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(isinstance(v, (int, float)) and math.isfinite(v) and v > 0 for v in value)
    )


@functools.cache
def _mean_color_matrix() -> tuple[float, ...]:
    matrices = [io.known_camera(*name).color_matrix for name in KNOWN_CAMERAS]
    return tuple(torch.tensor(matrices, dtype=torch.float64).mean(0).tolist())


@torch.no_grad()
def _read_raw(path: Path) -> Frame:
    if io.is_linear_dng(path):
        return io.read_linear(path)
    frame: Frame = presets.minimal().until("Demosaic")(io.read_raw(path), keep=("raw",))
    return frame


@torch.no_grad()
def _read_srgb(path: Path, generator: torch.Generator | None, camera: Camera | None) -> Frame:
    pixels = io.decode_image(io.read_bytes(path, ImageFileError), str(path))
    if generator is None:
        generator = seeded(path.name)
    return unprocess(pixels.float().div_(255), camera, generator, noise=None)
