"""Pictures with axes, by matplotlib: ``pip install 'isp-meta[plot]'``.

Functions draw into the Axes that they are given, or into a new Figure that no window shows; both
hold in notebooks and scripts. Files are written by ``axes.figure.savefig``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..frame import Frame
from ..pipeline import Pipeline
from ..registration import upright
from ..samples import Samples
from .drawing import ERROR_COLORS, sample_overlay, stage_pictures, tensor_of
from .error_maps import round_scale
from .superpixels import superpixel_map, superpixel_overlay

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["contact_sheet", "error_map", "rate_distortion", "sampling_map", "superpixels"]


def _new_figure(width: float, height: float) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "isp_meta.pictures.plot needs matplotlib: pip install 'isp-meta[plot]'"
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def _axes(axes: Axes | None, aspect: float = 0.75) -> Axes:
    if axes is not None:
        return axes
    made: Axes = _new_figure(8.0, max(2.0, 8.0 * aspect)).add_subplot()
    return made


def _show(axes: Axes, picture: Tensor, title: str) -> None:
    """(3, h, w) display values, or uint8."""
    shown = picture / 255 if picture.dtype == torch.uint8 else picture.detach().clamp(0, 1)
    axes.imshow(shown.movedim(0, -1).cpu().numpy(), interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title)


def sampling_map(frame: Frame, axes: Axes | None = None, zoom: int = 1) -> Axes:
    """The picture, dimmed, with every kept pixel in yellow; upright.

    Args:
        frame: with ``srgb`` and ``samples``. axes: to draw into; None: those of a new figure.
        zoom: pixels that each becomes a side, >= 1.

    Raises:
        PipelineOrderError: a field is empty. ImportError: matplotlib is missing.
    """
    srgb: Tensor = frame.require("srgb", "sampling_map")
    samples: Samples = frame.require("samples", "sampling_map")
    shown = upright(tensor_of(sample_overlay(srgb, samples, zoom)), frame.camera.orientation)
    axes = _axes(axes, shown.shape[1] / shown.shape[2])
    share = 100 * len(samples) / (samples.height * samples.width)
    _show(axes, shown, f"{len(samples):,} samples, {share:.2g} % of the pixels")
    return axes


def superpixels(
    frame: Frame, axes: Axes | None = None, zoom: int = 4, sampler: str = "SuperpixelSampler"
) -> Axes:
    """The picture with the borders of its superpixels in white and its samples in yellow; upright.

    Args:
        frame: with ``raw``, ``srgb`` and ``samples``, best a part of a picture
            (:func:`isp_meta.pictures.part_of`): borders are one pixel wide.
        axes: to draw into; None: those of a new figure.
        zoom: pixels that each becomes a side, >= 1.
        sampler: name of the class that chose the samples; see
            :func:`isp_meta.pictures.superpixel_map`.

    Raises:
        PipelineOrderError: a field is empty. ImportError: matplotlib is missing.
    """
    samples: Samples = frame.require("samples", "superpixels")
    overlay = superpixel_overlay(frame, superpixel_map(frame, sampler), zoom)
    shown = upright(tensor_of(overlay), frame.camera.orientation)
    axes = _axes(axes, shown.shape[1] / shown.shape[2])
    _show(axes, shown, f"{len(samples):,} samples and their superpixels")
    return axes


def error_map(
    estimate: Tensor, truth: Tensor, axes: Axes | None = None, full_scale: float | None = None
) -> Axes:
    """The largest channel's absolute error, with its scale beside it.

    Args:
        estimate, truth: (3, H, W) linear raw-RGB in [0, 1]; upright, if they are to be seen so.
        axes: to draw into; None: those of a new figure.
        full_scale: error shown white, as a share of saturation, > 0; None: a round number that at
            most 5 % of the pixels exceed.

    Raises:
        ValueError: shapes differ. ImportError: matplotlib is missing.
    """
    if estimate.shape != truth.shape:
        raise ValueError(f"shapes differ: {tuple(estimate.shape)} and {tuple(truth.shape)}")
    error = (estimate - truth).abs().amax(0).detach().cpu()
    full = round_scale([error]) if full_scale is None else full_scale
    axes = _axes(axes, error.shape[0] / error.shape[1])
    from matplotlib.colors import LinearSegmentedColormap

    colors = LinearSegmentedColormap.from_list("error", list(ERROR_COLORS))
    image = axes.imshow(error.numpy(), cmap=colors, vmin=0, vmax=full, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title("error of the worst channel")
    bar = axes.figure.colorbar(image, ax=axes, extend="max")
    bar.set_label("share of saturation")
    return axes


def rate_distortion(
    results: str | os.PathLike[str] | Iterable[Mapping[str, Any]],
    axes: Axes | None = None,
    coding: str = "range",
) -> Axes:
    """PSNR against bits a pixel: a line for each picture and sampler, a mark for each cell.

    Args:
        results: what ``benchmarks/rate.py`` wrote, or its rows; each with ``picture``, ``sampler``,
            ``cell``, ``levels``, ``slope``, ``psnr`` in dB, and ``bits_per_pixel`` in ``codings``.
            Rows with other steps than the first of their line are left out.
        axes: to draw into; None: those of a new figure.
        coding: "range", "predicted" or "packed".

    Raises:
        ValueError: no rows, or none of that coding. OSError: the file cannot be read.
            ImportError: matplotlib is missing.
    """
    table: Iterable[Mapping[str, Any]]
    if isinstance(results, (str, os.PathLike)):
        table = json.loads(Path(results).read_text(encoding="utf-8"))
    else:
        table = results
    lines: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in table:
        lines.setdefault((row["picture"], row["sampler"]), []).append(row)
    if not lines:
        raise ValueError("there are no results to plot")
    axes = _axes(axes)
    for (picture, sampler), rows in lines.items():
        steps = rows[0]["levels"], rows[0]["slope"]
        points = sorted(
            (row["codings"][coding]["bits_per_pixel"], row["psnr"], row["cell"])
            for row in rows
            if coding in row["codings"] and (row["levels"], row["slope"]) == steps
        )
        if not points:
            raise ValueError(f"{picture}: no results of coding {coding!r}")
        rate, quality, cells = zip(*points, strict=True)
        axes.plot(rate, quality, marker="o", markersize=4, label=f"{picture}, {sampler}")
        axes.annotate(
            f"cell {cells[-1]}", (rate[-1], quality[-1]), (0, 5), textcoords="offset points"
        )
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel(f"metadata, bits a pixel ({coding})")
    axes.set_ylabel("PSNR of the recovered raw, dB")
    axes.grid(alpha=0.3)
    axes.legend()
    return axes


def contact_sheet(pipeline: Pipeline, frame: Frame, columns: int = 4, side: int = 512) -> Figure:
    """What leaves each stage, side by side; see :func:`isp_meta.pictures.stage_pictures`.

    Args:
        pipeline: as it would run on ``frame``. frame: with what it needs.
        columns: pictures a row, >= 1. side: longest side of a picture, pixels.

    Raises:
        PipelineOrderError: the frame lacks a field that a stage needs.
        ValueError: no stage gives a picture. ImportError: matplotlib is missing.
    """
    pictures = stage_pictures(pipeline, frame, side)
    if not pictures or columns < 1:
        raise ValueError("a contact sheet takes at least one picture and one column")
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    height, width = pictures[-1][1].shape[1:]
    figure = _new_figure(3.0 * columns, rows * (3.0 * height / width + 0.6))
    places = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes in places[len(pictures) :]:
        axes.remove()
    for axes, (label, picture) in zip(places, pictures, strict=False):
        _show(axes, picture, label)
        axes.title.set_fontsize("small")
    return figure
