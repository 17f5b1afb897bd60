"""The mosaic that a recovered raw must be made of."""

from __future__ import annotations

import pytest
import torch

from isp_meta.camera import BAYER_PATTERNS, XTRANS
from isp_meta.decoder import DemosaicedRaw
from isp_meta.io import remosaic
from isp_meta.metrics import psnr
from isp_meta.stages import demosaic

LINEAR = ("malvar", "bilinear")


def mosaic_of(height: int, width: int) -> torch.Tensor:
    """Noise, so that no filter gets by with what is smooth; no demosaicing of it leaves [0, 1]."""
    return 0.4 + 0.2 * torch.rand(1, height, width, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("method", LINEAR)
@pytest.mark.parametrize("cfa", BAYER_PATTERNS)
@pytest.mark.parametrize(("height", "width"), [(16, 16), (33, 41), (300, 1001)])
def test_a_demosaiced_mosaic_is_found(cfa, method, height, width):
    mosaic = mosaic_of(height, width)
    raw = demosaic(mosaic, cfa, method)
    made = DemosaicedRaw(cfa, method)
    assert torch.allclose(made.fit(raw), mosaic, atol=3e-6)
    again = torch.rand_like(raw)
    made.colors(mosaic, again, 1.0)
    assert torch.allclose(again, raw, atol=1e-6)


def test_most_of_an_error_is_of_no_mosaic():
    """White noise on three values a pixel: two thirds of it a sensor cannot have measured."""
    mosaic, generator = mosaic_of(256, 256), torch.Generator().manual_seed(4)
    raw = demosaic(mosaic, "GRBG", "malvar")
    noisy = raw + 0.02 * torch.randn(raw.shape, generator=generator)
    made = DemosaicedRaw("GRBG", "malvar")
    found = made.fit(noisy)
    assert psnr(found, mosaic) > psnr(remosaic(noisy, "GRBG"), mosaic) + 3.5
    colors = noisy.clone()
    made.colors(found, colors, 1.0)
    assert psnr(colors, raw) > psnr(noisy, raw) + 4


@pytest.mark.parametrize("method", [*LINEAR, "menon"])
def test_whether_raw_was_changed_later(method):
    raw = demosaic(mosaic_of(90, 64), "GBRG", method).clamp(0, 1)
    made = DemosaicedRaw("GBRG", method)
    assert made.made(raw)
    # A crop's borders were not the sensor's.
    assert DemosaicedRaw("RGGB", method).made(raw[:, 33:, 8:].contiguous())
    assert not made.made((raw + raw.roll(1, 2)) / 2)
    assert not DemosaicedRaw("RGGB", method).made(raw)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (15, 40), (2, 3)])
def test_a_small_picture_keeps_its_own_colors(height, width):
    raw = torch.rand(3, height, width)
    made = DemosaicedRaw("BGGR", "malvar")
    mosaic = made.fit(raw)
    assert mosaic.equal(remosaic(raw, "BGGR"))
    colors = raw.clone()
    made.colors(mosaic, colors, 0.0)
    assert colors.equal(raw)


def test_demosaicing_that_chooses_directions_has_no_filter():
    raw = torch.rand(3, 40, 40)
    assert DemosaicedRaw("RGGB", "menon").fit(raw).equal(remosaic(raw, "RGGB"))


def test_a_share_lies_between_both():
    mosaic = mosaic_of(70, 50)
    made, raw = DemosaicedRaw("RGGB", "malvar"), torch.rand(3, 70, 50)
    whole, half = raw.clone(), raw.clone()
    made.colors(mosaic, whole, 1.0)
    made.colors(mosaic, half, 0.5)
    own = torch.zeros_like(raw, dtype=torch.bool)
    own[0, ::2, ::2] = own[1, ::2, 1::2] = own[1, 1::2, ::2] = own[2, 1::2, 1::2] = True
    assert half[own].equal(whole[own])
    assert torch.allclose(half[~own], (raw[~own] + whole[~own]) / 2, atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_share_that_made_the_truth_is_found(share):
    mosaic = mosaic_of(64, 64)
    made = DemosaicedRaw("RGGB", "malvar")
    raw = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(5))
    truth = raw.clone()
    truth.lerp_(demosaic(mosaic, "RGGB", "malvar"), share)
    assert made.share_of(mosaic, raw, truth) == share


@pytest.mark.parametrize(
    ("cfa", "method"),
    [(XTRANS, "malvar"), ("W", ""), ("RGB", "malvar"), ("RGGB", ""), ("RGGB", "x")],
)
def test_of_others_nothing_is_known(cfa, method):
    assert DemosaicedRaw.of(cfa, method) is None
    assert DemosaicedRaw.of("RGGB", "menon") == DemosaicedRaw("RGGB", "menon")
