from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from isp_meta import Pipeline, presets
from isp_meta.errors import PipelineOrderError
from isp_meta.pictures import part_of, plot, superpixel_map
from isp_meta.samplers import RandomSampler, SuperpixelSampler

ROOT = Path(__file__).parents[2]
RATE = ROOT / "benchmarks/results/rate/gopro-minimal.json"


@pytest.fixture(scope="module")
def frame(make_frame):
    frame = presets.minimal()(make_frame(96, 128, orientation=6))
    return frame.replace(samples=SuperpixelSampler()(frame))


def drawn(axes):
    """(h, w, 3) the picture in some axes."""
    (image,) = axes.images
    return np.asarray(image.get_array())


def saved(axes, path):
    axes.figure.savefig(path)
    return path.stat().st_size > 1000


def test_sampling_map(frame, tmp_path):
    axes = plot.sampling_map(frame, zoom=2)
    picture = drawn(axes)
    assert picture.shape == (2 * 128, 2 * 96, 3)  # upright
    yellow = np.abs(picture - np.array([1, 242 / 255, 51 / 255])).max(-1) < 1e-3
    assert yellow.sum() == 4 * len(frame.samples)
    assert saved(axes, tmp_path / "a.png")


def test_superpixels(frame):
    plain, axes = plot.sampling_map(frame, zoom=4), plot.superpixels(frame, zoom=4)
    changed = np.abs(drawn(axes) - drawn(plain)).max(-1) > 1e-3
    assert 0.03 < changed.mean() < 0.5
    assert (drawn(axes) >= drawn(plain) - 1e-6)[..., 2].all()


def test_draws_into_given_axes(frame):
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert plot.sampling_map(frame, left) is left
    assert plot.superpixels(frame, right) is right
    assert plot.sampling_map(frame).figure is not figure


def test_error_map(tmp_path):
    truth = torch.zeros(3, 4, 5)
    estimate = truth.clone()
    estimate[1, 2, 3] = -0.25
    axes = plot.error_map(estimate, truth, full_scale=0.5)
    (image,) = axes.images
    assert image.get_array()[2, 3] == pytest.approx(0.25)
    assert image.get_clim() == (0, 0.5)
    assert np.allclose(image.to_rgba(0.25)[:3], (1, 69 / 255, 0), atol=0.01)
    assert plot.error_map(truth + 0.0101, truth).images[0].get_clim()[1] == pytest.approx(0.02)
    assert saved(axes, tmp_path / "a.png")
    with pytest.raises(ValueError, match="shapes differ"):
        plot.error_map(truth, truth[:, 1:])


@pytest.mark.parametrize("coding", ["range", "predicted"])
def test_rate_distortion(coding, tmp_path):
    rows = json.loads(RATE.read_text())
    axes = plot.rate_distortion(RATE, coding=coding)
    lines = axes.get_lines()
    assert len(lines) == len({(row["picture"], row["sampler"]) for row in rows})
    first = [r for r in rows if (r["picture"], r["sampler"]) == ("hero6.dng", "superpixel")]
    wanted = {
        (r["codings"][coding]["bits_per_pixel"], r["psnr"]) for r in first if r["levels"] == 320
    }
    assert set(zip(*lines[0].get_data(), strict=True)) == wanted
    assert saved(axes, tmp_path / "a.png")
    assert len(plot.rate_distortion(rows).get_lines()) == len(lines)
    with pytest.raises(ValueError, match="no results"):
        plot.rate_distortion([])
    with pytest.raises(ValueError, match="coding 'none'"):
        plot.rate_distortion(rows, coding="none")


def test_contact_sheet(make_frame, tmp_path):
    pipeline = presets.minimal()
    figure = plot.contact_sheet(pipeline, make_frame(48, 64), columns=3, side=32)
    titles = [axes.get_title() for axes in figure.axes]
    assert [title.split("\n")[0] for title in titles] == [
        f"{position} {type(stage).__name__}" for position, stage in enumerate(pipeline)
    ]
    assert drawn(figure.axes[-1]).shape == (24, 32, 3)
    figure.savefig(tmp_path / "a.png")
    with pytest.raises(ValueError, match="at least one picture"):
        plot.contact_sheet(Pipeline([]), make_frame(4, 4))


def test_needs_what_it_draws(frame):
    with pytest.raises(PipelineOrderError, match=r"needs frame\.samples"):
        plot.sampling_map(frame.replace(samples=None))


def test_superpixels_hold_their_samples(frame):
    labels = superpixel_map(frame)
    rows, columns = frame.samples.index // 128, frame.samples.index % 128
    # Two cells may have kept pixels of one superpixel only where one stands for both.
    assert len(labels[rows, columns].unique()) > 0.95 * len(frame.samples)
    assert int(labels.min()) >= 0
    assert int(labels.max()) < 12 * 16


def test_other_samples_have_the_pixels_nearest_to_them(frame):
    kept = frame.replace(samples=RandomSampler()(frame))
    index = kept.samples.index
    labels = superpixel_map(kept, "RandomSampler")
    assert labels.flatten()[index].tolist() == list(range(len(index)))
    empty = frame.replace(samples=type(kept.samples)(index[:0], kept.samples.value[:0], 96, 128))
    assert int(superpixel_map(empty, "RandomSampler").max()) == 0


def test_a_part_has_the_superpixels_of_the_whole(frame):
    whole = superpixel_map(frame)
    part = part_of(frame, slice(0, 96), slice(8, 128))
    assert part.raw.shape == part.srgb.shape == (3, 96, 120)
    inside = frame.samples.mask()[:, :, 8:]
    assert torch.equal(part.samples.mask(), inside)
    there = superpixel_map(part)[:, 56:]
    # The grid of the part has a column of cells less.
    assert torch.equal(there // 15 * 16 + there % 15 + 1, whole[:, 64:])


def test_without_matplotlib_the_extra_is_named():
    code = (
        "import sys; sys.modules['matplotlib'] = None; sys.modules['matplotlib.figure'] = None\n"
        "import torch; from isp_meta.pictures import plot\n"
        "plot.error_map(torch.zeros(3, 2, 2), torch.zeros(3, 2, 2))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ImportError: isp_meta.pictures.plot needs matplotlib: pip install 'isp-meta[plot]'" in (
        result.stderr
    )
