"""What is asked for is what metadata take, or what recovery reaches."""

from __future__ import annotations

import pytest

from isp_meta import CaptureOptions, Frame, embed, read_metadata, recover
from isp_meta.capture.rate import Rate, encode_within
from isp_meta.codec import decode
from isp_meta.data import sample_path
from isp_meta.errors import RateNotReached
from isp_meta.metrics import psnr
from isp_meta.samplers import UniformSampler


@pytest.fixture(scope="module")
def picture() -> Frame:
    """A corner of the sample, as a sensor would give it."""
    from isp_meta import read_raw

    frame = read_raw(sample_path())
    return frame.replace(codes=frame.codes[:, :256, :384].clone())


@pytest.mark.parametrize("coding", ["range", "predicted"])
@pytest.mark.parametrize("sampler", [None, "superpixel"])
@pytest.mark.parametrize("bpp", [0.15, 0.5, 1.0])
def test_size_fills_the_budget(tmp_path, picture, bpp, sampler, coding):
    options = CaptureOptions(bpp=bpp, sampler=sampler, coding=coding)
    made = embed(picture, tmp_path / "a.jpg", options)
    assert 0.85 * bpp < made.bits_per_pixel <= bpp
    payload = read_metadata(made.path).payload
    assert payload.sampler == ("SuperpixelSampler" if sampler else "UniformSampler")
    assert payload.steps.levels >= 160


def test_what_came_after_the_rate_was_fitted_takes_coarser_steps(tmp_path, picture):
    made = embed(picture, tmp_path / "a.jpg", CaptureOptions(levels=640, effort=0))
    metadata = read_metadata(made.path)
    whole = made.payload_bytes
    args = metadata.pixels, "range"
    assert len(encode_within(Rate(size=whole), metadata.payload, *args)[1]) == whole
    coarser, packed = encode_within(Rate(size=whole - 100), metadata.payload, *args)
    assert len(packed) <= whole - 100
    assert 80 <= coarser.steps.levels == decode(packed).steps.levels < 640
    with pytest.raises(RateNotReached, match="1,000 bytes are too few"):
        encode_within(Rate(size=1000), metadata.payload, *args)
    for unbound in (None, Rate(psnr=30)):
        assert len(encode_within(unbound, metadata.payload, *args)[1]) == whole


def test_a_mosaic_is_beside_the_rate(tmp_path, picture):
    options = CaptureOptions(bpp=0.5, lossless=True)
    made = embed(picture, tmp_path / "a.jpg", options)
    payload = read_metadata(made.path).payload
    budget = options.rate.budget(256 * 384)
    assert len(payload.mosaic.data) > budget
    assert made.payload_bytes - len(payload.mosaic.data) < 1.1 * budget


def test_bytes_are_bits_a_pixel(tmp_path, picture):
    by_bits = embed(picture, tmp_path / "a.jpg", CaptureOptions(bpp=0.5))
    by_bytes = embed(picture, tmp_path / "b.jpg", CaptureOptions(size=256 * 384 // 16))
    assert by_bits.path.read_bytes() == by_bytes.path.read_bytes()


def test_quality_is_reached_and_hardly_exceeded(tmp_path, picture):
    found = []
    for goal in (33.0, 36.0):
        made = embed(picture, tmp_path / f"{goal}.jpg", CaptureOptions(psnr=goal, effort=0))
        reached = psnr(recover(made.path).raw, made.frame.raw)
        assert goal <= reached < goal + 3
        found.append(made.payload_bytes)
    assert found[0] < found[1]


def test_what_effort_brings_comes_on_top_of_a_quality(tmp_path, picture):
    made = embed(picture, tmp_path / "a.jpg", CaptureOptions(psnr=33.0))
    assert read_metadata(made.path).payload.samples.model is not None
    assert psnr(recover(made.path).raw, made.frame.raw) > 33.0


@pytest.mark.parametrize(("bpp", "stored"), [(0.15, False), (0.5, True)])
def test_a_model_is_stored_where_the_budget_is_large_enough(tmp_path, picture, bpp, stored):
    made = embed(picture, tmp_path / "a.jpg", CaptureOptions(bpp=bpp, effort=2))
    assert made.bits_per_pixel <= bpp
    samples = read_metadata(made.path).payload.samples
    assert (samples.model is not None) == samples.control == stored


def test_what_cannot_be_reached_is_said(tmp_path, picture):
    target = tmp_path / "a.jpg"
    for goal, text in (
        ({"size": 100}, "100 bytes are too few .* one sample in 32x32 pixels takes"),
        ({"psnr": 120}, "120 dB cannot be reached: one sample in 4x4 pixels gives"),
    ):
        with pytest.raises(RateNotReached, match=rf"\.jpg: {text}"):
            embed(picture, target, CaptureOptions(**goal, enhancement=0))
    assert not target.exists()


@pytest.mark.parametrize(
    "goals", [{}, {"bpp": 1, "size": 1}, {"bpp": 0}, {"psnr": -1}, {"size": float("nan")}]
)
def test_a_rate_is_one_positive_number(goals):
    with pytest.raises(ValueError, match="one of bpp, size and psnr"):
        Rate(**goals)


def test_a_rate_chooses_alone(tmp_path, picture):
    with pytest.raises(ValueError, match="give no sampler"):
        embed(picture, tmp_path / "a.jpg", CaptureOptions(bpp=1), sampler=UniformSampler(8))
    assert list(tmp_path.iterdir()) == []
