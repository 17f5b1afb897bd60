import pytest
import torch

from isp_meta.frame import Frame
from isp_meta.stages import Gamma, srgb_decode, srgb_encode


@pytest.mark.parametrize(
    ("linear", "level"),
    [(0.0, 0.0), (0.001, 3.2946), (0.18, 117.6449), (0.5, 187.5160), (1.0, 255.0)],
)
def test_known_levels(linear, level):
    found = srgb_encode(torch.tensor(linear, dtype=torch.float64)) * 255
    assert found.item() == pytest.approx(level, abs=1e-3)


def test_inverse_both_ways_to_the_last_digits():
    x = torch.cat([torch.linspace(0, 1, 10_001), torch.linspace(0.003, 0.0033, 10_001)]).double()
    torch.testing.assert_close(srgb_decode(srgb_encode(x)), x, rtol=0, atol=1e-14)
    v = torch.cat([torch.linspace(0, 1, 10_001), torch.linspace(0.04, 0.041, 10_001)]).double()
    torch.testing.assert_close(srgb_encode(srgb_decode(v)), v, rtol=0, atol=1e-14)


def test_all_8_bit_levels_return_in_float32():
    levels = torch.arange(256) / 255
    returned = (srgb_encode(srgb_decode(levels)) * 255).round()
    assert torch.equal(returned, torch.arange(256).float())


def test_rises_strictly_across_the_joint():
    x = torch.linspace(0.00312, 0.00314, 2001, dtype=torch.float64)
    assert (srgb_encode(x).diff() > 0).all()


@pytest.mark.parametrize("function", [srgb_encode, srgb_decode])
def test_gradient_is_right_and_finite_at_zero_and_below(function):
    x = torch.tensor([0.001, 0.02, 0.3, 1.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, x)
    assert torch.autograd.gradgradcheck(function, x)
    edge = torch.tensor([-0.5, 0.0], requires_grad=True)
    function(edge).sum().backward()
    slope = 12.92 if function is srgb_encode else 1 / 12.92
    assert edge.grad.tolist() == pytest.approx([slope, slope])


def test_stage_confines():
    rgb = torch.tensor([-0.5, 0.5, 1.5]).view(3, 1, 1)
    srgb = Gamma()(Frame(rgb=rgb)).srgb
    assert srgb.flatten().tolist() == pytest.approx([0.0, 0.7354, 1.0], abs=1e-4)
    assert repr(Gamma()) == "Gamma()"
