import pytest
import torch
from torch import nn
from torch.export import Dim, export

from isp_meta.camera import Camera
from isp_meta.frame import Frame
from isp_meta.stages import HighlightCompression, HighlightReconstruction, compress_highlights
from isp_meta.stages.highlights import (
    reconstruct_highlights,
    saturation_level,
    smoothstep,
)

NEUTRAL = (0.5, 1.0, 0.625)
GAINS = torch.tensor([2.0, 1.0, 1.6], dtype=torch.float64)


def ramp(color, height=48, width=96, brightest=1.5):
    """A surface of one color in ever brighter light: as it is, and as the sensor saw it."""
    light = torch.linspace(0.3, brightest, width, dtype=torch.float64).expand(height, width)
    true = torch.tensor(color, dtype=torch.float64).view(3, 1, 1) * light
    gains = GAINS.view(3, 1, 1)
    return true, (true / gains).clamp(max=1) * gains


def test_smoothstep_meets_its_ends_from_either_side():
    x = torch.tensor([-1.0, 0.0, 0.5, 1.0, 2.0])
    assert smoothstep(x).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert smoothstep(-4 * x, 0.0, -4.0).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]


@pytest.mark.parametrize("color", [(1.0, 1.0, 1.0), (0.8, 1.0, 1.1), (1.1, 1.0, 0.8)])
def test_a_saturated_channel_follows_the_others(color):
    true, seen = ramp(color)
    restored = reconstruct_highlights(seen, GAINS, torch.ones(3))
    error = ((restored - true) / true).abs()
    assert float(((seen - true) / true).abs().max()) > 0.3
    assert float(error.max()) < 0.15  # the color fades already
    assert float(error.mean()) < 0.02


def test_light_that_burns_every_channel_becomes_white():
    _, seen = ramp((1.0, 0.7, 0.9), brightest=4.0)
    restored = reconstruct_highlights(seen, GAINS, torch.ones(3))
    red, green, blue = restored[..., -10:].unbind()
    torch.testing.assert_close(green, red)
    torch.testing.assert_close(blue, red)
    torch.testing.assert_close(red, torch.full_like(red, 2.0), rtol=0.01, atol=0)


def test_pixels_without_a_saturated_channel_stay_and_none_gets_darker():
    torch.manual_seed(1)
    rgb = torch.rand(3, 300, 400) * 1.1 * GAINS.float().view(3, 1, 1)
    for level in (torch.ones(3), torch.tensor([0.8, 0.9, 0.7])):
        restored = reconstruct_highlights(rgb, GAINS, level)
        below = (rgb < 0.90 * (GAINS.float() * level).view(3, 1, 1)).all(0)
        assert 0.2 < float(below.float().mean()) < 0.9
        assert torch.equal(restored[:, below], rgb[:, below])
        assert bool((restored >= rgb).all())
        assert not torch.equal(restored, rgb)


def test_the_level_is_found_where_saturated_pixels_pile_up():
    torch.manual_seed(2)
    raw = torch.rand(3, 300, 300).clamp(max=torch.tensor([0.93, 0.9, 1.0]).view(3, 1, 1))
    raw += 0.002 * torch.randn(3, 300, 300)
    level = saturation_level(raw * GAINS.float().view(3, 1, 1), GAINS)
    assert level.tolist() == pytest.approx([0.93, 0.9, 1.0], abs=0.003)
    assert saturation_level(torch.rand(3, 300, 300) * 0.7, torch.ones(3)).tolist() == [1.0] * 3


def test_without_a_level_the_picture_s_own_serves():
    true, seen = ramp((1.0, 1.0, 1.0))
    seen = torch.minimum(seen, 0.9 * GAINS.view(3, 1, 1))
    found = reconstruct_highlights(seen, GAINS)
    given = reconstruct_highlights(seen, GAINS, saturation_level(seen, GAINS))
    assert torch.equal(found, given)
    assert float((found - true).abs().max()) < 0.1 < float((seen - true).abs().max())


def test_bands_give_what_the_whole_picture_gives():
    torch.manual_seed(3)
    rgb = torch.rand(3, 400, 400, dtype=torch.float64) * 1.2
    rgb[:, 230:] *= 0.5  # a band that is let through
    whole = reconstruct_highlights(rgb.requires_grad_(), torch.ones(3), torch.ones(3)).detach()
    with torch.no_grad():
        banded = reconstruct_highlights(rgb, torch.ones(3), torch.ones(3))
    torch.testing.assert_close(banded, whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (17, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_size_dtype_and_batch(size, dtype):
    torch.manual_seed(4)
    rgb = torch.rand(2, 3, *size, dtype=dtype) * 1.2
    kept = rgb.clone()
    restored = reconstruct_highlights(rgb, torch.ones(3), torch.ones(3))
    assert restored.shape == rgb.shape
    assert restored.dtype == dtype
    assert torch.equal(rgb, kept)
    alone = reconstruct_highlights(rgb[1], torch.ones(3), torch.ones(3))
    torch.testing.assert_close(restored[1], alone)


def test_gradient_of_rgb_gains_and_level():
    torch.manual_seed(5)
    rgb = (torch.rand(1, 3, 3, 5, dtype=torch.float64) * 1.2 + 0.01).requires_grad_()
    gains = torch.tensor([1.1, 1.0, 1.05], dtype=torch.float64, requires_grad=True)
    level = torch.tensor([0.9, 0.95, 0.99], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(reconstruct_highlights, (rgb, gains, level))


def test_the_stage_takes_the_camera_s_gains():
    _, seen = ramp((1.0, 1.0, 1.0))
    expected = reconstruct_highlights(seen, GAINS, torch.ones(3))
    frame = Frame(Camera(as_shot_neutral=NEUTRAL), rgb=seen)
    stage = HighlightReconstruction(level=(1.0, 1.0, 1.0))
    torch.testing.assert_close(stage(frame).rgb, expected)
    chosen = Camera(as_shot_neutral=(1.0, 1.0, 1.0), neutral=NEUTRAL)
    torch.testing.assert_close(stage(frame.replace(camera=chosen)).rgb, expected)
    bound = stage.bind(chosen)
    assert bound.gains.tolist() == [2.0, 1.0, 1.6]
    torch.testing.assert_close(bound(Frame(rgb=seen)).rgb, expected)
    again = HighlightReconstruction(**bound.arguments())
    torch.testing.assert_close(again(Frame(rgb=seen)).rgb, expected)


def test_reconstruction_s_refusals_and_repr():
    with pytest.raises(ValueError, match=r"not \(1, 2, 2\)"):
        reconstruct_highlights(torch.zeros(1, 2, 2), torch.ones(3))
    with pytest.raises(ValueError, match=r"level must be \(3,\)"):
        reconstruct_highlights(torch.zeros(3, 2, 2), torch.ones(3), torch.ones(1))
    with pytest.raises(ValueError, match=r"gains must be \(3,\)"):
        HighlightReconstruction(gains=[1.0])
    with pytest.raises(ValueError, match=r"level must be 0\.01 to 1"):
        HighlightReconstruction(level=[1.0, 1.0, 2.0])
    assert repr(HighlightReconstruction()) == (
        "HighlightReconstruction(level=histogram, gains=camera)"
    )


def test_the_exported_graph_takes_other_sizes():
    class Function(nn.Module):
        def forward(self, rgb):
            restored = reconstruct_highlights(rgb, torch.tensor([2.0, 1.0, 1.6]))
            return compress_highlights(restored, 0.6, 2.0)

    sizes = {1: Dim("height", min=33), 2: Dim("width", min=33)}
    graph = export(Function(), (torch.rand(3, 37, 53),), dynamic_shapes=(sizes,)).module()
    rgb = torch.rand(3, 90, 71) * 2
    torch.testing.assert_close(graph(rgb), Function()(rgb))


def test_compression_is_the_identity_below_its_start_and_meets_white():
    light = torch.linspace(0, 4, 4001, dtype=torch.float64)
    bent = compress_highlights(light, 0.6, 4.0)
    assert torch.equal(bent[light <= 0.6], light[light <= 0.6])
    assert float(bent[-1]) == pytest.approx(1, abs=1e-12)
    assert bool((bent.diff() > 0).all())
    slope = bent.diff() / light.diff()
    assert float(slope.diff().abs().max()) < 0.01
    torch.testing.assert_close(compress_highlights(light, 0.6, 1.0), light)


def test_compression_of_one_number():
    assert float(compress_highlights(torch.tensor(2.0), 0.5, 2.0)) == 1


def test_compression_s_white_is_the_camera_s_largest_gain():
    frame = Frame(Camera(as_shot_neutral=NEUTRAL), rgb=torch.full((3, 2, 2), 2.0))
    stage = HighlightCompression()
    torch.testing.assert_close(stage(frame).rgb, torch.ones(3, 2, 2))
    bound = stage.bind(frame.camera)
    assert bound.arguments() == {"start": pytest.approx(0.6), "white": 2.0}
    assert torch.equal(bound(frame.replace(camera=Camera())).rgb, stage(frame).rgb)
    assert repr(stage) == "HighlightCompression(start=0.6, white=camera)"
    with pytest.raises(ValueError, match="white must be 1 to 1024"):
        HighlightCompression(white=0.5)


def test_gradients_of_the_compression_and_its_inverse():
    torch.manual_seed(6)
    light = (torch.rand(3, 2, 3, dtype=torch.float64) * 2).requires_grad_()
    start = torch.tensor(0.55, dtype=torch.float64, requires_grad=True)
    white = torch.tensor(2.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(compress_highlights, (light, start, white))


def test_compression_is_learned():
    stage = HighlightCompression(white=2.0)
    stage.learn()
    stage(Frame(rgb=torch.full((3, 2, 2), 1.5))).rgb.sum().backward()
    assert all(float(number.grad) != 0 for number in stage.parameters())
    assert len(list(stage.parameters())) == 2
