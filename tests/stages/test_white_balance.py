import pytest
import torch
from torch import nn

from isp_meta.camera import Camera
from isp_meta.frame import Frame
from isp_meta.stages import WhiteBalance, as_shot_gains, white_balance

NEUTRAL = (0.5, 1.0, 0.625)


def test_as_shot_gains_leave_no_channel_below_white():
    assert as_shot_gains(NEUTRAL).tolist() == [2.0, 1.0, 1.6]
    assert as_shot_gains((1.0, 0.5, 0.8)).tolist() == [1.0, 2.0, 1.25]


def test_a_neutral_object_becomes_gray_and_saturation_white():
    neutral = torch.tensor(NEUTRAL).view(3, 1, 1).expand(3, 2, 2) * 0.5
    frame = Frame(Camera(as_shot_neutral=NEUTRAL), raw=neutral)
    torch.testing.assert_close(WhiteBalance()(frame).rgb, torch.full((3, 2, 2), 0.5))
    saturated = frame.replace(raw=torch.ones(3, 2, 2))
    assert torch.equal(WhiteBalance()(saturated).rgb, torch.ones(3, 2, 2))


def test_without_clip_highlights_stay_above_one():
    frame = Frame(Camera(as_shot_neutral=NEUTRAL), raw=torch.ones(3, 1, 1))
    rgb = WhiteBalance(clip=False)(frame).rgb
    assert rgb.flatten().tolist() == pytest.approx([2.0, 1.0, 1.6])


def test_given_gains_replace_the_camera_s():
    stage = WhiteBalance([1.5, 1.0, 2.0])
    rgb = stage(Frame(Camera(as_shot_neutral=NEUTRAL), raw=torch.full((3, 1, 1), 0.25))).rgb
    assert rgb.flatten().tolist() == [0.375, 0.25, 0.5]
    assert list(stage.state_dict()) == ["gains"]
    assert list(stage.parameters()) == []


def test_a_parameter_is_learned():
    stage = WhiteBalance(nn.Parameter(torch.ones(3)))
    (gains,) = stage.parameters()
    stage(Frame(raw=torch.full((3, 2, 2), 0.5))).rgb.sum().backward()
    assert gains.grad.tolist() == [2.0, 2.0, 2.0]


def test_gradient_of_both_arguments():
    raw = (torch.rand(2, 3, 3, 4, dtype=torch.float64) * 0.4).requires_grad_()
    gains = torch.tensor([1.5, 1.0, 2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(white_balance, (raw, gains))


def test_refusals_and_repr():
    with pytest.raises(ValueError, match=r"not \(1, 2, 2\) and \(3,\)"):
        white_balance(torch.zeros(1, 2, 2), torch.ones(3))
    with pytest.raises(ValueError, match=r"\(4,\)"):
        WhiteBalance([1.0, 1.0, 1.0, 1.0])
    assert repr(WhiteBalance()) == "WhiteBalance(gains=as shot, clip=True)"
    assert repr(WhiteBalance([2.0, 1.0, 1.5])) == "WhiteBalance(gains=[2.0, 1.0, 1.5], clip=True)"
