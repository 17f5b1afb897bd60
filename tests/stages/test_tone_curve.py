import colorsys

import numpy as np
import pytest
import torch
from torch import nn

from isp_meta.camera import Camera, ColorProfile
from isp_meta.frame import Frame
from isp_meta.stages import ToneCurve, filmic, tone_curve
from isp_meta.stages.tone_curve import profile_curve

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
    with pytest.raises(ValueError, match=r"rise|finite"):
        ToneCurve(knots)
    with pytest.raises(ValueError, match=r"rise|finite"):
        ToneCurve(default=knots)


def test_refuses_positions_that_do_not_fit():
    with pytest.raises(ValueError, match="as many positions"):
        tone_curve(torch.rand(3), torch.linspace(0, 1, 4), torch.linspace(0, 1, 5))


def with_curve(points):
    return Camera(profile=ColorProfile(tone_curve=torch.tensor(points)))


def test_the_camera_s_curve_is_a_spline_through_its_points():
    points = [(0.0, 0.0), (0.25, 0.4), (0.5, 0.7), (0.75, 0.9), (1.0, 1.0)]
    curve = profile_curve(with_curve(points).profile)
    assert curve[::1024].tolist() == pytest.approx([y for _, y in points])
    assert (curve.diff() > 0).all()
    # Natural: no bend at the ends; and round between points, where lines would have corners.
    bend = curve.diff().diff() * 4096**2
    assert abs(float(bend[0])) < 0.05 * float(bend.abs().max())
    assert float(bend.diff().abs().max()) < 0.05 * float(bend.abs().max())
    straight = profile_curve(with_curve([(0.0, 0.0), (1.0, 1.0)]).profile)
    torch.testing.assert_close(straight, torch.linspace(0, 1, 4097).double())


def test_a_spline_that_swings_is_kept_monotone():
    steep = [(0.0, 0.0), (0.4, 0.01), (0.45, 0.98), (0.5, 0.99), (1.0, 1.0)]
    curve = profile_curve(with_curve(steep).profile)
    assert (curve.diff() >= 0).all()
    assert curve[0] == 0
    assert curve.max() <= 1


def test_the_camera_s_curve_or_a_default():
    camera = with_curve([(0.0, 0.0), (0.3, 0.5), (1.0, 1.0)])
    rgb = picture(3, 4, 5)
    expected = tone_curve(rgb, profile_curve(camera.profile))
    assert torch.equal(ToneCurve()(Frame(camera, rgb=rgb)).rgb, expected)
    assert torch.equal(ToneCurve().bind(camera)(Frame(rgb=rgb)).rgb, expected)
    fallen_back = ToneCurve.of_camera("channel")(Frame(rgb=rgb)).rgb
    assert torch.equal(fallen_back, ToneCurve.filmic()(Frame(rgb=rgb)).rgb)
    assert torch.equal(ToneCurve().bind(Camera())(Frame(rgb=rgb)).rgb, rgb)


def test_hue_mode_moves_the_middle_channel_between_the_others():
    rgb = picture(2, 3, 6, 7)
    found = tone_curve(rgb, torch.tensor([0.0, 0.5, 0.8, 1.0]), mode="hue")
    pixels = (batch.movedim(1, -1).reshape(-1, 3) for batch in (rgb, found))
    for before, after in zip(*pixels, strict=True):
        ends = before.aminmax()
        expected = [np.interp(float(v), [0, 1 / 3, 2 / 3, 1], [0, 0.5, 0.8, 1]) for v in ends]
        assert [float(v) for v in after.aminmax()] == pytest.approx(expected, abs=1e-7)
        hues = [colorsys.rgb_to_hsv(*color.tolist())[0] for color in (before, after)]
        assert hues[0] == pytest.approx(hues[1], abs=1e-7)


def test_hue_mode_has_gradients_also_at_gray():
    rgb = (0.05 + 0.9 * picture(3, 2, 3)).requires_grad_()
    y = torch.tensor([0.0, 0.5, 0.8, 1.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda r, k: tone_curve(r, k, mode="hue"), (rgb, y))
    gray = torch.tensor([0.0, 0.4, 1.0]).expand(3, 1, 3).clone().requires_grad_()
    tone_curve(gray, y.detach(), mode="hue").sum().backward()
    assert gray.grad.isfinite().all()
    with pytest.raises(ValueError, match="takes"):
        tone_curve(torch.rand(2, 2), y.detach(), mode="hue")
    with pytest.raises(ValueError, match="'luma'"):
        ToneCurve(mode="luma")


def test_a_stage_is_made_again_from_its_arguments():
    for stage in (ToneCurve(PAIRS, "hue"), ToneCurve.of_camera(), ToneCurve.filmic(knots=9)):
        again = ToneCurve(**stage.arguments())
        rgb = picture(3, 3, 3)
        assert torch.equal(again(Frame(rgb=rgb)).rgb, stage(Frame(rgb=rgb)).rgb)


def test_repr():
    assert repr(ToneCurve()) == "ToneCurve(camera)"
    assert repr(ToneCurve.filmic()) == "ToneCurve(1025 uniform knots)"
    assert repr(ToneCurve(PAIRS)) == "ToneCurve(4 free knots)"
