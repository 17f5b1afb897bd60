import itertools
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isp_meta.camera import BAYER_PATTERNS, QUAD_BAYER, XTRANS, Camera, pattern_of
from isp_meta.data import sample_path
from isp_meta.errors import PipelineOrderError
from isp_meta.frame import Frame
from isp_meta.io import read_raw
from isp_meta.stages import BlackLevel, Demosaic, demosaic
from isp_meta.stages.demosaic import method_for
from isp_meta.stages.periodic import surrounded

METHODS = ("malvar", "bilinear", "menon", "kriging")
# Sums in another order, where a matrix product makes them.
TINY = dict.fromkeys(METHODS, 0.0) | {"kriging": 1e-12}
PERIODIC = ("bilinear", "kriging")
PATTERNS = ("RGBGBRBRG", QUAD_BAYER, XTRANS)
COLORS = "RGB"
DATA = Path(__file__).parent.parent / "data"

# Figure 2 of the paper, as printed: each mask divided by 8.
GREEN = [[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]]
ALONG_ROW = [
    [0, 0, 0.5, 0, 0],
    [0, -1, 0, -1, 0],
    [-1, 4, 5, 4, -1],
    [0, -1, 0, -1, 0],
    [0, 0, 0.5, 0, 0],
]
DIAGONAL = [
    [0, 0, -1.5, 0, 0],
    [0, 2, 0, 2, 0],
    [-1.5, 0, 6, 0, -1.5],
    [0, 2, 0, 2, 0],
    [0, 0, -1.5, 0, 0],
]


def color_at(cfa, y, x):
    side = math.isqrt(len(cfa))
    return cfa[side * (y % side) + x % side]


def random_mosaic(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def remosaic(raw, cfa):
    mosaic, side = torch.empty_like(raw[..., :1, :, :]), math.isqrt(len(cfa))
    for position, color in enumerate(cfa):
        top, left = divmod(position, side)
        here = raw[..., COLORS.index(color), top::side, left::side]
        mosaic[..., 0, top::side, left::side] = here
    return mosaic


def malvar_pixel_by_pixel(mosaic, cfa):
    height, width = mosaic.shape
    padded = np.pad(mosaic, 2, mode="reflect")
    raw = np.empty((3, height, width))
    for y, x, color in itertools.product(range(height), range(width), COLORS):
        window = padded[y : y + 5, x : x + 5]
        here = color_at(cfa, y, x)
        if color == here:
            mask = np.zeros((5, 5))
            mask[2, 2] = 8
        elif color == "G":
            mask = np.array(GREEN)
        elif here != "G":
            mask = np.array(DIAGONAL)
        else:
            same_row = color_at(cfa, y, x + 1) == color
            mask = np.array(ALONG_ROW) if same_row else np.array(ALONG_ROW).T
        raw[COLORS.index(color), y, x] = (window * mask).sum() / 8
    return raw


def bilinear_pixel_by_pixel(mosaic, cfa, reach=1):
    """Mean of the nearest pixels of a color around: no formula a case."""
    height, width = mosaic.shape
    padded = np.pad(mosaic, reach, mode="reflect")
    raw, around = np.empty((3, height, width)), range(-reach, reach + 1)
    for y, x, color in itertools.product(range(height), range(width), COLORS):
        by_distance = {}
        for dy, dx in itertools.product(around, repeat=2):
            if color_at(cfa, y + dy, x + dx) == color:
                value = padded[y + reach + dy, x + reach + dx]
                by_distance.setdefault(dy * dy + dx * dx, []).append(value)
        raw[COLORS.index(color), y, x] = np.mean(by_distance[min(by_distance)])
    return raw


@pytest.mark.parametrize("cfa", BAYER_PATTERNS)
@pytest.mark.parametrize(("height", "width"), [(3, 3), (4, 6), (7, 5), (12, 9)])
def test_malvar_is_the_paper_s_masks(cfa, height, width):
    mosaic = random_mosaic(1, height, width)
    expected = torch.from_numpy(malvar_pixel_by_pixel(mosaic[0].numpy(), cfa))
    torch.testing.assert_close(demosaic(mosaic, cfa), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("cfa", BAYER_PATTERNS)
@pytest.mark.parametrize(("height", "width"), [(2, 2), (2, 5), (3, 3), (8, 11)])
def test_bilinear_is_the_mean_of_the_nearest(cfa, height, width):
    mosaic = random_mosaic(1, height, width)
    expected = torch.from_numpy(bilinear_pixel_by_pixel(mosaic[0].numpy(), cfa))
    torch.testing.assert_close(demosaic(mosaic, cfa, "bilinear"), expected, rtol=0, atol=1e-14)


@settings(deadline=None, max_examples=60)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    cfa=st.sampled_from([*BAYER_PATTERNS, *PATTERNS]),
    method=st.sampled_from(METHODS),
)
def test_any_size_keeps_what_was_measured_and_a_gray_field(height, width, cfa, method):
    mosaic = random_mosaic(2, 1, height, width)
    raw = demosaic(mosaic, cfa, method)
    assert raw.shape == (2, 3, height, width)
    assert torch.equal(remosaic(raw, cfa), mosaic)
    gray = demosaic(torch.full((1, height, width), 0.25), cfa, method)
    torch.testing.assert_close(gray, torch.full((3, height, width), 0.25))


@pytest.mark.parametrize("cfa", PATTERNS)
def test_bilinear_of_any_period_is_the_mean_of_the_nearest(cfa):
    mosaic = random_mosaic(1, 25, 26)
    expected = torch.from_numpy(bilinear_pixel_by_pixel(mosaic[0].numpy(), cfa, reach=3))
    inside = (..., slice(3, -3), slice(3, -3))
    found = demosaic(mosaic, cfa, "bilinear")
    torch.testing.assert_close(found[inside], expected[inside], rtol=0, atol=1e-14)


@pytest.mark.parametrize("method", PERIODIC)
@pytest.mark.parametrize("cfa", [*BAYER_PATTERNS, *PATTERNS])
@pytest.mark.parametrize("size", [(6, 7), (13, 20)])
def test_a_constant_color_comes_back_to_the_very_border(cfa, method, size):
    color = torch.tensor([0.9, 0.4, 0.1], dtype=torch.float64).view(3, 1, 1).expand(3, *size)
    torch.testing.assert_close(demosaic(remosaic(color, cfa), cfa, method), color)


@pytest.mark.parametrize("cfa", PATTERNS)
def test_a_linear_ramp_of_gray_is_exact_under_any_pattern(cfa):
    y, x = torch.meshgrid(torch.arange(30.0), torch.arange(32.0), indexing="ij")
    ramp = (0.1 + 0.01 * y + 0.02 * x).double().expand(3, 30, 32)
    raw = demosaic(remosaic(ramp, cfa), cfa, "kriging")
    inside = (..., slice(9, -9), slice(9, -9))
    torch.testing.assert_close(raw[inside], ramp[inside])


@pytest.mark.parametrize("method", ["malvar", "menon"])
@pytest.mark.parametrize("cfa", PATTERNS)
def test_what_is_for_bayer_gives_way_to_kriging(cfa, method):
    mosaic = random_mosaic(1, 14, 13)
    assert torch.equal(demosaic(mosaic, cfa, method), demosaic(mosaic, cfa, "kriging"))
    assert method_for(cfa, method) == "kriging"
    assert method_for(cfa, "bilinear") == "bilinear"
    assert method_for("RGGB", method) == method


@pytest.mark.parametrize("method", METHODS)
def test_a_bayer_pattern_in_a_larger_square_is_one(method):
    mosaic = random_mosaic(1, 14, 13)
    twice = "GRGRBGBGGRGRBGBG"
    assert torch.equal(demosaic(mosaic, twice, method), demosaic(mosaic, "GRBG", method))


@pytest.mark.parametrize("method", METHODS)
def test_without_a_mosaic_there_is_nothing_to_interpolate(method):
    assert method_for("W", method) is method_for("RGB", method) is None
    mosaic, colors = random_mosaic(2, 1, 5, 7), random_mosaic(2, 3, 5, 7)
    assert torch.equal(demosaic(mosaic, "W", method), mosaic.expand(2, 3, 5, 7))
    assert torch.equal(demosaic(colors, "RGB", method), colors)
    with pytest.raises(ValueError, match=r"\(\.\.\., 3, H, W\)"):
        demosaic(mosaic, "RGB", method)
    frame = Frame(Camera(cfa="RGB"), mosaic=colors * 2)
    assert torch.equal(Demosaic(method)(frame).raw, (colors * 2).clamp(0, 1))
    assert torch.equal(frame.mosaic, colors * 2)


@pytest.mark.parametrize("method", METHODS)
def test_a_linear_ramp_of_gray_is_exact_inside(method):
    y, x = torch.meshgrid(torch.arange(22.0), torch.arange(24.0), indexing="ij")
    ramp = (0.1 + 0.01 * y + 0.02 * x).double().expand(3, 22, 24)
    inside = (..., slice(8, -8), slice(8, -8))
    raw = demosaic(remosaic(ramp, "GRBG"), "GRBG", method)
    torch.testing.assert_close(raw[inside], ramp[inside])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("cfa", "dim", "rolled"),
    [("RGGB", -1, "GRBG"), ("RGGB", -2, "GBRG"), ("GBRG", -1, "BGGR"), ("BGGR", -2, "GRBG")],
)
def test_moving_by_a_pixel_is_changing_the_pattern(method, cfa, dim, rolled):
    mosaic = random_mosaic(1, 36, 34)
    inside = (..., slice(14, -14), slice(14, -14))
    moved = demosaic(mosaic.roll(1, dim), rolled, method)
    expected = demosaic(mosaic, cfa, method).roll(1, dim)
    torch.testing.assert_close(moved[inside], expected[inside], rtol=0, atol=TINY[method])


@pytest.mark.parametrize("method", PERIODIC)
@pytest.mark.parametrize("cfa", PATTERNS)
@pytest.mark.parametrize("dim", [-1, -2])
def test_moving_by_a_pixel_is_changing_any_pattern(method, cfa, dim):
    mosaic = random_mosaic(1, 38, 37)
    colors = pattern_of(cfa).roll(1, dim).flatten()
    rolled = "".join(COLORS[color] for color in colors)
    inside = (..., slice(15, -15), slice(15, -15))
    moved = demosaic(mosaic.roll(1, dim), rolled, method)
    expected = demosaic(mosaic, cfa, method).roll(1, dim)
    torch.testing.assert_close(moved[inside], expected[inside], rtol=0, atol=1e-12)


@pytest.mark.parametrize("cfa", PATTERNS)
def test_a_mosaic_goes_on_beyond_its_edges_in_its_colors(cfa):
    size, reach = (9, 11), ((13, 4), (5, 17))
    color = torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1).expand(3, *size)
    found = surrounded(remosaic(color, cfa), cfa, *reach)
    period = math.isqrt(len(cfa))
    rows, columns = torch.arange(-13, 13) % period, torch.arange(-5, 28) % period
    expected = pattern_of(cfa)[rows][:, columns] + 1
    assert torch.equal(found.round().long()[0], expected)
    assert float((found[0] - expected).abs().max()) < 1e-5


def test_a_mosaic_goes_on_in_the_pictures_mirror_image():
    y, x = torch.meshgrid(torch.arange(30.0), torch.arange(40.0), indexing="ij")
    picture = (y + x / 2).expand(3, -1, -1)
    found = surrounded(remosaic(picture, XTRANS), XTRANS, (6, 6), (6, 6))[0]
    mirrored = torch.nn.functional.pad(picture[None], (6, 6, 6, 6), mode="reflect")[0, 0]
    assert torch.equal(found[6:-6, 6:-6], picture[0])
    assert float((found - mirrored).abs().max()) < 1.5


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(33, 20), (32, 21)])
def test_bands_join_without_a_seam(monkeypatch, method, size):
    mosaic = random_mosaic(2, 1, *size)
    whole = demosaic(mosaic, "GBRG", method)
    monkeypatch.setattr(sys.modules["isp_meta.stages.rows"], "_BAND", 1)
    for rows in (2, 10):
        monkeypatch.setattr(sys.modules["isp_meta.stages.demosaic"], "_ROWS", rows)
        monkeypatch.setattr(sys.modules["isp_meta.stages.kriging"], "_ROWS", rows)
        found = demosaic(mosaic, "GBRG", method)
        torch.testing.assert_close(found, whole, rtol=0, atol=TINY[method])


@pytest.mark.parametrize("cfa", PATTERNS)
@pytest.mark.parametrize("size", [(41, 20), (32, 21)])
def test_bands_of_any_period_join_without_a_seam(monkeypatch, cfa, size):
    mosaic = random_mosaic(2, 1, *size)
    whole = demosaic(mosaic, cfa, "kriging")
    monkeypatch.setattr(sys.modules["isp_meta.stages.rows"], "_BAND", 1)
    monkeypatch.setattr(sys.modules["isp_meta.stages.kriging"], "_ROWS", 13)
    torch.testing.assert_close(demosaic(mosaic, cfa, "kriging"), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_gradient(method):
    mosaic = random_mosaic(2, 1, 5, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda m: demosaic(m, "BGGR", method), mosaic)


@pytest.mark.parametrize("method", PERIODIC)
def test_gradient_of_any_period(method):
    mosaic = random_mosaic(2, 1, 7, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda m: demosaic(m, XTRANS, method), mosaic)


@pytest.mark.parametrize("method", ["malvar", "bilinear", "menon"])
def test_one_traced_graph_serves_odd_and_even_sides(method):
    class Traced(torch.nn.Module):
        def forward(self, mosaic):
            return demosaic(mosaic, "GRBG", method)

    sides = {1: torch.export.Dim("height", min=20), 2: torch.export.Dim("width", min=20)}
    traced = torch.export.export(Traced(), (torch.rand(1, 41, 30),), dynamic_shapes=(sides,))
    for size in ((41, 30), (24, 37), (48, 50)):
        mosaic = random_mosaic(1, *size).float()
        found = traced.module()(mosaic)
        torch.testing.assert_close(found, demosaic(mosaic, "GRBG", method), rtol=0, atol=1e-6)


@pytest.mark.parametrize("method", ["malvar", "bilinear", "menon"])
def test_as_colour_demosaicing_does_it(method):
    """A detail of the sample, away from its borders, which that package continues otherwise."""
    with np.load(DATA / "colour-demosaicing.npz") as golden:
        top, left, bottom, right, margin = golden["detail"]
        expected = torch.from_numpy(golden[method])
    frame = BlackLevel()(read_raw(sample_path()))
    detail = frame.mosaic[:, top:bottom, left:right].double()
    found = demosaic(detail, frame.camera.cfa, method)[:, margin:-margin, margin:-margin]
    torch.testing.assert_close(found, expected.double(), rtol=0, atol=1e-6)


def test_float32_stays_float32():
    assert demosaic(torch.rand(1, 4, 4)).dtype == torch.float32


def test_stage_confines_malvar_s_overshoot():
    mosaic = torch.zeros(1, 8, 8)
    mosaic[..., 4:] = 1.0
    assert demosaic(mosaic).min() < 0 < 1 < demosaic(mosaic).max()
    raw = Demosaic()(Frame(Camera(cfa="RGGB"), mosaic=mosaic)).raw
    assert torch.equal(raw, demosaic(mosaic).clamp(0, 1))


def test_stage_follows_the_camera_s_pattern():
    mosaic = random_mosaic(1, 6, 6)
    raw = Demosaic("bilinear")(Frame(Camera(cfa="GBRG"), mosaic=mosaic)).raw
    assert torch.equal(raw, demosaic(mosaic, "GBRG", "bilinear"))


@pytest.mark.parametrize("shape", [(4, 4), (3, 4, 4), (1, 0, 4)])
def test_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"mosaic must be \(\.\.\., 1, H, W\)"):
        demosaic(torch.zeros(shape))


def test_other_refusals_and_repr():
    with pytest.raises(TypeError, match="uint8"):
        demosaic(torch.zeros(1, 4, 4, dtype=torch.uint8))
    with pytest.raises(ValueError, match="RGBG"):
        demosaic(torch.zeros(1, 4, 4), "RGBG")
    for build in (Demosaic, lambda method: demosaic(torch.zeros(1, 4, 4), method=method)):
        with pytest.raises(ValueError, match="'nearest'"):
            build("nearest")
    with pytest.raises(PipelineOrderError, match=r"Demosaic needs frame\.mosaic"):
        Demosaic()(Frame())
    assert repr(Demosaic()) == "Demosaic(method='malvar')"
