"""Reading DNG files: every photosite decoded from the file, and what its tags make of it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ...camera import MONOCHROME, Camera
from ...errors import RawFileError
from ...frame import Frame
from ..refusals import cut_off, damaged, not_a_raw_file
from .areas import active_area, default_scale, visible_area
from .calibration import as_shot_neutral, color_matrix, neutral_of_white, noise_profile
from .color_filter import cfa_at, planes_in_order, read_color_filter
from .digest import check_digest
from .editing import editor_tags
from .layout import read_layout
from .levels import black_of_places, linearized, rescaled_to_one_white, through_curves, white_levels
from .opcodes import gain_maps, lens_warp
from .profile import color_profile
from .saturation import saturation_level
from .tags import Tag, TiffTags, read_tags
from .tiles import read_samples

__all__ = ["read_dng"]

Codes = NDArray[np.float32]


def read_dng(data: bytes, name: object, *, gps: bool = False) -> Frame:
    """Reads the raw picture of a DNG.

    Args:
        data: the whole file.
        name: of the file, for errors.
        gps: whether the camera's ``exif`` may tell where the picture was taken.

    Returns:
        A Frame with ``codes``, (1, H, W) of a mosaic and of a monochrome sensor, (3, H, W) of a
        linear picture, float32: the active area in the sensor's own orientation, after the
        LinearizationTable, black level included, on the file's own scale; and ``camera``. Codes
        are whole unless samples are floating point, or colors have white levels of their own.

    Raises:
        RawFileDamaged: cut off, or bytes that do not decode to every photosite, or to another
            picture than the file's checksum is of.
        RawFileUnsupported: a compression or color filter that is not read.
        NotARawFile: no DNG.

    Source: DNG specification 1.7.1; TIFF 6.0.
    """
    try:
        return _read(data, name, gps)
    except RawFileError:
        raise
    except MemoryError as error:
        raise damaged(name, "it claims more memory than there is") from error
    except Exception as error:  # hostile tags make no sense in nearly any way
        raise damaged(name, f"its tags make no sense ({error})") from error


def _read(data: bytes, name: object, gps: bool) -> Frame:
    tags = read_tags(data)
    if tags is None and data[:2] in (b"II", b"MM"):
        raise damaged(name, "its directories are cut off or make no sense")
    if tags is None or not tags.is_dng:
        raise not_a_raw_file(name, "no DNG")
    if Tag.PHOTOMETRIC not in tags.numbers:
        raise damaged(name, "its directories hold no picture")
    layout = read_layout(tags, len(data), name)
    if tags.size > len(data):
        raise cut_off(name, len(data), tags.size)
    square = read_color_filter(tags, layout)
    period = 1 if isinstance(square, str) else len(square)
    active, visible = active_area(tags, layout), visible_area(tags, layout, period)
    stored = read_samples(data, layout)
    check_digest(tags, layout, stored, data)
    top, left, bottom, right = visible
    shown = linearized(stored[top:bottom, left:right], tags)
    codes: Codes = np.ascontiguousarray(np.moveaxis(shown, -1, 0), np.float32)
    del stored, shown
    black = black_of_places(codes, tags, layout, active, visible, period)
    whites = white_levels(tags, layout)
    if not all(level < whites[0] for level in black):
        raise damaged(name, f"its white level {whites[0]:g} is not above black {max(black):g}")
    if layout.samples > 1:
        rescaled_to_one_white(codes, black, whites)
    offset = top - active[0], left - active[1]
    black, white = through_curves(codes, tags, black, whites[0], offset)
    camera = _camera(planes_in_order(tags), cfa_at(square, *offset), black, visible, gps)
    white = saturation_level(codes, camera, white)
    return Frame(camera=camera.replace(white_level=white), codes=torch.from_numpy(codes))


def _camera(
    tags: TiffTags, cfa: str, black: tuple[float, ...], visible: tuple[int, ...], gps: bool
) -> Camera:
    top, left, bottom, right = visible
    color = color_matrix(tags)
    measured = {} if color is None else {"color_matrix": color[0], "illuminant": color[1]}
    neutral = (1.0, 1.0, 1.0) if cfa == MONOCHROME else as_shot_neutral(tags)
    turn = tags.numbers.get(Tag.ORIENTATION, (1.0,))[0]
    window = (top, left, bottom - top, right - left)
    return Camera(
        make=tags.texts.get(Tag.MAKE, ""),
        model=tags.texts.get(Tag.MODEL, ""),
        cfa=cfa,
        black_level=black,
        white_level=float("inf"),
        as_shot_neutral=neutral or neutral_of_white(tags),  # type: ignore[arg-type]
        orientation=int(turn) if turn in range(1, 9) else 1,
        crop=(top, left),
        exif={**tags.exif, **(tags.gps if gps else {})},
        gain_maps=gain_maps(tags, window),
        warp=lens_warp(tags, window),
        noise=noise_profile(tags),
        profile=color_profile(tags),
        default_scale=default_scale(tags),
        editing=editor_tags(tags, window),
        **measured,  # type: ignore[arg-type]
    )
