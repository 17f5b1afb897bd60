import pytest
import torch

from isp_meta.frame import Frame
from isp_meta.stages import Quantize, quantize


@pytest.mark.parametrize("bits", [1, 8, 10, 16])
@pytest.mark.parametrize("requires_grad", [False, True])
def test_the_nearest_of_the_levels(bits, requires_grad):
    top = 2**bits - 1
    srgb = torch.linspace(0, 1, 9973, dtype=torch.float64, requires_grad=requires_grad)
    found = quantize(srgb, bits)
    assert ((found - srgb).abs() <= 0.5 / top + 1e-12).all()
    assert torch.equal(found, (found * top).round() / top)
    assert found.min() == 0
    assert found.max() == 1


def test_all_8_bit_values_stay_bit_for_bit():
    levels = torch.arange(256) / 255
    assert torch.equal(quantize(levels), levels)


def test_gradient_goes_straight_through():
    srgb = torch.rand(3, 4, 5, requires_grad=True)
    weight = torch.rand(3, 4, 5)
    (quantize(srgb, 4) * weight).sum().backward()
    assert torch.equal(srgb.grad, weight)


def test_the_input_is_not_changed():
    srgb = torch.rand(3, 4, 5)
    before = srgb.clone()
    out = Quantize()(Frame(srgb=srgb)).srgb
    assert torch.equal(srgb, before)
    assert torch.equal(out, quantize(before))


@pytest.mark.parametrize("bits", [0, 17])
def test_refuses_other_depths(bits):
    with pytest.raises(ValueError, match=f"not {bits}"):
        Quantize(bits)
    with pytest.raises(ValueError, match=f"not {bits}"):
        quantize(torch.zeros(1), bits)


def test_repr():
    assert repr(Quantize(10)) == "Quantize(bits=10)"
