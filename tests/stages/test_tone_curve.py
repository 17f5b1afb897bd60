import numpy as np
import pytest
import torch
from torch import nn

from isp_meta.frame import Frame
from isp_meta.stages import ToneCurve, filmic, tone_curve

PAIRS = [(0.0, 0.0), (0.1, 0.05), (0.5, 0.7), (1.0, 1.0)]


def picture(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_agrees_with_numpy_interp_also_beyond_the_ends():
    rgb = picture(2, 3, 7, 5) * 1.4 - 0.2
    x, y = torch.tensor(PAIRS, dtype=torch.float64).T
    expected = np.interp(rgb.numpy(), x.numpy(), y.numpy())
    np.testing.assert_allclose(tone_curve(rgb, y, x).numpy(), expected, atol=1e-15)
    uniform = torch.tensor([0.0, 0.4, 0.9, 1.0], dtype=torch.float64)
    expected = np.interp(rgb.numpy(), np.linspace(0, 1, 4), uniform.numpy())
    np.testing.assert_allclose(tone_curve(rgb, uniform).numpy(), expected, atol=1e-15)


@pytest.mark.parametrize("shape", [(), (6,), (2, 3), (3, 2, 4)])
def test_any_shape(shape):
    rgb = picture(*shape)
    found = tone_curve(rgb, torch.tensor([0.0, 0.8, 1.0]))
    assert found.shape == shape
    assert found.dtype == torch.float64


def test_knots_are_hit_exactly():
    stage = ToneCurve(PAIRS)
    x, y = stage.points()
    found = stage(Frame(rgb=x.view(1, 1, -1).expand(3, 1, -1))).rgb
    assert torch.equal(found[1, 0], y)


def test_the_default_is_the_identity():
    rgb = picture(3, 4, 5)
    assert torch.equal(ToneCurve()(Frame(rgb=rgb)).rgb, rgb)


@pytest.mark.parametrize(
    "curve", [ToneCurve(PAIRS), ToneCurve.filmic(), ToneCurve([0.0, 0.9, 1.0])]
)
def test_inverse_both_ways(curve):
    frame = Frame(rgb=picture(3, 20, 20))
    inverse = curve.inverse()
    torch.testing.assert_close(inverse(curve(frame)).rgb, frame.rgb, rtol=0, atol=1e-12)
    torch.testing.assert_close(curve(inverse(frame)).rgb, frame.rgb, rtol=0, atol=1e-12)


def test_gradient_of_input_positions_and_heights():
    rgb = torch.tensor([0.03, 0.2, 0.44, 0.77, 0.9], dtype=torch.float64, requires_grad=True)
    x, y = torch.tensor(PAIRS, dtype=torch.float64).T.clone().requires_grad_().unbind()
    assert torch.autograd.gradcheck(tone_curve, (rgb, y, x))
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    tone_curve(ends, y.detach(), x.detach()).sum().backward()
    assert ends.grad.tolist() == pytest.approx([0.5, 0.6])


def test_knots_can_be_learned():
    target = ToneCurve.filmic(knots=9)
    stage = ToneCurve(nn.Parameter(torch.linspace(0, 1, 9)))
    frame = Frame(rgb=picture(3, 16, 16).float())
    optimizer = torch.optim.Adam(stage.parameters(), lr=0.02)
    first = None
    for _ in range(100):
        optimizer.zero_grad()
        loss = (stage(frame).rgb - target(frame).rgb).square().mean()
        loss.backward()
        optimizer.step()
        first = loss.item() if first is None else first
    assert loss.item() < 1e-3 * first


def test_filmic_is_an_s_from_black_to_white():
    x = torch.linspace(0, 1, 4097, dtype=torch.float64)
    y = filmic(x)
    assert y[0] == 0
    assert y[-1] == 1
    assert (y.diff() > 0).all()
    assert filmic(torch.tensor(0.18)).item() == pytest.approx(0.332, abs=1e-3)
    bend = y.diff().diff()
    assert bend[0] > 0 > bend[-1]
    assert (bend.sign().diff() != 0).sum() == 1
    assert (filmic(x, exposure=2.0)[1:-1] > y[1:-1]).all()


def test_1025_knots_follow_filmic_within_half_a_level_of_14_bits():
    x = torch.linspace(0, 1, 50_001, dtype=torch.float64)
    found = ToneCurve.filmic()(Frame(rgb=x.expand(3, 1, -1))).rgb[0, 0]
    assert (found - filmic(x)).abs().max() < 0.5 / 16383


def test_a_level_stretch_is_a_curve_without_inverse():
    clipped = ToneCurve([(0.0, 0.0), (0.8, 1.0), (1.0, 1.0)])
    with pytest.raises(ValueError, match="no inverse"):
        clipped.inverse()


@pytest.mark.parametrize(
    "knots", [[0.5], [[0.0, 0.0]], torch.zeros(3, 4), torch.tensor(0.5), torch.zeros(2, 2, 2)]
)
def test_refuses_other_shapes(knots):
    with pytest.raises(ValueError, match="K >= 2"):
        ToneCurve(knots)


@pytest.mark.parametrize(
    "knots",
    [[0.0, 0.6, 0.5, 1.0], [(0.0, 0.0), (0.0, 0.5), (1.0, 1.0)], [float("nan"), 1.0]],
)
def test_refuses_what_does_not_rise(knots):
    with pytest.raises(ValueError, match="rise"):
        ToneCurve(knots)


def test_refuses_positions_that_do_not_fit():
    with pytest.raises(ValueError, match="as many positions"):
        tone_curve(torch.rand(3), torch.linspace(0, 1, 4), torch.linspace(0, 1, 5))


def test_repr():
    assert repr(ToneCurve.filmic()) == "ToneCurve(1025 uniform knots)"
    assert repr(ToneCurve(PAIRS)) == "ToneCurve(4 free knots)"
