"""Draws docs/images/closed-loop.jpg: python scripts/make_closed_loop_picture.py

A part of the sample around its burnt sky: where the samples are, and how far recovery is off, by
superpixels at effort 0, by the model with samples at the middles of their cells, and by effort 2.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import torch
from matplotlib.figure import Figure

from isp_meta import io, presets, read_raw
from isp_meta.capture.loop import close_loop
from isp_meta.capture.loop.fit import fit_model
from isp_meta.data import sample_path
from isp_meta.decoder import Guide
from isp_meta.frame import Frame
from isp_meta.metrics import psnr
from isp_meta.pictures import part_of, plot
from isp_meta.reconstruct import LocalRBFReconstructor
from isp_meta.registration import upright
from isp_meta.samplers import SuperpixelSampler, UniformSampler
from isp_meta.samples import Samples

PATH = Path(__file__).parent.parent / "docs/images/closed-loop.jpg"
# Rows and columns that are shown, and the error that is white.
PART, FULL_SCALE = (slice(48, 176), slice(0, 160)), 0.1


def with_model(frame: Frame) -> Samples:
    """Samples at the middles of their cells, with a model fitted to the picture."""
    samples = UniformSampler()(frame)
    return replace(samples, model=fit_model(Guide(frame.srgb), frame.raw, samples, 36))


@torch.no_grad()
def main() -> None:
    """Captures and recovers three times, and puts maps of samples and errors side by side."""
    frame = presets.camera()(read_raw(sample_path()))
    shown = io.display_values(io.decode_image(io.encode_jpeg(frame.srgb, quality=95), "sample"))
    frame = frame.replace(srgb=shown.float(), raw=frame.raw.clamp(0, 1), samples=None)
    ways = {
        "effort 0": SuperpixelSampler()(frame),
        "model alone": with_model(frame),
        "effort 2": close_loop(frame.replace(samples=UniformSampler()(frame)), 2),
    }
    mpl.rcParams["font.size"] = 7
    figure = Figure(figsize=(10, 5.2), dpi=150, layout="constrained")
    rows = figure.subplots(2, len(ways))
    for (name, samples), above, below in zip(ways.items(), *rows, strict=True):
        estimate = LocalRBFReconstructor()(Frame(frame.camera, srgb=frame.srgb, samples=samples))
        plot.sampling_map(part_of(frame.replace(samples=samples), *PART), above, zoom=4)
        parts = (
            upright(of[(..., *PART)], frame.camera.orientation) for of in (estimate, frame.raw)
        )
        plot.error_map(*parts, below, FULL_SCALE)
        above.set_title(f"{name}: {len(samples):,} samples, {psnr(estimate, frame.raw):.2f} dB")
    figure.savefig(PATH, pil_kwargs={"quality": 88})


if __name__ == "__main__":
    main()
