import itertools
import math

import pytest
import torch
from torch import nn

from isp_meta.camera import BAYER_PATTERNS, XTRANS, Camera, GainMap
from isp_meta.errors import PipelineOrderError
from isp_meta.frame import Frame
from isp_meta.stages import LensShading, Vignette, lens_shading, vignette

GENERATOR = torch.Generator().manual_seed(0)
GRID = torch.rand(4, 3, 1, generator=GENERATOR) + 1
MAPS = {
    "whole": GainMap(GRID, (0, 0, 99, 99), spacing=(1 / 3, 1 / 2)),
    "one place": GainMap(GRID, (1, 0, 9, 8), (2, 2), spacing=(1 / 3, 1 / 2)),
    "part, odd pitch": GainMap(GRID, (2, 1, 7, 6), (3, 2), spacing=(0.3, 0.4), origin=(0.1, -0.2)),
    "grid smaller than the picture": GainMap(
        GRID, (0, 0, 9, 8), spacing=(0.05, 0.1), origin=(0.4, 0.3)
    ),
    "single point": GainMap(GRID[:1, :1], (0, 0, 9, 8)),
    "single row": GainMap(GRID[:1], (0, 0, 9, 8), spacing=(1.0, 0.5)),
    "several planes": GainMap(
        GRID.expand(4, 3, 2) * torch.tensor([1.0, 9.0]), (0, 0, 9, 8), planes=(0, 2)
    ),
    "another plane": GainMap(GRID, (0, 0, 9, 8), planes=(1, 1)),
}


def gain_at(shading, y, x, height, width):
    """The specification's formula for one pixel."""
    rows, columns = shading.gains.shape[:2]
    v = ((y + 0.5) / height - shading.origin[0]) / shading.spacing[0]
    u = ((x + 0.5) / width - shading.origin[1]) / shading.spacing[1]
    v, u = min(max(v, 0.0), rows - 1), min(max(u, 0.0), columns - 1)
    i, j = min(int(v), max(rows - 2, 0)), min(int(u), max(columns - 2, 0))
    below, right = min(i + 1, rows - 1), min(j + 1, columns - 1)
    grid = shading.gains[..., 0].double()
    upper = grid[i, j] * (1 - (u - j)) + grid[i, right] * (u - j)
    lower = grid[below, j] * (1 - (u - j)) + grid[below, right] * (u - j)
    return (upper * (1 - (v - i)) + lower * (v - i)).item()


def applies(shading, y, x):
    top, left, bottom, right = shading.rectangle
    down, across = shading.pitch
    inside = top <= y < bottom and left <= x < right
    return inside and (y - top) % down == 0 and (x - left) % across == 0 and shading.planes[0] == 0


@pytest.mark.parametrize("size", [(9, 8), (1, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize("name", MAPS)
def test_gain_map_is_the_specification_s_formula_pixel_by_pixel(name, size):
    shading = MAPS[name]
    mosaic = torch.rand(2, 1, *size, dtype=torch.float64, generator=GENERATOR)
    out = lens_shading(mosaic, [shading])
    for y in range(size[0]):
        for x in range(size[1]):
            gain = gain_at(shading, y, x, *size) if applies(shading, y, x) else 1.0
            torch.testing.assert_close(out[..., y, x], mosaic[..., y, x] * gain, rtol=1e-12, atol=0)


def of_places(height, width):
    """One map for each place of the 2x2 pattern, as cameras write them."""
    return [
        GainMap(
            torch.rand(5, 4, 1, generator=GENERATOR) + 1,
            (top, left, height, width),
            (2, 2),
            spacing=(1 / 4, 1 / 3),
        )
        for top in (0, 1)
        for left in (0, 1)
    ]


@pytest.mark.parametrize("cfa", BAYER_PATTERNS)
def test_on_rgb_a_color_has_the_mean_of_its_places(cfa, monkeypatch):
    monkeypatch.setitem(lens_shading.__globals__, "_BAND", 4)
    maps = of_places(9, 8)
    rgb = torch.rand(3, 9, 8, dtype=torch.float64, generator=GENERATOR)
    out = lens_shading(rgb, maps, cfa)
    for y in range(9):
        for x in range(8):
            for channel, color in enumerate("RGB"):
                gains = [
                    gain_at(shading, y, x, 9, 8)
                    for shading, place in zip(maps, cfa, strict=True)
                    if place == color
                ]
                expected = rgb[channel, y, x].item() * sum(gains) / len(gains)
                assert out[channel, y, x].item() == pytest.approx(expected, rel=1e-12)


def test_on_rgb_under_any_pattern_a_color_has_the_mean_of_its_places():
    period = [GainMap(GRID, (top, left, 12, 12), (2, 3)) for top, left in ((0, 0), (1, 2))]
    maps = [MAPS["whole"], *period]
    rgb = torch.rand(3, 12, 12, dtype=torch.float64, generator=GENERATOR)
    out = lens_shading(rgb, maps, XTRANS)
    for y, x, channel in itertools.product(range(12), range(12), range(3)):
        gains = []
        for place, color in enumerate(XTRANS):
            if "RGB"[channel] != color:
                continue
            row, column = divmod(place, 6)
            chosen = maps[:1] + [m for m in period if applies(m, row, column)]
            gains.append(math.prod(gain_at(m, y, x, 12, 12) for m in chosen))
        expected = rgb[channel, y, x].item() * sum(gains) / len(gains)
        if min(y, x) >= 2 and max(y, x) < 10:  # beside a rectangle's edge a color comes from within
            assert out[channel, y, x].item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("field", ["mosaic", "rgb"])
def test_a_linear_picture_s_colors_have_their_planes_gains(field):
    maps = (
        GainMap(torch.tensor([2.0, 3.0]).view(1, 1, 2), (0, 0, 5, 6), planes=(0, 3)),
        GainMap(torch.full((1, 1, 1), 5.0), (0, 0, 5, 6), planes=(2, 1)),
    )
    camera = Camera(cfa="RGB", gain_maps=maps)
    stage = LensShading(field=field, clip=False)
    out = getattr(stage(Frame(camera, **{field: torch.ones(3, 5, 6)})), field)
    # Two planes for three colors: the last one is for all that follow.
    assert torch.equal(out, torch.tensor([2.0, 3.0, 15.0]).view(3, 1, 1).expand(3, 5, 6))


def test_a_monochrome_picture_has_one_gain():
    camera = Camera(cfa="W", gain_maps=(MAPS["whole"],))
    picture = torch.rand(1, 9, 8)
    one = LensShading(clip=False)(Frame(camera, mosaic=picture)).mosaic
    three = LensShading(field="rgb", clip=False)(Frame(camera, rgb=picture.expand(3, -1, -1))).rgb
    torch.testing.assert_close(three, one.expand(3, -1, -1))


def test_on_rgb_a_part_is_corrected_where_the_map_lies():
    part = GainMap(torch.full((1, 1, 1), 2.0), (3, 2, 7, 6))
    out = lens_shading(torch.ones(3, 9, 8), [part])
    assert torch.equal(out[:, 3:7, 2:6], torch.full((3, 4, 4), 2.0))
    assert out.sum() == 3 * (72 + 16)


@pytest.mark.parametrize(("field", "channels"), [("mosaic", 1), ("rgb", 3)])
@pytest.mark.parametrize("size", [(1, 2), (2, 3), (3, 3), (12, 10)])
def test_either_field_is_corrected(field, channels, size):
    camera = Camera(gain_maps=(*of_places(*size), MAPS["whole"]))
    for dtype in (torch.float32, torch.float64):
        picture = torch.rand(2, channels, *size, dtype=dtype) / 5
        frame = Frame(camera, **{field: picture})
        for stage in (LensShading(field=field), Vignette((0.3, 0.2, 0.1, 0.0, 0.1), field=field)):
            assert (stage.needs, stage.gives) == (frozenset({field}),) * 2
            out = stage(frame)
            assert not torch.equal(getattr(out, field), picture)
            assert getattr(out, field).dtype == dtype


@pytest.mark.parametrize("channels", [1, 3])
def test_gradient_of_the_picture_and_of_the_gains(channels):
    maps = of_places(4, 5)[:2]

    def corrected(picture, *gains):
        given = [
            GainMap(g, m.rectangle, m.pitch, spacing=m.spacing)
            for g, m in zip(gains, maps, strict=True)
        ]
        return lens_shading(picture, given)

    picture = torch.rand(1, channels, 4, 5, dtype=torch.float64, requires_grad=True)
    gains = [m.gains.double().requires_grad_() for m in maps]
    assert torch.autograd.gradcheck(corrected, (picture, *gains))


def test_stage_reads_the_camera_and_can_be_bound():
    maps = tuple(of_places(6, 6))
    mosaic = torch.rand(1, 6, 6)
    before = mosaic.clone()
    camera = Camera(gain_maps=maps)
    stage = LensShading()
    out = stage(Frame(camera, mosaic=mosaic)).mosaic
    assert torch.equal(out, lens_shading(mosaic, maps).clamp(0, 1))
    assert out.max() == 1
    assert torch.equal(mosaic, before)
    assert torch.equal(stage(Frame(mosaic=mosaic)).mosaic, mosaic)
    bound = stage.bind(camera)
    assert torch.equal(bound(Frame(mosaic=mosaic)).mosaic, out)
    assert stage.arguments()["maps"] is None
    again = LensShading(**bound.arguments())
    assert torch.equal(again(Frame(mosaic=mosaic)).mosaic, out)
    with pytest.raises(PipelineOrderError, match=r"LensShading needs frame\.rgb"):
        LensShading(field="rgb")(Frame(mosaic=mosaic))


@pytest.mark.parametrize("center", [(0.5, 0.5), (0.3, 0.8)])
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (7, 10)])
def test_vignette_is_the_specification_s_polynomial(center, size):
    height, width = size
    k = (0.4, -0.3, 0.6, 0.2, -0.1)
    out = vignette(torch.ones(2, 1, *size, dtype=torch.float64), k, center)
    cy, cx = center[0] * height, center[1] * width
    largest = math.hypot(max(cy, height - cy), max(cx, width - cx))
    for y in range(height):
        for x in range(width):
            r = math.hypot(y + 0.5 - cy, x + 0.5 - cx) / largest
            gain = 1 + sum(c * r ** (2 * i) for i, c in enumerate(k, start=1))
            assert out[0, 0, y, x].item() == pytest.approx(gain, rel=1e-12)


def test_cos4_is_the_fall_off_of_a_thin_lens():
    out = Vignette.cos4(50.0, clip=False)(Frame(mosaic=torch.ones(1, 30, 40, dtype=torch.float64)))
    r = math.hypot(14.5, 19.5) / math.hypot(15, 20)
    angle = math.atan(r * math.tan(math.radians(50)))
    assert out.mosaic[0, 0, 0].item() == pytest.approx(1 / math.cos(angle) ** 4, rel=1e-6)
    assert Vignette.cos4(0.0).arguments()["coefficients"] == [0.0] * 5


def test_vignette_gradient_and_learning():
    picture = torch.rand(2, 3, 3, 4, dtype=torch.float64, requires_grad=True)
    k = torch.tensor([0.4, -0.3, 0.6, 0.2, -0.1], dtype=torch.float64, requires_grad=True)
    center = torch.tensor([0.4, 0.7], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(vignette, (picture, k, center))
    stage = Vignette(nn.Parameter(torch.zeros(5)), clip=False)
    stage(Frame(mosaic=torch.ones(1, 8, 8))).mosaic.sum().backward()
    assert bool((stage.coefficients.grad > 0).all())


def test_refusals_and_repr():
    with pytest.raises(ValueError, match=r"\(2, 4, 4\)"):
        lens_shading(torch.ones(2, 4, 4), [])
    with pytest.raises(ValueError, match="RGBG"):
        lens_shading(torch.ones(3, 4, 4), [], "RGBG")
    with pytest.raises(ValueError, match=r"pitch \(4, 4\)"):
        lens_shading(torch.ones(3, 4, 4), [GainMap(GRID, (0, 0, 4, 4), (4, 4))])
    with pytest.raises(ValueError, match="positive"):
        LensShading([GainMap(GRID - 2, (0, 0, 4, 4))])
    for stage in (LensShading, Vignette):
        with pytest.raises(ValueError, match="'raw'"):
            stage(field="raw")
    with pytest.raises(ValueError, match="5 coefficients"):
        Vignette((0.0,))
    with pytest.raises(ValueError, match=r"not \(2,\)"):
        vignette(torch.ones(1, 2, 2), (0.0, 0.0))
    assert repr(LensShading()) == "LensShading(maps=the camera's, field='mosaic', clip=True)"
