import pytest
import torch
from torch import nn

from isp_meta.camera import Camera, ColorProfile
from isp_meta.frame import Frame
from isp_meta.stages import Exposure, exposure

LIGHT = torch.linspace(0, 1, 1001, dtype=torch.float64)


def stops(value):
    return torch.tensor(value, dtype=torch.float64)


def test_a_stop_is_a_factor_of_two():
    assert torch.equal(exposure(LIGHT, stops(1.0)), 2 * LIGHT)
    assert torch.equal(exposure(LIGHT, stops(-2.0)), LIGHT / 4)


@pytest.mark.parametrize("value", [-4.0, -1.0, -0.01, 0.0, 0.01, 1.0, 4.0])
def test_the_shoulder_keeps_black_and_white_and_the_slope_of_shadows(value):
    found = exposure(LIGHT, stops(value), shoulder=True)
    assert found[[0, -1]].tolist() == pytest.approx([0, 1], abs=1e-12)
    assert (found.diff() > 0).all()
    dark = LIGHT[:10]
    torch.testing.assert_close(found[:10], dark * 2**value, rtol=1e-12, atol=0)
    # One curvature: no bump where line and parabola meet.
    bend = found.diff().diff() * (1 if value <= 0 else -1)
    assert (bend > -1e-12).all()


@pytest.mark.parametrize("value", [-5.0, -0.3, 0.0, 0.3, 5.0])
@pytest.mark.parametrize("shoulder", [False, True])
def test_undone_by_the_opposite(value, shoulder):
    there = exposure(LIGHT, stops(value), shoulder)
    torch.testing.assert_close(exposure(there, stops(-value), shoulder), LIGHT, rtol=0, atol=1e-12)


def test_known_values_of_the_shoulder():
    # k = 1/2, a = 16/9 (1 - k) = 8/9: at 0.75, 0.375 + 8/9 / 4.
    found = exposure(stops([0.25, 0.75]), stops(-1.0), shoulder=True)
    assert found.tolist() == pytest.approx([0.125, 0.375 + 2 / 9])


def test_the_stage_takes_the_profile_s_stops():
    frame = Frame(Camera(profile=ColorProfile(exposure=0.5)), rgb=torch.full((3, 2, 2), 0.25))
    stage = Exposure()
    torch.testing.assert_close(stage(frame).rgb, frame.rgb * 2**0.5)
    bound = stage.bind(frame.camera)
    assert torch.equal(bound(frame.replace(camera=Camera())).rgb, stage(frame).rgb)
    assert torch.equal(stage(Frame(rgb=frame.rgb)).rgb, frame.rgb)


def test_clipping_can_be_left_out():
    frame = Frame(rgb=torch.full((3, 1, 1), 0.75))
    assert Exposure(1.0)(frame).rgb.flatten().tolist() == [1.0] * 3
    assert Exposure(1.0, clip=False)(frame).rgb.flatten().tolist() == [1.5] * 3


@pytest.mark.parametrize("value", [-1.3, 0.0, 0.7])
def test_gradients(value):
    rgb = torch.tensor([0.05, 0.4, 0.9], dtype=torch.float64, requires_grad=True)
    by = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(exposure, (rgb, by))
    if value:
        assert torch.autograd.gradcheck(lambda r, s: exposure(r, s, True), (rgb, by))
    exposure(rgb, by, True).sum().backward()
    assert by.grad.isfinite()
    assert by.grad > 0.1


def test_stops_are_learned_and_bounded():
    stage = Exposure(nn.Parameter(torch.tensor(0.0)))
    (parameter,) = stage.parameters()
    assert "stops=0" in repr(stage)
    assert parameter.shape == ()
    with pytest.raises(ValueError, match="-16 to 16 stops"):
        Exposure(20.0)
    assert repr(Exposure()) == "Exposure(stops=camera, shoulder=False, clip=True)"
    assert repr(Exposure(0.5)) == "Exposure(stops=0.5, shoulder=False, clip=True)"
