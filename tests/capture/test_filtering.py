"""The filter that capture fits: it mends what a filter did, and pays for itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from isp_meta.capture.filtering import fit_filter
from isp_meta.io import remosaic
from isp_meta.metrics import psnr

PLENTY = 1_000_000


@pytest.fixture(scope="module")
def blurred() -> tuple[Tensor, Tensor, Tensor]:
    """What recovery made, too smooth at every second column; a picture; the truth."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 24, 30, generator=generator)
    truth = functional.interpolate(coarse, size=(96, 120), mode="bicubic")[0].clamp(0.02, 0.9)
    truth += 0.05 * torch.rand(truth.shape, generator=generator)
    smooth = functional.avg_pool2d(truth[None], 3, 1, 1, count_include_pad=False)[0]
    recovered = torch.where(torch.arange(120) % 2 == 0, smooth, truth)
    return recovered, truth.pow(1 / 2.2).clamp(0, 1), truth


def gain(made, recovered: Tensor, srgb: Tensor, truth: Tensor) -> float:
    filtered = made.apply(recovered, srgb, made.cfa)
    if made.cfa:
        recovered, filtered, truth = (remosaic(p, made.cfa) for p in (recovered, filtered, truth))
    return psnr(filtered, truth) - psnr(recovered, truth)


def test_it_mends_what_a_filter_can(blurred):
    made = fit_filter(*blurred, PLENTY, cfa="GRBG")
    assert made.cfa == "GRBG"
    assert made.sets == 24
    assert gain(made, *blurred) > 8


def test_without_a_mosaic_pixels_are_alike(blurred):
    made = fit_filter(*blurred, PLENTY)
    assert made.levels.shape == (1, 6, 3, 72)
    assert 1 < gain(made, *blurred) < gain(fit_filter(*blurred, PLENTY, cfa="GRBG"), *blurred)


def test_small_metadata_get_fewer_sets_of_weights_or_none(blurred):
    made = [fit_filter(*blurred, used, cfa="RGGB") for used in (1, 900, 10**6)]
    sets = [each.sets if each else 0 for each in made]
    assert sets == [0, 4, 24]


def test_there_is_none_where_nothing_is_missed(blurred):
    _, srgb, truth = blurred
    assert fit_filter(truth, srgb, truth, PLENTY) is None


def test_noise_that_nothing_predicts_pays_no_filter(blurred):
    _, srgb, truth = blurred
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(1)) / 50
    flat = torch.full_like(truth, 0.5)
    assert fit_filter(flat, torch.full_like(srgb, 0.7), flat + noise, 20_000) is None


def test_what_the_picture_does_not_show_tells_nothing(blurred):
    recovered, srgb, truth = blurred
    shown = torch.zeros(96, 120, dtype=torch.bool)
    assert fit_filter(*blurred, PLENTY, shown=shown) is None
    shown[:, :60] = True
    foreign = truth.clone()
    foreign[:, :, 60:] = 0.3
    one, other = (fit_filter(recovered, srgb, raw, PLENTY, shown=shown) for raw in (truth, foreign))
    assert one.pack() == other.pack()


def test_threads_change_no_weight(blurred):
    count, made = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            made.append(fit_filter(*blurred, PLENTY).pack())
    finally:
        torch.set_num_threads(count)
    assert made[0] == made[1]


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (17, 5)])
def test_tiny_pictures_do_no_harm(size):
    raw, srgb = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(2))
    made = fit_filter(raw.mul(0.9), srgb, raw, 10_000)
    assert made is None or gain(made, raw.mul(0.9), srgb, raw) > 0
