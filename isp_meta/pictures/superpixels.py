"""Which pixels a kept one stands for, and where these areas meet."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..frame import Frame
from ..samplers import SuperpixelSampler
from ..samples import Samples
from .drawing import sample_overlay

__all__ = ["part_of", "superpixel_map", "superpixel_overlay"]

_OPACITY = 140  # of 255


def superpixel_map(frame: Frame, sampler: str = "SuperpixelSampler") -> Tensor:
    """The superpixel of each pixel, from the picture and its raw.

    Args:
        frame: with ``samples``, ``srgb`` and ``raw``; of a recovered one they come out as at
            capture but for pixels between two superpixels, since recovered raw is not the true one.
        sampler: name of the class that chose the samples. Any but SuperpixelSampler, and samples
            without a cell, have no superpixels: there each pixel belongs to its nearest sample.

    Returns:
        (H, W) int64, equal within a superpixel; all 0 where there are no samples.
    """
    samples: Samples = frame.require("samples", "superpixel_map")
    if sampler == "SuperpixelSampler" and samples.cell:
        return SuperpixelSampler(samples.cell).superpixels(frame)
    height, width = samples.height, samples.width
    if not len(samples):
        return torch.zeros(height, width, dtype=torch.int64)
    from scipy.spatial import cKDTree  # 0.3 s to load

    kept = torch.stack([samples.index // width, samples.index % width], 1)
    pixels = torch.cartesian_prod(torch.arange(height), torch.arange(width))
    nearest = cKDTree(kept.cpu().numpy()).query(pixels.numpy())[1]
    return torch.from_numpy(nearest).view(height, width)


def part_of(frame: Frame, rows: slice, columns: slice) -> Frame:
    """A part of a picture with the samples in it.

    Args:
        frame: with ``raw``, ``srgb`` and ``samples``. rows, columns: of the part, both ends given;
            superpixels stay the same where the first are multiples of the cell, six cells away
            from the part's borders.
    """
    samples: Samples = frame.require("samples", "part_of")
    height, width = rows.stop - rows.start, columns.stop - columns.start
    down = samples.index // samples.width - rows.start
    right = samples.index % samples.width - columns.start
    inside = (down >= 0) & (down < height) & (right >= 0) & (right < width)
    kept = dataclasses.replace(
        samples,
        index=(down * width + right)[inside],
        value=samples.value[inside],
        height=height,
        width=width,
    )
    raw, srgb = (frame.require(name, "part_of")[:, rows, columns] for name in ("raw", "srgb"))
    return Frame(camera=frame.camera, raw=raw, srgb=srgb, samples=kept, space=frame.space)


def superpixel_overlay(frame: Frame, labels: Tensor, zoom: int = 4) -> Image.Image:
    """What :func:`isp_meta.pictures.sample_overlay` draws, with borders between superpixels.

    Args:
        frame: with ``srgb`` and ``samples``. labels: (H, W) of its pixels' superpixels.
        zoom: pixels that each becomes a side, >= 1; borders are one of these wide.
    """
    overlay = sample_overlay(
        frame.require("srgb", "superpixel_overlay"),
        frame.require("samples", "superpixel_overlay"),
        zoom,
    )
    edge = np.repeat(np.repeat(labels.cpu().numpy(), zoom, 0), zoom, 1)
    border = np.zeros(edge.shape, np.bool_)
    border[:-1] |= edge[:-1] != edge[1:]
    border[:, :-1] |= edge[:, :-1] != edge[:, 1:]
    opacity = Image.fromarray((border * _OPACITY).astype(np.uint8))
    overlay.paste("white", mask=opacity)
    return overlay
