"""What recovery misses comes with the metadata, as finely as is asked for."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import Image

from isp_meta import (
    CaptureOptions,
    Frame,
    Pipeline,
    Reconstructor,
    Stage,
    carriers,
    embed,
    presets,
    read_metadata,
    read_raw,
    recover,
)
from isp_meta.capture.rate import Rate
from isp_meta.capture.residual import DEFAULT_STEP, enhance
from isp_meta.data import sample_path
from isp_meta.decoder import Guide
from isp_meta.errors import RateNotReached
from isp_meta.frame import Sampler
from isp_meta.metrics import psnr
from isp_meta.samples import Samples
from isp_meta.stages import Demosaic


@pytest.fixture(scope="module")
def picture() -> Frame:
    """A corner of the sample, as a sensor would give it."""
    frame = read_raw(sample_path())
    return frame.replace(codes=frame.codes[:, :256, :384].clone())


@pytest.fixture(scope="module")
def both(tmp_path_factory, picture):
    """The same samples without an enhancement and with one."""
    folder = tmp_path_factory.mktemp("enhanced")
    return (
        embed(picture, folder / "plain.jpg", CaptureOptions(effort=2, enhancement=0)),
        embed(picture, folder / "better.jpg", CaptureOptions(effort=2)),
    )


def figure(made) -> float:
    return psnr(recover(made.path).raw, made.frame.raw)


def test_it_brings_decibels(both):
    plain, better = both
    assert read_metadata(plain.path).payload.enhancement is None
    found = read_metadata(better.path).payload.enhancement
    assert found.step == DEFAULT_STEP
    assert len(found.basis) == 4
    mended = read_metadata(better.path).payload.adaptive_filter
    assert better.payload_bytes == plain.payload_bytes + found.size + mended.size
    assert figure(better) > figure(plain) + 1


def test_measured_values_stay(tmp_path, picture):
    better = embed(picture, tmp_path / "a.jpg", CaptureOptions(values="measured"))
    frame = recover(better.path)
    samples = read_metadata(better.path).payload.samples
    assert torch.equal(frame.raw.view(3, -1)[:, samples.index], samples.value.T)


def test_control_values_are_not_pasted(tmp_path, picture):
    made = embed(picture, tmp_path / "a.jpg")
    samples = read_metadata(made.path).payload.samples
    at_samples = recover(made.path).raw.view(3, -1)[:, samples.index]
    assert samples.control
    assert not torch.equal(at_samples, samples.value.T)
    assert psnr(at_samples[..., None], made.frame.raw.view(3, -1)[:, samples.index, None]) > 40


def test_finer_steps_come_nearer(tmp_path, picture, both):
    finer = embed(
        picture,
        tmp_path / "a.jpg",
        CaptureOptions(enhancement=1 / 256),
    )
    assert figure(finer) > figure(both[1]) + 3


@pytest.mark.parametrize("bpp", [0.45, 0.8, 2.0])
def test_a_budget_is_filled(tmp_path, picture, bpp):
    made = embed(picture, tmp_path / "a.jpg", CaptureOptions(bpp=bpp))
    assert 0.9 * bpp < made.bits_per_pixel <= bpp
    without = embed(picture, tmp_path / "b.jpg", CaptureOptions(bpp=bpp, enhancement=0))
    assert figure(made) > figure(without) + 0.5


def test_a_small_budget_is_not_spent_on_samples_alone(tmp_path, picture):
    made = embed(picture, tmp_path / "a.jpg", CaptureOptions(bpp=0.4))
    payload = read_metadata(made.path).payload
    assert payload.samples.cell in (16, 20, 24, 28, 32)
    assert payload.enhancement is not None
    tiny = embed(picture, tmp_path / "b.jpg", CaptureOptions(bpp=0.2))
    payload = read_metadata(tiny.path).payload
    assert payload.samples.cell < 16
    assert payload.enhancement is None


def test_a_goal_is_reached_and_hardly_passed(tmp_path, picture):
    made = embed(picture, tmp_path / "a.jpg", CaptureOptions(psnr=46))
    assert 46 <= figure(made) < 46.6
    low = embed(picture, tmp_path / "b.jpg", CaptureOptions(psnr=20))
    assert read_metadata(low.path).payload.enhancement is None
    with pytest.raises(RateNotReached, match="200 dB cannot be reached"):
        embed(picture, tmp_path / "c.jpg", CaptureOptions(psnr=200))
    assert not (tmp_path / "c.jpg").exists()


def test_none_where_it_would_be_in_vain_or_late(tmp_path, picture):
    for name, options in {"quick": {"effort": 0}, "whole": {"lossless": True}}.items():
        made = embed(picture, tmp_path / f"{name}.jpg", CaptureOptions(**options))
        assert read_metadata(made.path).payload.enhancement is None
    asked = embed(picture, tmp_path / "asked.jpg", CaptureOptions(effort=0, enhancement=1 / 64))
    assert read_metadata(asked.path).payload.enhancement is not None


def test_it_outlives_another_compression(tmp_path, both):
    def again(made) -> float:
        kept = carriers.extract(made.path.read_bytes())
        buffer = io.BytesIO()
        Image.open(made.path).save(buffer, "JPEG", quality=90)
        path = tmp_path / made.path.name
        path.write_bytes(carriers.insert(buffer.getvalue(), kept))
        assert read_metadata(path).match == "recompressed"
        return psnr(recover(path).raw, made.frame.raw)

    plain, better = both
    assert again(better) > again(plain)


def test_another_reconstructor_is_not_corrected(both):
    class Darker(Reconstructor):
        takes_controls = True  # looks at none

        def forward(self, frame):
            return frame.srgb**2

    plain, better = (recover(made.path, reconstructor=Darker()).raw for made in both)
    assert torch.equal(plain, better)


def test_nothing_is_missed_where_the_picture_shows_something_else(both):
    plain, better = (read_metadata(made.path).payload for made in both)
    frame = both[0].frame
    guide, shown = Guide(frame.srgb), torch.zeros(256, 384, dtype=torch.bool)
    used = both[0].payload_bytes
    (no_filter, none), everywhere = (
        enhance(plain, used, frame.raw, guide, DEFAULT_STEP, where) for where in (shown, None)
    )
    stored = better.adaptive_filter, better.enhancement
    assert [part.pack() for part in everywhere] == [part.pack() for part in stored]
    assert no_filter is None
    assert none.size < 100


def test_there_is_nothing_to_correct_without_samples(tmp_path, picture):
    class Nothing(Sampler):
        def forward(self, frame):
            return Samples.at(torch.zeros(0, dtype=torch.int64), frame.raw, 8)

    made = embed(picture, tmp_path / "a.jpg", sampler=Nothing())
    payload = read_metadata(made.path).payload
    assert payload.enhancement is payload.adaptive_filter is None


def test_a_mosaic_is_beside_the_budget(tmp_path, picture):
    options = CaptureOptions(bpp=0.8, enhancement=1 / 64, lossless=True)
    payload = read_metadata(embed(picture, tmp_path / "a.jpg", options).path).payload
    assert payload.mosaic is not None
    assert payload.enhancement is not None


def test_raw_that_was_changed_after_demosaicing_is_no_mosaic(tmp_path, picture):
    class Shifted(Stage):
        needs = gives = frozenset({"raw"})

        def forward(self, frame):
            return frame.replace(raw=(frame.raw + frame.raw.roll((2, 1), (1, 2))) / 2)

    stages = list(presets.minimal())
    at = next(i for i, stage in enumerate(stages) if isinstance(stage, Demosaic)) + 1
    pipeline = Pipeline([*stages[:at], Shifted(), *stages[at:]])
    made = embed(picture, tmp_path / "a.jpg", pipeline=pipeline)
    payload = read_metadata(made.path).payload
    assert payload.demosaic == ""
    assert len(payload.enhancement.basis) == 3
    assert figure(made) > 44


@pytest.mark.parametrize("room", [0, 100, 300, 1100, 3000])
def test_filter_and_enhancement_together_stay_within_what_is_left(both, room):
    plain, frame = both[0], both[0].frame
    payload, used = read_metadata(plain.path).payload, plain.payload_bytes
    rate = Rate(size=used + room)
    found = enhance(payload, used, frame.raw, Guide(frame.srgb), rate)
    assert sum(part.size for part in found if part is not None) <= room
