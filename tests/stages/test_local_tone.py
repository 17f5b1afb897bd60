import math

import pytest
import torch
from torch import nn
from torch.export import export

from isp_meta.frame import Frame
from isp_meta.stages import LocalToneMapping, local_tone_mapping
from isp_meta.stages.color_space import luminance
from isp_meta.stages.local_tone import guided_filter

WEIGHTS = luminance("srgb")


def mapped(rgb, **numbers):
    return local_tone_mapping(rgb, WEIGHTS, **{"strength": 0.0, **numbers})


def gray(stops):
    """A gray picture from its brightness in stops about mid gray."""
    return (0.18 * torch.exp2(stops)).expand(3, *stops.shape)


def stops_of(rgb):
    return (rgb[1] / 0.18).log2()


def test_strength_zero_is_the_identity():
    rgb = torch.rand(3, 50, 70) * 2
    rgb[:, :3] = 0
    assert torch.equal(mapped(rgb), rgb)
    assert torch.equal(LocalToneMapping(strength=0.0)(Frame(rgb=rgb)).rgb, rgb)


@pytest.mark.parametrize(
    ("numbers", "at", "gain"),
    [
        ({"strength": 1.0}, -4.0, 5 * math.tanh(0.8)),
        ({"strength": 0.5}, -4.0, 2.5 * math.tanh(0.8)),
        ({"strength": 1.0}, 2.0, -2 * math.tanh(1.0)),
        ({"strength": 1.0}, 0.0, 0.0),
        ({"shadows": 1.0}, -5.0, 1.0),
        ({"shadows": 1.0}, 1.0, 0.0),
        ({"highlights": -0.5}, 3.0, -0.5),
        ({"highlights": -0.5}, -2.0, 0.0),
        ({"strength": 1.0, "gray": 0.09}, -1.0, 0.0),
        ({"detail": 3.0}, -2.0, 0.0),
    ],
)
def test_an_even_picture_moves_as_the_formula_says(numbers, at, gain):
    before = gray(torch.full((20, 30), at, dtype=torch.float64))
    moved = stops_of(mapped(before, **numbers)) - at
    # Black begins 14 stops below white, which shows a little in the shadows.
    torch.testing.assert_close(moved, torch.full_like(moved, gain), rtol=0, atol=0.012)


def test_hue_and_saturation_stay():
    torch.manual_seed(0)
    rgb = torch.rand(3, 60, 80, dtype=torch.float64) + 0.01
    result = mapped(rgb, strength=0.8, detail=1.5, shadows=0.5, highlights=-0.3)
    torch.testing.assert_close(result / result[1], rgb / rgb[1])
    assert not torch.allclose(result, rgb, rtol=0.1)


def test_an_edge_gets_closer_without_a_halo():
    stops = torch.full((200, 200), 2.0, dtype=torch.float64)
    stops[:, :100] = -4.0
    result = stops_of(mapped(gray(stops), strength=0.5))
    dark, bright = result[:, :100], result[:, 100:]
    assert float(dark.max() - dark.min()) < 0.1
    assert float(bright.max() - bright.min()) < 0.1
    assert float(bright.mean() - dark.mean()) < 4.0


def test_detail_is_kept_while_light_is_compressed_and_boosted_on_demand():
    torch.manual_seed(1)
    texture = 0.1 * torch.randn(200, 200, dtype=torch.float64)
    rgb = gray(texture - 3)
    contrast = float(texture.std())
    assert float(stops_of(mapped(rgb, strength=0.6)).std()) == pytest.approx(contrast, rel=0.05)
    assert float(stops_of(mapped(rgb, detail=2.0)).std()) == pytest.approx(2 * contrast, rel=0.05)
    assert float(stops_of(mapped(rgb, detail=0.0)).std()) < 0.15 * contrast


def test_brightness_keeps_its_order():
    stops = torch.linspace(-8, 3, 400, dtype=torch.float64).expand(40, 400)
    for numbers in ({"strength": 0.95}, {"shadows": 2.5}, {"highlights": -1.9}):
        assert bool((stops_of(mapped(gray(stops), edge=0.01, **numbers)).diff() > 0).all())


def test_the_guided_filter_smooths_small_steps_and_keeps_large_ones():
    def step(height):
        picture = torch.zeros(1, 1, 64, 64, dtype=torch.float64)
        picture[..., 32:] = height
        edge, radius = torch.tensor([0.5, 0.05], dtype=torch.float64)
        slope, offset = guided_filter(picture, edge, radius)
        return (slope * picture + offset)[0, 0, 32]

    small, large = step(0.1) / 0.1, step(5.0) / 5.0
    assert float(small.diff().max()) < 0.25
    assert float(large.diff().max()) > 0.9


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_size_dtype_and_batch(size, dtype):
    rgb = torch.rand(2, 3, *size, dtype=dtype)
    kept = rgb.clone()
    result = mapped(rgb, strength=0.7, detail=1.3)
    assert result.shape == rgb.shape
    assert result.dtype == dtype
    assert bool(torch.isfinite(result).all())
    assert torch.equal(rgb, kept)
    torch.testing.assert_close(result[1], mapped(rgb[1], strength=0.7, detail=1.3))


def test_bands_give_what_the_whole_picture_gives():
    torch.manual_seed(2)
    rgb = torch.rand(3, 700, 650, dtype=torch.float64)  # more than one band, blocks of 2 pixels
    whole = mapped(rgb.requires_grad_(), strength=0.5, detail=1.2).detach()
    with torch.no_grad():
        banded = mapped(rgb, strength=0.5, detail=1.2)
    torch.testing.assert_close(banded, whole, rtol=1e-12, atol=1e-12)


def test_gradient_of_rgb_and_every_number():
    torch.manual_seed(3)
    rgb = (torch.rand(1, 3, 4, 5, dtype=torch.float64) + 0.02).requires_grad_()
    numbers = [0.4, 1.2, 0.5, -0.3, 0.8, 0.3, 0.18]
    leaves = [torch.tensor(n, dtype=torch.float64, requires_grad=True) for n in numbers]
    assert torch.autograd.gradcheck(
        lambda r, *n: local_tone_mapping(r, WEIGHTS, *n), (rgb, *leaves)
    )


def test_black_has_a_finite_gradient():
    rgb = torch.zeros(3, 8, 8, requires_grad=True)
    mapped(rgb, strength=0.5).sum().backward()
    assert bool(torch.isfinite(rgb.grad).all())


def test_the_stage_is_learned_and_made_again():
    stage = LocalToneMapping(strength=nn.Parameter(torch.tensor(0.2)), space="rec2020")
    assert [name for name, _ in stage.named_parameters()] == ["strength"]
    stage.learn()
    rgb = torch.rand(3, 20, 20)
    stage(Frame(rgb=rgb)).rgb.square().sum().backward()
    assert all(math.isfinite(n.grad) and n.grad != 0 for n in stage.parameters())
    assert len(list(stage.parameters())) == 7
    again = LocalToneMapping(**stage.arguments())
    assert torch.equal(again(Frame(rgb=rgb)).rgb, stage(Frame(rgb=rgb)).rgb.detach())


def test_the_exported_graph_serves_its_size():
    stage = LocalToneMapping()

    class Function(nn.Module):
        def __init__(self):
            super().__init__()
            self.stage = stage

        def forward(self, rgb):
            return self.stage(Frame(rgb=rgb)).rgb

    rgb = torch.rand(3, 41, 53)
    graph = export(Function(), (torch.rand(3, 41, 53),)).module()
    torch.testing.assert_close(graph(rgb), stage(Frame(rgb=rgb)).rgb)


def test_refusals_and_repr():
    with pytest.raises(ValueError, match=r"not \(1, 2, 2\) and \(3,\)"):
        mapped(torch.zeros(1, 2, 2))
    with pytest.raises(ValueError, match="strength must be 0 to 1"):
        LocalToneMapping(strength=1.5)
    with pytest.raises(ValueError, match="not 'xyz'"):
        LocalToneMapping(space="xyz")
    assert repr(LocalToneMapping()) == (
        "LocalToneMapping(strength=0.35, detail=1, shadows=0, highlights=0, edge=1, radius=0.02, "
        "gray=0.18, space='srgb')"
    )
