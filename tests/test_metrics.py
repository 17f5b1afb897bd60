import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from isp_meta import metrics
from isp_meta.colorimetry import rgb_to_xyz
from isp_meta.metrics import delta_e_2000, psnr, ssim, xyz_to_lab

# Of the test data of Sharma, Wu and Dalal (2005), table 1.
PAIRS = [
    (50, 2.6772, -79.7751, 50, 0, -82.7485, 2.0425),
    (50, 3.1571, -77.2803, 50, 0, -82.7485, 2.8615),
    (50, -1.3802, -84.2814, 50, 0, -82.7485, 1.0),
    (50, 0, 0, 50, -1, 2, 2.3669),
    (50, 2.49, -0.001, 50, -2.49, 0.0009, 7.1792),
    (50, 2.49, -0.001, 50, -2.49, 0.0011, 7.2195),
    (50, 2.5, 0, 73, 25, -18, 27.1492),
    (50, 2.5, 0, 61, -5, 29, 22.8977),
    (60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644),
    (22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373),
    (2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082),
]


def pair(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    truth = torch.rand(*shape, generator=generator, dtype=torch.float64)
    noise = torch.rand(*shape, generator=generator, dtype=torch.float64)
    return (truth + 0.3 * (noise - 0.5)).clamp(0, 1), truth


def ssim_of_wang(x, y):
    """Eq. 13 of Wang et al., 2004, with its Gaussian weights of 11x11 pixels."""

    def mean(plane):
        return gaussian_filter(plane, 1.5, mode="mirror", radius=5)

    values = []
    for a, b in zip(x.numpy(), y.numpy(), strict=True):
        mean_a, mean_b = mean(a), mean(b)
        variance_a, variance_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
        covariance = mean(a * b) - mean_a * mean_b
        luminance = (2 * mean_a * mean_b + 0.01**2) / (mean_a**2 + mean_b**2 + 0.01**2)
        contrast = (2 * covariance + 0.03**2) / (variance_a + variance_b + 0.03**2)
        values.append(luminance * contrast)
    return float(np.mean(values))


@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 5, 7), (3, 40, 33)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_psnr_is_its_formula(shape, dtype):
    estimate, truth = pair(*shape)
    expected = 10 * math.log10(1 / float(np.mean((estimate - truth).numpy() ** 2)))
    assert psnr(estimate.to(dtype), truth.to(dtype)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("error", "decibels"), [(1.0, 0.0), (0.1, 20.0), (0.001, 60.0)])
def test_psnr_of_a_constant_error(error, decibels):
    truth = torch.zeros(3, 4, 4, dtype=torch.float64)
    assert psnr(truth + error, truth) == pytest.approx(decibels, abs=1e-9)


def test_psnr_over_chosen_pixels_alone():
    estimate, truth = pair(3, 9, 8)
    where = torch.rand(9, 8, generator=torch.Generator().manual_seed(5)) < 0.3
    expected = psnr(estimate[:, where][:, None], truth[:, where][:, None])
    assert psnr(estimate, truth, where) == pytest.approx(expected, abs=1e-9)
    estimate[:, ~where] = 7.0
    assert psnr(estimate, truth, where) == pytest.approx(expected, abs=1e-9)


def test_psnr_where_nothing_differs_and_where_nothing_counts():
    estimate, truth = pair(3, 9, 8)
    assert psnr(truth, truth.clone()) == math.inf
    assert math.isnan(psnr(estimate, truth, torch.zeros(9, 8, dtype=torch.bool)))


def test_psnr_sums_large_pictures_without_loss():
    # 4 million squares of 1e-4 lose their last digits where the sum is kept in float32.
    truth = torch.zeros(1, 2000, 2000)
    assert psnr(truth + 0.01, truth) == pytest.approx(40, abs=1e-5)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_inputs_are_left_as_they_were_and_refused_where_shapes_differ(metric):
    estimate, truth = pair(3, 12, 13)
    before = estimate.clone(), truth.clone()
    metric(estimate, truth)
    assert torch.equal(estimate, before[0])
    assert torch.equal(truth, before[1])
    with pytest.raises(ValueError, match="shapes differ"):
        metric(estimate[:, 1:], truth)


@pytest.mark.parametrize("size", [(6, 6), (6, 40), (11, 11), (12, 9), (40, 33)])
def test_ssim_is_that_of_wang(size):
    estimate, truth = pair(3, *size)
    expected = ssim_of_wang(estimate, truth)
    assert 0.5 < expected < 0.98
    assert ssim(estimate, truth) == pytest.approx(expected, abs=1e-9)
    assert ssim(estimate.float(), truth.float()) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("height", [6, 10, 11, 12, 16, 17, 22, 23, 27, 28, 33, 45])
def test_ssim_in_strips_is_that_of_the_whole(height, monkeypatch):
    estimate, truth = pair(3, height, 8)
    monkeypatch.setattr(metrics, "_STRIP_PIXELS", 1)
    assert ssim(estimate, truth) == pytest.approx(ssim_of_wang(estimate, truth), abs=1e-9)


@pytest.mark.parametrize("level", [0.0, 0.001, 0.4, 1.0])
def test_ssim_is_one_where_equal_however_dark(level):
    truth = torch.full((3, 12, 12), level)
    assert ssim(truth, truth.clone()) == pytest.approx(1, abs=1e-6)


def test_ssim_is_symmetric_and_negative_where_structure_is_inverted():
    estimate, truth = pair(3, 20, 20)
    assert ssim(estimate, truth) == pytest.approx(ssim(truth, estimate), abs=1e-12)
    assert ssim(1 - truth, truth) < -0.5


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (40, 5)])
def test_ssim_of_less_than_half_a_window_is_no_number(size):
    assert math.isnan(ssim(*pair(3, *size)))


def test_color_differences_of_published_pairs():
    rows = torch.tensor(PAIRS, dtype=torch.float64).T
    for one, other in ((rows[:3], rows[3:6]), (rows[3:6], rows[:3])):
        assert delta_e_2000(one, other).tolist() == pytest.approx(rows[6].tolist(), abs=5e-5)


def test_lab_of_known_colors():
    to_xyz = rgb_to_xyz("srgb")
    rgb = torch.tensor([[1.0, 1, 1], [0, 0, 0], [1, 0, 0], [0.001, 0.001, 0.001]]).double()
    lab = xyz_to_lab((rgb @ to_xyz.T).T, to_xyz.sum(1))
    assert lab[:, 0].tolist() == pytest.approx([100, 0, 0], abs=1e-9)
    assert lab[:, 1].tolist() == pytest.approx([0, 0, 0], abs=1e-9)
    assert lab[:, 2].tolist() == pytest.approx([53.24, 80.09, 67.20], abs=0.01)
    assert lab[:, 3].tolist() == pytest.approx([0.9033, 0, 0], abs=1e-3)
