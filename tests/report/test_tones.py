import pytest
import torch

from isp_meta import presets
from isp_meta.comparison import linear_light
from isp_meta.report.tones import MOST_LIGHT, Tones
from isp_meta.stages import srgb_encode


def ramp(most=1.0):
    return torch.linspace(0, most, 4096).view(1, 64, 64).expand(3, -1, -1).contiguous()


@pytest.mark.parametrize("gain", [0.5, 1.0, 3.0])
def test_a_gain_is_found(gain):
    light = ramp(1 / gain)
    shown = Tones.between(light, srgb_encode(light * gain))(light)
    assert torch.allclose(shown, light * gain, atol=2e-3)


def test_a_tone_curve_is_found_and_goes_on_beyond_white():
    light = ramp(2.0)
    picture = (0.8 * light.sqrt()).clamp(max=1)
    tones = Tones.between(light, srgb_encode(picture))
    shown = tones(light)
    inside = (picture < 0.9) & (picture > 0.1)
    assert float((shown - picture).abs()[inside].max()) < 5e-3
    beyond = shown[0].flatten()[light[0].flatten() > 1.6]
    assert bool((beyond.diff() > 0).all())
    assert float(beyond.min()) > 1


def test_dark_noise_is_not_amplified():
    light = ramp(0.02)
    generator = torch.Generator().manual_seed(0)
    noisy = light + 0.004 * torch.randn(light.shape, generator=generator)
    tones = Tones.between(noisy, srgb_encode(light))
    dark = torch.linspace(0, 0.002, 64).expand(3, 1, 64)
    assert float(tones(dark).max()) < 2 * 0.002


@pytest.mark.parametrize("light", [0.0, 0.3, 1e6])
@pytest.mark.parametrize("picture", [0.0, 0.5, 1.0])
def test_one_pixel_is_no_reason_to_fail(light, picture):
    pixel = torch.full((3, 1, 1), light)
    shown = Tones.between(pixel, torch.full((3, 1, 1), picture))(pixel)
    assert shown.shape == (3, 1, 1)
    assert 0 <= float(shown.min()) <= float(shown.max()) <= MOST_LIGHT


def test_colors_outside_the_display_come_inside():
    light = torch.tensor([[-0.2, 3.0], [0.5, 2.0], [0.1, -0.1]]).view(3, 1, 2)
    assert float(Tones.between(ramp(), srgb_encode(ramp()))(light).min()) >= 0


def test_the_minimal_pipeline_is_followed(make_frame):
    frame = presets.minimal()(make_frame(96, 128))
    light = linear_light(frame)
    tones = Tones.between(light, frame.srgb)
    inside = (frame.srgb.amax(0) < 0.95) & (frame.srgb.amin(0) > 0.1)
    error = srgb_encode(tones(light).clamp(0, 1)) - frame.srgb
    assert float(error.abs()[:, inside].mean()) < 0.01
