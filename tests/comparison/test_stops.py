import pytest
import torch

from isp_meta.comparison import stops


def noisy(height, width, deviation, seed=0):
    return deviation * torch.randn(1, height, width, generator=torch.Generator().manual_seed(seed))


def test_error_and_grain_of_each_stop():
    """A bright and a dark half, each with noise of its own and an error of its own."""
    level = torch.full((1, 128, 256), 0.75)
    level[..., 128:] = 0.75 / 16
    noise = noisy(128, 256, 1.0) * torch.where(level > 0.5, 0.01, 0.001)
    error = noisy(128, 256, 1.0, seed=1) * torch.where(level > 0.5, 0.02, 0.003)
    bright, dark = stops(level + noise + error, level + noise)
    assert (bright.below, dark.below) == (0, 4)
    assert bright.share + dark.share == pytest.approx(1)
    assert bright.error == pytest.approx(0.02, rel=0.02)
    assert dark.error == pytest.approx(0.003, rel=0.02)
    assert bright.grain == pytest.approx(0.01, rel=0.05)
    assert dark.grain == pytest.approx(0.001, rel=0.05)
    assert bright.mottle == pytest.approx(0.02 / 8, rel=0.15)
    assert dark.mottle == pytest.approx(0.003 / 8, rel=0.15)


def test_what_is_off_in_patches_mottles():
    level = torch.full((1, 512, 512), 0.6)
    patches = noisy(32, 32, 0.01).repeat_interleave(16, 1).repeat_interleave(16, 2)
    # Squares begin a pixel of a plane from its border.
    (only,) = stops(level + patches.roll((2, 2), (1, 2)), level)
    assert only.mottle == pytest.approx(only.error, rel=0.1)
    (only,) = stops(torch.full((1, 24, 24), 0.61), torch.full((1, 24, 24), 0.6))
    assert (only.mottle, only.error) == (None, pytest.approx(0.01, rel=1e-3))


@pytest.mark.parametrize(("period", "channels"), [(1, 1), (1, 3), (4, 1), (6, 1)])
def test_each_place_of_any_pattern_is_by_itself(period, channels):
    """Colors that differ are no grain."""
    place = torch.arange(period).view(-1, 1) * period + torch.arange(period)
    colors = 0.6 + 0.3 * place.remainder(3).repeat(192 // period, 192 // period) / 2
    level = colors + torch.linspace(0, 0.05, channels).view(-1, 1, 1)
    noise, error = (0.01 * torch.randn_like(level) for _ in range(2))
    (only,) = stops(level + noise + error, level + noise, period)
    assert only.grain == pytest.approx(0.01, rel=0.1)
    assert only.error == pytest.approx(0.01, rel=0.1)
    assert only.share == 1


def test_edges_are_no_grain():
    level = torch.full((1, 64, 64), 0.9)
    level[:, :, 20:40] = 0.6
    (only,) = stops(level, level)
    assert (only.error, only.grain) == (0, 0)


def test_powers_of_two_and_black():
    levels = torch.tensor([1.0, 0.5, 0.25, 2**-20, 0.0]).repeat_interleave(64).expand(1, 64, -1)
    found = stops(levels, levels)
    assert [stop.below for stop in found] == [0, 1]  # too dark to tell of, and black
    # Each plane has 160 columns, 32 of a level, and leaves one out at either border.
    assert [stop.share for stop in found] == pytest.approx([63 / 158, 32 / 158])


@pytest.mark.parametrize("size", [(1, 1), (5, 400), (6, 6)])
def test_of_a_few_pixels_nothing_is_told(size):
    level = torch.full((1, *size), 0.5)
    assert stops(level, level) == ()


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(1, 8, 8\) and \(1, 8, 9\)"):
        stops(torch.zeros(1, 8, 8), torch.zeros(1, 8, 9))
