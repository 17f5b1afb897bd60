import math

import pytest
import torch

from isp_meta.camera import Camera
from isp_meta.frame import Frame
from isp_meta.stages import (
    AutoWhiteBalance,
    as_shot_gains,
    gray_world,
    light_of_edges,
    light_of_extremes,
)

STATISTICS = ["bright-and-dark", "shades-of-gray", "gray-edge", "second-order-gray-edge"]
LIGHT = torch.tensor([0.5, 1.0, 0.7], dtype=torch.float64)


def scene(light=LIGHT, seed=0, size=(96, 96)):
    """Gray things of many brightnesses, each a little colored, under a light."""
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.rand(1, 12, 12, generator=generator, dtype=torch.float64)
    tints = 1 + 0.05 * torch.randn(3, 12, 12, generator=generator, dtype=torch.float64)
    colors = (0.8 * blocks * tints).clamp(0, 0.9)
    lit = torch.nn.functional.interpolate(colors[None], size=size)[0]
    return lit * light.view(3, 1, 1)


def degrees_between(a, b):
    cosine = torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=-1)
    return math.degrees(math.acos(min(1.0, cosine.item())))


@pytest.mark.parametrize("statistic", STATISTICS)
def test_finds_the_light_on_gray_things(statistic):
    stage = AutoWhiteBalance(statistic)
    raw = scene()
    assert degrees_between(stage.light(raw), LIGHT) < 1.5
    assert degrees_between(torch.ones(3), LIGHT) > 15
    done = stage(Frame(Camera(), raw=raw))
    gains = as_shot_gains(done.camera.neutral)
    torch.testing.assert_close(done.rgb, raw * gains.view(3, 1, 1))


@pytest.mark.parametrize("statistic", STATISTICS)
def test_the_color_of_the_light_scales_with_the_channels(statistic):
    light = AutoWhiteBalance(statistic).light
    for gains in ([0.5, 1.0, 1.0], [0.9, 0.3, 0.8]):
        scaled = light(scene() * torch.tensor(gains).view(3, 1, 1))
        assert degrees_between(scaled, light(scene()) * torch.tensor(gains)) < 1.5


def test_norms_of_the_first_order():
    """On as many pixels as there are cells, with no Gaussian to speak of, the formula itself."""
    raw = scene(size=(64, 64))
    for norm in (1.0, 6.0):
        found = light_of_edges(raw, 0, norm, 0.001)
        assert degrees_between(found, (raw**norm).mean((1, 2)) ** (1 / norm)) < 1e-4
    assert degrees_between(light_of_edges(raw, norm=1.0), 1 / gray_world(raw)) < 1e-4
    # Edges to one side only: the mean step is that of the gradient.
    steps = torch.linspace(0, 0.8, 64, dtype=torch.float64) * LIGHT.view(3, 1, 1)
    edges = light_of_edges(steps.expand(3, 64, 64), 1, 1.0, 0.001)
    assert degrees_between(edges, LIGHT) < 1e-4


def test_the_first_component_is_the_largest_eigenvector():
    generator = torch.Generator().manual_seed(1)
    noise = torch.rand(3, 64, 64, generator=generator, dtype=torch.float64)
    raw = scene(size=(64, 64)) * (0.9 + 0.1 * noise)
    colors = raw.flatten(1)
    along = colors.T @ colors.mean(1)
    kept = colors[:, torch.cat([along.topk(143).indices, (-along).topk(143).indices])]
    vector = torch.linalg.eigh(kept @ kept.T).eigenvectors[:, -1].abs()
    assert degrees_between(light_of_extremes(raw), vector) < 1e-4


@pytest.mark.parametrize("statistic", STATISTICS)
def test_clipped_pixels_do_not_count(statistic):
    stage, raw = AutoWhiteBalance(statistic), scene()
    clipped = raw.clone()
    clipped[:, 24:40, 24:48] = torch.tensor([1.0, 0.2, 0.1]).view(3, 1, 1)
    assert degrees_between(stage.light(clipped), stage.light(raw)) < 0.7


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_what_says_nothing_stays_as_it_is(statistic, level):
    raw = torch.full((3, 6, 6), level)
    assert torch.equal(AutoWhiteBalance(statistic)(Frame(raw=raw)).rgb, raw)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_gradient(statistic):
    raw = scene(size=(5, 6)).requires_grad_()
    assert torch.autograd.gradcheck(AutoWhiteBalance(statistic).double().light, raw, fast_mode=True)


def test_refusals_and_repr():
    with pytest.raises(ValueError, match=r"not \(1, 4, 4\)"):
        light_of_edges(torch.zeros(1, 4, 4))
    with pytest.raises(ValueError, match="order must be 0, 1 or 2"):
        light_of_edges(torch.zeros(3, 4, 4), 3)
    with pytest.raises(ValueError, match="share must be above 0"):
        light_of_extremes(torch.zeros(3, 4, 4), 0)
    with pytest.raises(ValueError, match="share must be above 0"):
        AutoWhiteBalance(share=0.6)
    with pytest.raises(ValueError, match="statistic must be one of"):
        AutoWhiteBalance("learned")
    with pytest.raises(ValueError, match="neither norm nor sigma"):
        AutoWhiteBalance(norm=3.0)
    assert repr(AutoWhiteBalance()) == "AutoWhiteBalance('bright-and-dark', share=0.035, clip=True)"
    assert "norm=1, sigma=0.01" in repr(AutoWhiteBalance("gray-edge"))
