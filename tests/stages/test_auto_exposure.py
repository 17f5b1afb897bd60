import pytest
import torch

from isp_meta.frame import Frame
from isp_meta.stages import AutoExposure, metered_stops
from isp_meta.stages.color_space import luminance

WEIGHTS = luminance("srgb")


def light(seed=0, size=(64, 64)):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(3, *size, generator=generator, dtype=torch.float64) * 0.5 + 0.01


def test_the_average_is_that_of_the_logarithm():
    rgb = light()
    luma = torch.einsum("c,chw->hw", WEIGHTS, rgb)
    mean = (luma + 2**-14).log2().mean()
    torch.testing.assert_close(metered_stops(rgb, WEIGHTS).exp2() * mean.exp2(), mean * 0 + 0.18)
    lit = AutoExposure(clip=False)(Frame(rgb=rgb)).rgb
    assert abs(metered_stops(lit, WEIGHTS)) < 1e-3


def test_a_bright_scene_stays_bright():
    """Eq. 4 on a scene of two brightnesses: 1 in 4 dark, 3 in 4 bright."""
    rgb = torch.full((3, 64, 64), 0.4, dtype=torch.float64)
    rgb[:, :16] = 0.1
    found = metered_stops(rgb, WEIGHTS, "scene") - metered_stops(rgb, WEIGHTS)
    assert found.item() == pytest.approx(1.0, abs=1e-3)  # 4 (3/4 - 1/2) of the range
    darker = metered_stops(rgb.flip(1) * 0 + 0.2, WEIGHTS, "scene")
    assert darker.item() == pytest.approx(metered_stops(rgb * 0 + 0.2, WEIGHTS).item())


def test_highlights_come_to_their_place():
    rgb = light()
    rgb[2, :8] += 0.3
    stage = AutoExposure("highlights", share=0.02, clip=False)
    lit = stage(Frame(rgb=rgb)).rgb
    assert (lit.amax(0) > 0.9).double().mean().item() == pytest.approx(0.02, abs=1e-3)


def test_never_more_than_the_limit():
    for level, stops in ((1e-4, 2.0), (1.0, -2.0), (0.0, 2.0)):
        stage = AutoExposure(limit=2.0)
        assert stage.stops(torch.full((3, 4, 4), level)).item() == stops


def test_noise_in_shadows_does_not_count():
    flat = torch.full((3, 512, 512), 0.05)
    noise = 0.03 * torch.randn(flat.shape, generator=torch.Generator().manual_seed(0))
    found = metered_stops(flat + noise, WEIGHTS) - metered_stops(flat, WEIGHTS)
    assert abs(found.item()) < 0.03


@pytest.mark.parametrize("metering", ["average", "scene", "highlights"])
def test_gradient_and_each_picture_of_a_batch(metering):
    several = torch.stack([light(seed, (4, 5)) for seed in (0, 1)]).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: metered_stops(x, WEIGHTS, metering), several)
    alone = [metered_stops(one, WEIGHTS, metering) for one in several]
    torch.testing.assert_close(metered_stops(several, WEIGHTS, metering), torch.stack(alone))


def test_the_target_is_learned():
    stage = AutoExposure().learn("target")
    stage(Frame(rgb=light().float())).rgb.sum().backward()
    assert stage.target.grad > 0


def test_refusals_and_repr():
    with pytest.raises(ValueError, match=r"not \(1, 4, 4\)"):
        metered_stops(torch.zeros(1, 4, 4), WEIGHTS)
    with pytest.raises(ValueError, match="share must be above 0"):
        metered_stops(torch.zeros(3, 4, 4), WEIGHTS, share=0.0)
    with pytest.raises(ValueError, match="share must be above 0"):
        AutoExposure(share=0.0)
    with pytest.raises(ValueError, match="metering must be one of average, scene, highlights"):
        AutoExposure("spot")
    with pytest.raises(ValueError, match="RGB space of"):
        AutoExposure(space="xyz")
    assert repr(AutoExposure()).startswith("AutoExposure('average', target=0.18, limit=4, ")
