from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from isp_meta import CaptureOptions, embed, presets, read_metadata
from isp_meta.batch import Embed, Recover, Verify
from isp_meta.metrics import psnr

from .conftest import QUICK


def test_every_option_counts_in_the_identity(changed_options):
    jobs = [
        Embed(),
        Embed(pipeline=presets.karaimer_brown().to_toml()),
        Embed(suffix=".png"),
        *map(Embed, changed_options.values()),
        Embed(CaptureOptions(lossless="alone")),
        *(Recover(), Recover("tiff"), Recover(linear=True)),
        *(Recover(force=True), Verify()),
    ]
    assert len({job.identity for job in jobs}) == len(jobs)
    assert Embed().identity == Embed().identity


def test_options_are_those_of_embed(tree, tmp_path):
    source = tree("a.dng") / "a.dng"
    options = CaptureOptions(
        sampler="random", cell=6, quality=80, levels=200, effort=0, carrier="com"
    )
    assert Embed(options).perform(source, tmp_path / "job.jpg") == pytest.approx(0.006144)
    embed(source, tmp_path / "direct.jpg", options)
    assert (tmp_path / "job.jpg").read_bytes() == (tmp_path / "direct.jpg").read_bytes()
    payload = read_metadata(tmp_path / "job.jpg").payload
    assert (payload.sampler, payload.steps.levels) == ("RandomSampler", 200)


def test_a_pipeline_travels_as_text(tree, tmp_path):
    source = tree("a.dng") / "a.dng"
    camera = presets.karaimer_brown()
    job = Embed(QUICK, pipeline=camera.to_toml())
    job.perform(source, tmp_path / "job.jpg")
    embed(source, tmp_path / "direct.jpg", QUICK, pipeline=camera)
    assert (tmp_path / "job.jpg").read_bytes() == (tmp_path / "direct.jpg").read_bytes()


@pytest.mark.parametrize(
    ("kind", "options", "text"),
    [
        (Embed, {"suffix": ".gif"}, "not '.gif'"),
        (Recover, {"format": "gif"}, "no format 'gif'"),
        (Recover, {"format": "npy", "linear": True}, "linear makes a DNG, not npy"),
    ],
)
def test_options_that_make_no_sense(kind, options, text):
    with pytest.raises(ValueError, match=text):
        kind(**options)


def test_raw_is_rebuilt_on_the_device_and_enhanced_there(embedded_sample, tmp_path):
    job, paths = Recover("npy"), [tmp_path / "a.npy", tmp_path / "b.npy"]
    for path, device in zip(paths, ("cpu", "cpu:0"), strict=True):
        job.perform(embedded_sample.path, path, device)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    raw = torch.from_numpy(np.load(paths[1]))
    assert psnr(raw, embedded_sample.frame.raw) > 48


def test_jobs_are_plain_values():
    for job in (Embed(), Recover(), Verify()):
        values = dataclasses.asdict(job)
        assert json.loads(json.dumps(values)) == values
