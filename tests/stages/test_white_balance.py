import pytest
import torch
from torch import nn

from isp_meta.camera import Camera, ColorProfile
from isp_meta.colorimetry import temperature_of_xy, xy_of_temperature, xy_to_xyz
from isp_meta.frame import Frame
from isp_meta.pipeline import Pipeline
from isp_meta.stages import (
    CameraToWorking,
    GrayWorld,
    HighlightCompression,
    HighlightReconstruction,
    WhiteBalance,
    as_shot_gains,
    gray_world,
    white_balance,
)
from isp_meta.stages.camera_profile import neutral_to_xy

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
    with pytest.raises(ValueError, match=r"not \(1, 2, 2\)"):
        white_balance(torch.zeros(1, 2, 2), torch.ones(3))
    with pytest.raises(ValueError, match=r"three for each picture of \(2, 3, 4, 4\), not \(3, 3\)"):
        white_balance(torch.zeros(2, 3, 4, 4), torch.ones(3, 3))
    with pytest.raises(ValueError, match=r"\(4,\)"):
        WhiteBalance([1.0, 1.0, 1.0, 1.0])
    assert repr(WhiteBalance()) == "WhiteBalance(gains=as shot, clip=True)"
    assert repr(WhiteBalance([2.0, 1.0, 1.5])) == "WhiteBalance(gains=[2.0, 1.0, 1.5], clip=True)"


# Color matrices of a GoPro HERO6 for tungsten and D50.
TUNGSTEN = (1.8331, -0.8166, -0.2478, 0.1391, 0.8961, -0.0367, 0.0822, 0.0662, 0.2597)
DAYLIGHT = (1.0344, -0.4210, -0.0620, -0.2315, 1.0625, 0.1948, 0.0093, 0.1058, 0.5541)
HERO6 = Camera(
    as_shot_neutral=(0.522449, 1.0, 0.571429),
    profile=ColorProfile(illuminants=(3, 23), color_matrices=(TUNGSTEN, DAYLIGHT)),
)


@pytest.mark.parametrize(("kelvin", "matrix"), [(2850.0, TUNGSTEN), (5000.0, DAYLIGHT)])
@pytest.mark.parametrize("tint", [0.0, 12.0])
def test_light_of_a_temperature_becomes_gray(kelvin, matrix, tint):
    light = xy_to_xyz(xy_of_temperature(torch.tensor(kelvin), torch.tensor(tint)))
    seen = torch.tensor(matrix, dtype=torch.float64).view(3, 3) @ light
    frame = Frame(HERO6, raw=(0.4 * seen / seen.max()).view(3, 1, 1).expand(3, 2, 2))
    rgb = WhiteBalance(kelvin=kelvin, tint=tint)(frame).rgb
    torch.testing.assert_close(rgb, torch.full_like(rgb, 0.4), rtol=1e-5, atol=0)


@pytest.mark.parametrize("stage", [WhiteBalance(kelvin=3900.0, tint=-8.0), WhiteBalance([2, 1, 3])])
def test_a_chosen_neutral_is_recorded(stage):
    raw = torch.rand(3, 3, 3) * 0.2
    done = stage(Frame(HERO6, raw=raw))
    gains = as_shot_gains(done.camera.neutral)
    torch.testing.assert_close(done.rgb, white_balance(raw, gains), rtol=1e-5, atol=1e-7)
    assert stage.camera_after(HERO6).neutral == done.camera.neutral
    assert WhiteBalance()(done.replace(raw=raw)).camera.neutral is None
    if stage.kelvin is not None:
        xy = torch.tensor(neutral_to_xy(done.camera), dtype=torch.float64)
        assert temperature_of_xy(xy) == pytest.approx((3900, -8), rel=1e-3)


def test_temperature_can_be_learned():
    warm = WhiteBalance(kelvin=4000.0).learn("kelvin")
    warm(Frame(HERO6, raw=torch.full((3, 2, 2), 0.2))).rgb[2].sum().backward()
    assert "kelvin=4000" in repr(warm)
    # Less blue gain is needed the bluer the light is.
    assert warm.kelvin.grad < 0


def test_gray_world():
    raw = torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(0)) * 0.3
    raw = raw * torch.tensor([0.5, 1.0, 0.7]).view(3, 1, 1)
    done = GrayWorld()(Frame(HERO6, raw=raw))
    mean = done.rgb.mean((1, 2))
    torch.testing.assert_close(mean, mean.max().expand(3))
    torch.testing.assert_close(as_shot_gains(done.camera.neutral).float(), gray_world(raw))
    assert float(gray_world(raw).min()) == 1


def test_clipped_pixels_say_nothing_of_the_light():
    raw = torch.tensor([0.2, 0.4, 0.3]).view(3, 1, 1).repeat(1, 4, 4)
    raw[:, 0] = 1.0
    assert gray_world(raw).tolist() == pytest.approx([2.0, 1.0, 4 / 3])
    assert gray_world(torch.ones(3, 2, 2)).tolist() == [1.0] * 3
    assert gray_world(torch.zeros(3, 2, 2)).tolist() == [1.0] * 3
    assert gray_world(torch.tensor([0.5, 0.5, 0.0]).view(3, 1, 1)).isfinite().all()


def test_each_picture_of_a_batch_is_balanced_to_its_own_light():
    light = torch.rand(2, 3, 30, 40, generator=torch.Generator().manual_seed(0)) * 0.9
    light[0, 0] *= 0.4
    light[1, 2] *= 0.5
    pipeline = Pipeline([GrayWorld(clip=False), HighlightReconstruction(), HighlightCompression()])
    together = pipeline(Frame(HERO6, raw=light))
    alone = [pipeline(Frame(HERO6, raw=picture)) for picture in light]
    for neutral, frame in zip(together.camera.neutral, alone, strict=True):
        assert neutral == pytest.approx(frame.camera.neutral, rel=1e-6)
    torch.testing.assert_close(together.rgb, torch.stack([frame.rgb for frame in alone]))
    with pytest.raises(ValueError, match="one light, and this batch was balanced to 2"):
        CameraToWorking()(together)
    assert CameraToWorking().bind(HERO6)(together).rgb.shape == light.shape


def test_gradient_of_gray_world():
    raw = (0.1 + 0.5 * torch.rand(3, 3, 4, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(gray_world, raw)


@pytest.mark.parametrize(
    "stage", [WhiteBalance(), WhiteBalance([1.5, 1.0, 2.0]), WhiteBalance(kelvin=3200.0)]
)
def test_bound(stage):
    raw = 0.2 * torch.rand(3, 4, 4, dtype=torch.float64)
    frame = Frame(HERO6, raw=raw)
    done = stage(frame)
    bound = stage.bind(HERO6)
    assert torch.equal(bound(frame.replace(camera=Camera())).rgb, done.rgb)
    again = WhiteBalance(**stage.arguments())
    assert torch.equal(again(frame).rgb, done.rgb)


def test_refuses_contradictions_and_ranges():
    with pytest.raises(ValueError, match="not both"):
        WhiteBalance([1.0, 1.0, 1.0], kelvin=5000.0)
    with pytest.raises(ValueError, match="kelvin alone"):
        WhiteBalance(tint=5.0)
    with pytest.raises(ValueError, match="1667 to 50000 kelvin"):
        WhiteBalance(kelvin=500.0)
    with pytest.raises(ValueError, match=r"0\.001"):
        WhiteBalance([0.0, 1.0, 1.0])
    assert repr(WhiteBalance(kelvin=5000)) == "WhiteBalance(kelvin=5000, tint=0, clip=True)"
    assert repr(GrayWorld()) == "GrayWorld(clip=True)"
