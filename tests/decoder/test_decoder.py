from dataclasses import replace

import numpy as np
import pytest
import torch
from smooth_scenes import cubic, smooth

from isp_meta.capture.loop.fit import fit_model
from isp_meta.codec import AdaptiveFilter, Enhancement
from isp_meta.decoder import Decoder, DemosaicedRaw, Guide
from isp_meta.decoder import guide as guide_module
from isp_meta.errors import PayloadCorrupt
from isp_meta.frame import Frame
from isp_meta.io import remosaic
from isp_meta.reconstruct import LocalRBFReconstructor
from isp_meta.samplers import UniformSampler
from isp_meta.samples import Samples


@pytest.fixture(scope="module")
def picture():
    """A picture whose sides are no multiples of a block's; its raw and samples with a model."""
    srgb = smooth(75, 102)
    raw = cubic(srgb) * (0.6 + 0.3 * torch.sin(torch.linspace(0, 9, 102)))
    samples = UniformSampler(8)(Frame(srgb=srgb, raw=raw))
    model = fit_model(Guide(srgb), raw, samples, 16)
    return Frame(srgb=srgb, raw=raw, samples=replace(samples, model=model))


@pytest.mark.parametrize("modeled", [True, False])
def test_it_makes_what_the_default_reconstructor_makes(picture, modeled):
    samples = picture.samples if modeled else replace(picture.samples, model=None)
    raw = Decoder.of(Guide(picture.srgb), samples).raw()
    assert raw.equal(LocalRBFReconstructor()(picture.replace(samples=samples)))
    assert raw.flatten(1)[:, samples.index].equal(samples.value.T)


def test_other_samples_share_what_the_picture_is_known_to_be(picture, monkeypatch):
    decoder = Decoder.of(Guide(picture.srgb), picture.samples)
    decoder.raw()
    monkeypatch.setattr(guide_module, "coarse_contrast", None)
    index = picture.samples.index[::2]
    fewer = replace(
        picture.samples, index=index, value=picture.raw.flatten(1)[:, index].T.contiguous()
    )
    got = decoder.with_samples(fewer)
    assert got.guide is decoder.guide
    assert got.guess is decoder.guess
    assert got.side > decoder.side
    made = got.raw()
    monkeypatch.undo()
    assert made.equal(Decoder.of(Guide(picture.srgb), fewer).raw())


def test_another_kernel_of_the_same_guess_is_taken_from_the_samples(picture):
    decoder = Decoder.of(Guide(picture.srgb), picture.samples)
    model = replace(picture.samples.model, ridge=3.0, neighbors=5)
    other = decoder.with_samples(replace(picture.samples, model=model))
    assert (other.setting.ridge, other.neighbors) == (3.0, 5)
    assert not other.raw().equal(decoder.raw())


@pytest.mark.parametrize("control", [False, True])
def test_what_is_missed_is_told_block_by_block(picture, control):
    samples = replace(picture.samples, control=control)
    decoder = Decoder.of(Guide(picture.srgb), samples)
    missed = decoder.missed(picture.raw)
    assert missed.shape == (10, 13)
    # Where measured values are pasted nothing is missed; here they are not.
    made = Decoder.of(Guide(picture.srgb), replace(samples, control=True)).raw()
    error = (made - picture.raw).square().sum(0)
    assert float(missed.sum()) == pytest.approx(float(error.sum()), rel=1e-5)
    assert float(missed[9, 12]) == pytest.approx(float(error[72:, 96:].sum()), rel=1e-4)
    counts = torch.zeros(75, 102, dtype=torch.bool)
    counts[10, 20] = True
    only = decoder.missed(picture.raw, counts)
    assert float(only[1, 2]) == pytest.approx(float(error[10, 20]), rel=1e-3)
    assert int((only > 0).sum()) == 1


def test_an_enhancement_corrects_all_but_the_measured_pixels(picture):
    decoder = Decoder.of(Guide(picture.srgb), picture.samples)
    residual = Enhancement.residual(picture.raw, decoder.raw(), 3)
    found = Enhancement.of(residual, Enhancement.exponent_of(1 / 512), 3)
    corrected = decoder.corrected(found)
    assert corrected.guess is decoder.guess
    errors = [float((d.raw() - picture.raw).square().mean()) for d in (decoder, corrected)]
    assert errors[1] < 0.5 * errors[0]
    at_samples = corrected.raw().flatten(1)[:, picture.samples.index]
    assert at_samples.equal(picture.samples.value.T)
    again = replace(picture.samples, enhancement=found)
    assert Decoder.of(Guide(picture.srgb), again).raw().equal(corrected.raw())


def test_one_sample_and_one_pixel_will_do():
    srgb = torch.full((3, 1, 1), 0.5)
    samples = Samples.at(torch.tensor([0]), torch.full((3, 1, 1), 0.25))
    assert Decoder.of(Guide(srgb), samples).raw().flatten().tolist() == [0.25] * 3


def filter_of(cfa: str) -> AdaptiveFilter:
    shape = (4, 1, 1, 72) if cfa else (1, 1, 3, 72)
    levels = np.random.default_rng(8).integers(-9, 10, shape, np.int16)
    return AdaptiveFilter(levels, (9, 9), cfa=cfa)


@pytest.mark.parametrize("filtered", [False, True])
def test_raw_is_that_of_the_mosaic_found_in_the_estimate(picture, filtered):
    made = DemosaicedRaw("GBRG", "malvar")
    estimate = Decoder.of(Guide(picture.srgb), picture.samples).estimate()
    mosaic, others = made.fit(estimate), estimate.clone()
    samples = replace(picture.samples, demosaic="malvar")
    if filtered:
        found = filter_of("GBRG")
        samples = replace(samples, adaptive_filter=found)
        made.put_own(mosaic, estimate)
        mosaic = remosaic(found.apply(estimate, picture.srgb, "GBRG"), "GBRG")
    made.colors(mosaic, others, Decoder.SHARE)
    others.flatten(1)[:, samples.index] = samples.value.T
    raw = Decoder.of(Guide(picture.srgb), samples, cfa="GBRG").raw()
    assert raw.equal(others)
    plain = Decoder.of(Guide(picture.srgb), picture.samples, cfa="GBRG").raw()
    assert (raw - plain).abs().max() > 1e-3


def test_without_a_mosaic_three_colors_are_filtered(picture):
    found = filter_of("")
    estimate = Decoder.of(Guide(picture.srgb), picture.samples).estimate()
    expected = found.apply(estimate, picture.srgb)
    expected.flatten(1)[:, picture.samples.index] = picture.samples.value.T
    samples = replace(picture.samples, adaptive_filter=found)
    assert Decoder.of(Guide(picture.srgb), samples).raw().equal(expected)
    with pytest.raises(PayloadCorrupt, match="mosaic"):
        Decoder.of(Guide(picture.srgb), replace(samples, demosaic="malvar"), cfa="GBRG").raw()


def test_what_a_guide_lets_go_of_is_worked_out_again(picture):
    decoder = Decoder.of(Guide(picture.srgb), picture.samples)
    raw = decoder.raw(last=True)
    assert decoder.guide._guess is None
    assert decoder.raw().equal(raw)
