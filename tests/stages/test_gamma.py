import pytest
import torch

from isp_meta.colorimetry import TRANSFERS
from isp_meta.frame import Frame
from isp_meta.stages import Gamma, decode, encode, srgb_decode, srgb_encode


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


@pytest.mark.parametrize(
    ("transfer", "linear", "encoded"),
    [
        ("rec709", 0.01, 0.045),
        ("rec709", 0.18, 0.408848),
        ("gamma2.2", 0.5, 0.729740),
        ("prophoto", 0.001, 0.016),
        ("prophoto", 0.18, 0.385711),
        ("linear", 0.3, 0.3),
    ],
)
def test_known_values_of_other_transfer_functions(transfer, linear, encoded):
    found = encode(torch.tensor(linear, dtype=torch.float64), transfer)
    assert found.item() == pytest.approx(encoded, abs=1e-6)
    assert decode(found, transfer).item() == pytest.approx(linear, abs=1e-12)


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_the_stage_encodes(transfer):
    rgb = torch.cat([torch.linspace(0, 1, 500), torch.linspace(0, 0.01, 100)]).double()
    frame = Frame(rgb=rgb.view(3, 10, 20))
    done = Gamma(transfer)(frame)
    assert torch.equal(done.srgb, encode(frame.rgb, transfer))
    torch.testing.assert_close(decode(done.srgb, transfer), frame.rgb, rtol=0, atol=1e-12)
    single = frame.rgb.float()
    returned = decode(encode(single, transfer), transfer)
    torch.testing.assert_close(returned, single, rtol=0, atol=1e-6)


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_gradients_are_finite_everywhere(transfer):
    edge = torch.tensor([-1.0, 0.0, 1e-12, 1e-4, 1.0], requires_grad=True)
    (encode(edge, transfer).sum() + decode(edge, transfer).sum()).backward()
    assert edge.grad.isfinite().all()


@pytest.mark.parametrize(
    ("space", "transfer"), [("srgb", "srgb"), ("display-p3", "srgb"), ("rec2020", "rec709")]
)
def test_a_space_brings_its_own_transfer_function(space, transfer):
    rgb = torch.linspace(0, 1, 30).view(3, 2, 5)
    done = Gamma()(Frame(rgb=rgb, space=space))
    assert torch.equal(done.srgb, encode(rgb, transfer))


def test_unknown_transfer_function():
    with pytest.raises(ValueError, match="'log'"):
        Gamma("log")
    with pytest.raises(ValueError, match="'log'"):
        encode(torch.zeros(1), "log")
    assert repr(Gamma("rec709")) == "Gamma(transfer='rec709')"
