import colorsys
import itertools
import math

import pytest
import torch
from torch import nn

from isp_meta.camera import Camera, ColorProfile
from isp_meta.frame import Frame
from isp_meta.stages import (
    HueSaturationMap,
    LookTable,
    Saturation,
    hue_saturation_map,
    saturation,
    srgb_decode,
    srgb_encode,
)
from isp_meta.stages.color_space import luminance
from isp_meta.stages.hue_saturation import hsv_to_rgb, rgb_to_hsv

# Color matrices of a GoPro HERO6 for tungsten and D50.
TUNGSTEN = (1.8331, -0.8166, -0.2478, 0.1391, 0.8961, -0.0367, 0.0822, 0.0662, 0.2597)
DAYLIGHT = (1.0344, -0.4210, -0.0620, -0.2315, 1.0625, 0.1948, 0.0093, 0.1058, 0.5541)


def picture(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_table(*divisions, seed=3):
    shift, scales = picture(*divisions, 1, seed=seed), picture(*divisions, 2, seed=seed + 1)
    return torch.cat([60 * shift - 30, 0.6 + 0.8 * scales], -1)


def identity(*divisions):
    return torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64).expand(*divisions, 3)


def one_pixel(rgb, table, encoding):
    """The specification, written out for one color: an independent check."""
    hues, saturations, values, _ = table.shape
    hue, sat, value = colorsys.rgb_to_hsv(*rgb)
    encoded = encoding == "srgb" and values > 1
    if encoded:
        value = float(srgb_encode(torch.tensor(value, dtype=torch.float64)))
    places = (hue * hues, sat * (saturations - 1), value * (values - 1))
    total = [0.0, 0.0, 0.0]
    for corner in itertools.product((0, 1), repeat=3):
        index, weight = [], 1.0
        for place, step, size in zip(places, corner, table.shape, strict=False):
            low = math.floor(place)
            weight *= place - low if step else 1 - (place - low)
            index.append((low + step) % size if size == hues else min(low + step, size - 1))
        index[0] %= hues
        entry = table[index[0], min(index[1], saturations - 1), min(index[2], values - 1)]
        total = [t + weight * float(e) for t, e in zip(total, entry, strict=True)]
    shift, sat_scale, value_scale = total
    value = min(max(value * value_scale, 0.0), 1.0)
    if encoded:
        value = float(srgb_decode(torch.tensor(value, dtype=torch.float64)))
    return colorsys.hsv_to_rgb((hue + shift / 360) % 1, min(sat * sat_scale, 1.0), value)


@pytest.mark.parametrize("encoding", ["linear", "srgb"])
@pytest.mark.parametrize("divisions", [(6, 3, 1), (7, 4, 5), (1, 2, 1), (90, 30, 2)])
def test_agrees_with_the_specification_pixel_by_pixel(encoding, divisions):
    rgb, table = picture(3, 5, 6), some_table(*divisions)
    found = hue_saturation_map(rgb, table, encoding)
    for y, x in itertools.product(range(5), range(6)):
        expected = one_pixel(rgb[:, y, x].tolist(), table, encoding)
        assert found[:, y, x].tolist() == pytest.approx(expected, abs=1e-9)


def test_hsv_agrees_with_colorsys_and_returns():
    rgb = picture(2, 3, 4, 5)
    hue, sat, value = rgb_to_hsv(rgb)
    expected = colorsys.rgb_to_hsv(*rgb[1, :, 2, 3].tolist())
    assert (hue[1, 2, 3] / 6, sat[1, 2, 3], value[1, 2, 3]) == pytest.approx(expected)
    torch.testing.assert_close(hsv_to_rgb(hue, sat, value), rgb, rtol=0, atol=1e-12)
    torch.testing.assert_close(hsv_to_rgb(hue - 18, sat, value), rgb, rtol=0, atol=1e-12)


@pytest.mark.parametrize("divisions", [(6, 2, 1), (12, 5, 4)])
@pytest.mark.parametrize("encoding", ["linear", "srgb"])
def test_a_table_that_moves_nothing(divisions, encoding):
    rgb = torch.cat([picture(3, 6, 6), torch.tensor([0.0, 0.3, 1.0]).expand(3, 6, 3)], -1)
    found = hue_saturation_map(rgb, identity(*divisions), encoding)
    torch.testing.assert_close(found, rgb, rtol=0, atol=1e-12)


def test_hue_wraps_around():
    table = some_table(6, 2, 1)
    reds = torch.tensor([[0.8, 0.2, 0.2 + 1e-9], [0.8, 0.2 + 1e-9, 0.2]], dtype=torch.float64)
    below, above = hue_saturation_map(reds.T.view(3, 1, 2), table).unbind(-1)
    torch.testing.assert_close(below, above, rtol=0, atol=1e-7)


def test_a_turn_of_60_degrees_takes_red_to_yellow():
    table = torch.tensor([60.0, 1.0, 1.0]).expand(1, 2, 1, 3)
    red = torch.tensor([0.5, 0.0, 0.0]).view(3, 1, 1)
    assert hue_saturation_map(red, table).flatten().tolist() == pytest.approx([0.5, 0.5, 0.0])


def test_the_camera_s_map_goes_with_the_light():
    maps = (some_table(6, 3, 1), some_table(6, 3, 1, seed=9))
    profile = ColorProfile("", (3, 23), (TUNGSTEN, DAYLIGHT), hue_sat_maps=maps)
    daylight = Camera(profile=profile, as_shot_neutral=(0.522449, 1.0, 0.571429))
    frame = Frame(daylight, rgb=picture(3, 4, 4))
    expected = hue_saturation_map(frame.rgb, maps[1])
    torch.testing.assert_close(HueSaturationMap()(frame).rgb, expected)
    bound = HueSaturationMap().bind(daylight)
    torch.testing.assert_close(bound(Frame(rgb=frame.rgb)).rgb, expected)
    single = daylight.replace(profile=ColorProfile("", (3,), (TUNGSTEN,), hue_sat_maps=maps[:1]))
    found = HueSaturationMap()(frame.replace(camera=single)).rgb
    torch.testing.assert_close(found, hue_saturation_map(frame.rgb, maps[0]))


def test_the_look_table_is_another_one():
    look = some_table(6, 3, 4)
    profile = ColorProfile(look_table=look, look_encoding="srgb")
    frame = Frame(Camera(profile=profile), rgb=picture(3, 4, 4))
    assert HueSaturationMap()(frame) is frame
    expected = hue_saturation_map(frame.rgb, look, "srgb")
    torch.testing.assert_close(LookTable()(frame).rgb, expected)
    torch.testing.assert_close(LookTable().bind(frame.camera)(Frame(rgb=frame.rgb)).rgb, expected)


@pytest.mark.parametrize("stage", [HueSaturationMap(), LookTable()])
def test_without_a_profile_nothing_happens(stage):
    frame = Frame(rgb=picture(3, 4, 4))
    assert stage(frame) is frame
    torch.testing.assert_close(stage.bind(Camera())(frame).rgb, frame.rgb, rtol=0, atol=1e-7)


@pytest.mark.parametrize("divisions", [(6, 3, 1), (5, 3, 4)])
def test_gradients_of_picture_and_table(divisions):
    rgb = (0.1 + 0.7 * picture(3, 2, 3)).requires_grad_()
    table = some_table(*divisions).requires_grad_()
    assert torch.autograd.gradcheck(lambda r, t: hue_saturation_map(r, t, "srgb"), (rgb, table))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite_at_gray_and_black(dtype):
    rgb = torch.tensor([0.0, 1e-30, 1e-9, 0.5, 1.0], dtype=dtype).expand(3, 1, 5).clone()
    rgb.requires_grad_()
    hue_saturation_map(rgb, some_table(6, 3, 4), "srgb").sum().backward()
    assert rgb.grad.isfinite().all()
    assert hue_saturation_map(rgb, some_table(6, 3, 4)).dtype == dtype


def test_light_above_white_is_kept_on_demand():
    rgb = torch.tensor([1.5, 0.5, -0.2]).view(3, 1, 1)
    kept = hue_saturation_map(rgb, identity(6, 2, 1), clip=False)
    assert kept.flatten().tolist() == pytest.approx([1.5, 0.5, 0.0])
    assert float(hue_saturation_map(rgb, identity(6, 2, 1)).max()) == 1


def test_a_table_is_learned():
    (table,) = HueSaturationMap(nn.Parameter(some_table(6, 2, 1))).parameters()
    assert table.shape == (6, 2, 1, 3)


def test_refusals_and_repr():
    with pytest.raises(ValueError, match="saturations >= 2"):
        HueSaturationMap(torch.zeros(6, 1, 1, 3))
    with pytest.raises(ValueError, match="encoding"):
        LookTable(encoding="gamma")
    with pytest.raises(ValueError, match=r"\(1, 2, 2\)"):
        hue_saturation_map(torch.zeros(1, 2, 2), identity(6, 2, 1))
    assert repr(LookTable()) == "LookTable(table=camera, encoding='linear', clip=True)"
    assert "table=6x2x1" in repr(HueSaturationMap(identity(6, 2, 1)))


def test_saturation_keeps_luminance_and_gray():
    weights, rgb = luminance("prophoto"), picture(3, 5, 5)
    found = saturation(rgb, torch.tensor(1.7), weights, clip=False)
    before, after = (torch.einsum("c,chw->hw", weights, r) for r in (rgb, found))
    torch.testing.assert_close(after, before)
    gray = torch.full((3, 2, 2), 0.3)
    torch.testing.assert_close(Saturation(2.0)(Frame(rgb=gray)).rgb, gray)
    dull = Saturation(0.0)(Frame(rgb=rgb)).rgb
    torch.testing.assert_close(dull, before.expand(3, 5, 5))
    torch.testing.assert_close(Saturation()(Frame(rgb=rgb)).rgb, rgb)


def test_saturation_is_learned():
    amount = torch.tensor(1.2, dtype=torch.float64, requires_grad=True)
    rgb = picture(3, 2, 2).requires_grad_()
    weights = luminance("srgb")
    assert torch.autograd.gradcheck(lambda r, a: saturation(r, a, weights, False), (rgb, amount))
    with pytest.raises(ValueError, match="0 to 4"):
        Saturation(-1.0)
    with pytest.raises(ValueError, match="'xyz'"):
        Saturation(space="xyz")
    assert repr(Saturation()) == "Saturation(amount=1, space='prophoto', clip=True)"
    assert repr(Saturation().learn()) == repr(Saturation())
    assert list(Saturation().state_dict()) == ["amount"]
