"""Pictures to look at: where samples lie, where errors are, what leaves each stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor
from torch.nn import functional

from ..camera import MONOCHROME, pattern_of
from ..frame import Frame
from ..io.image import to_uint8
from ..pipeline import Pipeline
from ..registration import upright
from ..samples import Samples
from ..stages import black_level, srgb_encode

__all__ = [
    "ERROR_COLORS",
    "contact_sheet",
    "error_map",
    "sample_overlay",
    "stage_pictures",
    "tensor_of",
]

ERROR_COLORS = ("black", "orangered", "white")
"""Of an error map: none, half of the scale, all of it or more."""

# What a stage gives that can be shown, the most finished first, and how.
_SHOWN = {
    "srgb": "srgb",
    "rgb": "rgb, sRGB-encoded",
    "raw": "raw, sRGB-encoded",
    "mosaic": "mosaic, binned, sRGB-encoded",
    "codes": "codes, binned, sRGB-encoded",
}
_GAP = 8
_TEXT = 14


def error_map(estimate: Tensor, truth: Tensor, full_scale: float = 0.02) -> Image.Image:
    """The largest channel's absolute error: black none, orange half, white ``full_scale`` or more.

    Args:
        estimate, truth: (3, H, W) in [0, 1].
        full_scale: error shown white, as a share of saturation, > 0.

    Returns:
        RGB picture of the same size.
    """
    error = (estimate - truth).abs().amax(0) / full_scale
    gray = Image.fromarray((error.clamp(0, 1) * 255).to(torch.uint8).cpu().numpy())
    none, half, all_ = ERROR_COLORS
    return ImageOps.colorize(gray, black=none, mid=half, white=all_)


def sample_overlay(srgb: Tensor, samples: Samples, zoom: int = 2) -> Image.Image:
    """The picture, dimmed and enlarged, with every kept pixel in yellow.

    Args:
        srgb: (3, H, W) in [0, 1]. samples: of the same picture. zoom: >= 1.

    Returns:
        RGB picture of ``zoom`` times the size.
    """
    shown = srgb * 0.6
    marked = samples.mask()[0].bool().to(srgb.device)
    for channel, level in enumerate((1.0, 0.95, 0.2)):
        shown[channel][marked] = level
    pixels = (shown.clamp(0, 1) * 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(np.repeat(np.repeat(pixels, zoom, 0), zoom, 1))


def stage_pictures(pipeline: Pipeline, frame: Frame, side: int = 512) -> list[tuple[str, Tensor]]:
    """What leaves each stage, small and upright, to look at on a :func:`contact_sheet`.

    Light is averaged first and encoded after; values outside [0, 1] are clipped for display alone.
    A field that no later stage needs is dropped, so that one picture of full size is there at a
    time and not one a stage.

    Args:
        pipeline: as it would run on ``frame``.
        frame: (C, H, W) fields; turned by its camera's orientation.
        side: longest side of a picture, pixels, >= 1; a smaller one keeps its size.

    Returns:
        (label, (3, h, w) in [0, 1]) for each stage that gives a picture, in order. The label holds
        position and class, and on a second line what is shown.

    Raises:
        PipelineOrderError: the frame lacks a field that a stage needs.
    """
    stages = list(pipeline)
    pictures = []
    for position, stage in enumerate(stages):
        wanted = stage.gives.union(*(later.needs for later in stages[position + 1 :]))
        with torch.no_grad():
            frame = Pipeline([stage])(frame, keep=wanted)
        field = next((name for name in _SHOWN if name in stage.gives), None)
        if field is not None:
            label = f"{position} {type(stage).__name__}\n{_SHOWN[field]}"
            pictures.append((label, _shown(frame, field, side)))
    return pictures


def contact_sheet(
    pictures: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]],
    columns: int = 4,
    width: int | None = None,
) -> Image.Image:
    """Pictures side by side, row by row, a label under each.

    Args:
        pictures: label and (3, H, W) encoded for display, floating point in [0, 1] or uint8. Line
            breaks in labels are kept, what does not fit into the column is cut.
        columns: pictures a row, >= 1.
        width: of the sheet, pixels; pictures wider than their column are shrunk to fit, none is
            enlarged. None: as wide as the widest picture, pixel for pixel, needs.

    Returns:
        RGB picture, white where nothing is.

    Raises:
        ValueError: no pictures, one that is not (3, H, W), or no room for a column.
    """
    items = list(pictures.items() if isinstance(pictures, Mapping) else pictures)
    if not items or columns < 1:
        raise ValueError("a contact sheet takes at least one picture and one column")
    for label, picture in items:
        if picture.dim() != 3 or picture.shape[0] != 3 or 0 in picture.shape:
            raise ValueError(f"{label}: must be (3, H, W), not {tuple(picture.shape)}")
    columns = min(columns, len(items))
    widest = max(picture.shape[-1] for _, picture in items)
    column = widest if width is None else (width - _GAP * (columns + 1)) // columns
    if column < 1:
        raise ValueError(f"{columns} columns do not fit into {width} pixels")
    tiles = [_tile(label, picture, column) for label, picture in items]
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    heights = [max(tile.height for tile in row) for row in rows]
    total = columns * (column + _GAP) + _GAP
    sheet = Image.new("RGB", (width or total, sum(heights) + _GAP * (len(rows) + 1)), "white")
    top = _GAP
    for row, height in zip(rows, heights, strict=True):
        for place, tile in enumerate(row):
            sheet.paste(tile, (_GAP + place * (column + _GAP), top))
        top += height + _GAP
    return sheet


def tensor_of(picture: Image.Image) -> Tensor:
    """(3, h, w) uint8 of an RGB picture."""
    return torch.from_numpy(np.array(picture)).movedim(-1, 0)


def _tile(label: str, picture: Tensor, column: int) -> Image.Image:
    codes = picture if picture.dtype == torch.uint8 else to_uint8(picture.detach())
    image = Image.fromarray(np.ascontiguousarray(codes.movedim(0, -1).cpu().numpy()))
    if image.width > column:
        height = max(round(image.height * column / image.width), 1)
        image = image.resize((column, height), Image.Resampling.LANCZOS)
    lines = label.splitlines()
    tile = Image.new("RGB", (column, image.height + (_TEXT + 4) * len(lines) + 4), "white")
    tile.paste(image)
    draw, font = ImageDraw.Draw(tile), ImageFont.load_default(size=_TEXT)
    for number, line in enumerate(lines):
        draw.text((0, image.height + 2 + (_TEXT + 4) * number), line, fill="black", font=font)
    return tile


def _shown(frame: Frame, field: str, side: int) -> Tensor:
    """(3, h, w) in [0, 1], encoded for display."""
    picture: Tensor = getattr(frame, field).detach()
    if field == "codes":
        camera = frame.camera
        picture = black_level(picture, camera.black_level, camera.white_level)
    if field in ("mosaic", "codes"):
        picture = _binned(picture, frame.camera.cfa)
    height, width = picture.shape[-2:]
    scale = min(side / max(height, width), 1.0)
    size = max(round(height * scale), 1), max(round(width * scale), 1)
    small = functional.adaptive_avg_pool2d(picture.clamp(0, 1), size)
    return upright(small if field == "srgb" else srgb_encode(small), frame.camera.orientation)


def _binned(mosaic: Tensor, cfa: str) -> Tensor:
    """(3, ceil(H / n), ceil(W / n)): the mean of each color over every period of the mosaic, of
    n x n pixels; a picture without a mosaic as it is."""
    if len(mosaic) == len("RGB") or cfa == MONOCHROME:
        return mosaic.expand(3, -1, -1)
    pattern = pattern_of(cfa)
    # Beyond a border the pattern goes on from the period before, or from the last pixel.
    down, right = (_whole(size, len(pattern)) for size in mosaic.shape[-2:])
    planes = functional.pixel_unshuffle(mosaic[:, down][..., right], len(pattern))
    return torch.stack([planes[pattern.flatten() == color].mean(0) for color in range(3)])


def _whole(size: int, period: int) -> Tensor:
    line = torch.arange(-(-size // period) * period)
    line[size:] -= period
    return line.clamp(0, size - 1)
