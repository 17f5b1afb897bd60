"""The guesses of missing bits from the picture alone."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from isp_meta.baselines import blind
from isp_meta.baselines.blind import BLIND

# The package's name acdc is the function.
acdc_module = importlib.import_module("isp_meta.baselines.blind.acdc")

every_method = pytest.mark.parametrize("method", BLIND.values(), ids=BLIND)
INTERPOLATING = [blind.contour_reconstruction, blind.content_adaptive, blind.acdc]


@pytest.fixture
def smooth():
    """(3, 70, 90) 8-bit codes of a smooth picture with an edge."""
    y, x = torch.meshgrid(torch.arange(70.0), torch.arange(90.0), indexing="ij")
    waves = [torch.sin(x / a) + torch.cos(y / b) for a, b in ((19, 23), (31, 17), (27, 29))]
    picture = 128 + 45 * torch.stack(waves)
    picture[:, 20:40, 30:60] /= 2
    return picture.long()


@pytest.mark.parametrize(
    ("method", "codes"),
    [
        (blind.zero_padding, [0, 80, 240]),
        (blind.bit_replication, [0, 85, 255]),
        (blind.ideal_gain, [0, 85, 255]),
        (blind.bin_middle, [8, 88, 248]),
    ],
)
def test_four_bits_to_eight_by_hand(method, codes):
    assert method(torch.tensor([[[0, 5, 15]]]), 4, 8).tolist() == [[codes]]


def test_replicated_bits_are_cut_off_where_they_do_not_fit():
    # 101 -> 10110110, and 011 -> 01101
    assert blind.bit_replication(torch.tensor([[[0b101]]]), 3, 8).item() == 0b10110110
    assert blind.bit_replication(torch.tensor([[[0b011]]]), 3, 5).item() == 0b01101


def test_the_ideal_gain_rounds_to_nearest():
    gained = blind.ideal_gain(torch.arange(8)[None, None], 3, 8)[0, 0]
    assert gained.tolist() == [round(q * 255 / 7) for q in range(8)]


@every_method
@pytest.mark.parametrize(("bits", "true_bits"), [(1, 8), (1, 2), (3, 8), (7, 8), (8, 16), (15, 16)])
def test_results_are_codes_of_the_true_depth(method, bits, true_bits):
    generator = torch.Generator().manual_seed(bits)
    codes = torch.randint(2**bits, (3, 21, 34), generator=generator)
    kept = codes.clone()
    result = method(codes, bits, true_bits)
    assert result.dtype == torch.int64
    assert result.shape == codes.shape
    assert result.min() >= 0
    assert result.max() < 2**true_bits
    assert torch.equal(codes, kept)
    assert torch.equal(result, method(codes.int(), bits, true_bits))
    if method is not blind.ideal_gain:
        assert torch.equal(result >> (true_bits - bits), codes)


@every_method
@pytest.mark.parametrize("bits", range(1, 16))
def test_nothing_is_missing_at_the_true_depth(method, bits):
    codes = torch.randint(2**bits, (3, 5, 7), generator=torch.Generator().manual_seed(bits))
    assert torch.equal(method(codes, bits, bits), codes)


@every_method
@pytest.mark.parametrize("size", [(1, 1), (1, 70), (70, 1), (2, 3), (65, 130)])
def test_any_size(method, size):
    codes = torch.randint(16, (1, *size), generator=torch.Generator().manual_seed(1))
    assert method(codes, 4, 8).shape == (1, *size)


@pytest.mark.parametrize("method", INTERPOLATING)
def test_a_constant_picture_stays_in_the_middle_of_its_bin(method):
    codes = torch.full((3, 40, 90), 5)
    assert torch.equal(method(codes, 4, 8), blind.bin_middle(codes, 4, 8))


@pytest.mark.parametrize("method", [blind.contour_reconstruction, blind.content_adaptive])
@pytest.mark.parametrize("turn", [False, True])
def test_contours_recover_a_ramp(method, turn):
    true = torch.arange(256).expand(1, 12, 256)
    true = true.mT if turn else true
    error = (method(true >> 4, 4, 8) - true).abs()
    between = (true >= 16) & (true < 240)
    assert error[between].max() <= 1


def test_a_virtual_skeleton_makes_peaks_and_pits_round():
    levels = torch.tensor([3] * 4 + [4] * 5 + [3] * 4)
    codes = levels.expand(1, 9, 13)
    flat = blind.contour_reconstruction(codes, 4, 8)[0, 4]
    round_ = blind.content_adaptive(codes, 4, 8)[0, 4]
    assert flat[4:9].tolist() == [64] * 5
    # (1, 2, 3 from the contour) / 3 of half a step of 15
    assert round_[4:9].tolist() == [67, 69, 72, 69, 67]
    pit = blind.content_adaptive(7 - codes, 4, 8)[0, 4]
    assert pit[4:9].tolist() == [48 + 15 - low for low in (2, 5, 7, 5, 2)]


def test_an_edge_of_several_levels_is_no_contour():
    codes = torch.tensor([0] * 5 + [7] * 5).expand(1, 6, 10)
    for method in (blind.contour_reconstruction, blind.content_adaptive):
        assert torch.equal(method(codes, 4, 8), blind.bin_middle(codes, 4, 8))


def test_distances_run_inside_a_region():
    # A wall of 9 between two lanes of 4: the way from the 5 leads around its end.
    codes = torch.tensor([[5, 4, 9, 4, 3], [4, 4, 9, 4, 4], [4, 4, 4, 4, 4]])[None]
    d_up, d_down = 3 * 2**0.5 + 1, 1
    ratio = d_down / (d_down + d_up)
    low = blind.contour_reconstruction(codes, 4, 16)[0, 0, 3] - (4 << 12)
    assert low == int(ratio * 4095 + 0.5)


@pytest.mark.parametrize(("method", "part"), [(blind.content_adaptive, 0.4), (blind.acdc, 0.7)])
def test_smooth_pictures_come_nearer_than_the_middles_of_bins(method, part, smooth):
    def error(codes):
        return (codes - smooth).double().square().mean()

    assert error(method(smooth >> 4, 4, 8)) < part * error(blind.bin_middle(smooth >> 4, 4, 8))


def test_acdc_is_the_likeliest_ac_with_the_middle_dc(monkeypatch):
    """Against its two steps, solved by a general method on a picture of eight pixels."""
    monkeypatch.setattr(acdc_module, "_VARIANCE", 1.5)
    monkeypatch.setattr(acdc_module, "_STEPS", 200)
    monkeypatch.setattr(acdc_module, "_LAST_STEPS", 400)
    monkeypatch.setattr(acdc_module, "_HALVINGS", 14)
    codes = torch.tensor([[2, 2, 3, 3, 6, 6, 5, 5]])
    y = codes[0].numpy() + 0.5
    joined = np.abs(np.diff(y)) <= 1

    def energy(z):
        # min_{x_A, t, s} xᵀ L x / σ² + (t - s)² / 2, s <= x_A - y <= t
        x, t, s = z[:-2], z[-2], z[-1]
        return (joined * np.diff(x) ** 2).sum() / 1.5 + (t - s) ** 2 / 2

    inside = [
        {"type": "ineq", "fun": lambda z: z[-2] - (z[:-2] - y)},
        {"type": "ineq", "fun": lambda z: (z[:-2] - y) - z[-1]},
        {"type": "ineq", "fun": lambda z: 1 - z[-2] + z[-1]},
    ]
    start = np.concatenate((y, [0.1, -0.1]))
    found = minimize(energy, start, constraints=inside, options={"ftol": 1e-14, "maxiter": 500})
    assert found.success
    x_a = found.x[:-2]
    x_d = -((x_a - y).max() + (x_a - y).min()) / 2
    solved = (blind.acdc(codes[None], 4, 20)[0, 0].double() + 0.5) / 2**16
    # Parts that no edge joins may differ in their own DC: only what is smoothed is told.
    e_steps, e_ours = x_a + x_d - y, solved.numpy() - y
    assert np.abs(e_ours).max() == pytest.approx(np.abs(e_steps).max(), abs=2e-3)
    np.testing.assert_allclose(np.diff(e_ours[:4]), np.diff(e_steps[:4]), atol=4e-3)
    assert np.abs(e_ours).max() > 0.05


def test_acdc_needs_no_seams():
    codes = (torch.arange(200) // 25).expand(1, 130, 200)
    steps = blind.acdc(codes, 4, 8)[0].diff(dim=0)
    assert steps.abs().max() <= 1


@every_method
def test_wrong_arguments(method):
    codes = torch.zeros((1, 2, 2), dtype=torch.long)
    with pytest.raises(ValueError, match="true_bits"):
        method(codes, 8, 4)
    with pytest.raises(ValueError, match="true_bits"):
        method(codes, 0, 4)
    with pytest.raises(ValueError, match="beyond 4 bits"):
        method(codes + 16, 4, 8)
    with pytest.raises(ValueError, match="beyond 4 bits"):
        method(codes - 1, 4, 8)
    with pytest.raises(ValueError, match="C, H, W"):
        method(codes[0], 4, 8)
    with pytest.raises(TypeError, match="integers"):
        method(codes.float(), 4, 8)
