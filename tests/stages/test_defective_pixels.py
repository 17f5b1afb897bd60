import itertools
import math
import sys

import pytest
import torch

from isp_meta import read_raw
from isp_meta.camera import QUAD_BAYER, XTRANS, Camera, pattern_of
from isp_meta.data import sample_path
from isp_meta.frame import Frame
from isp_meta.stages import (
    BlackLevel,
    DefectivePixels,
    defect_detection,
    defective_pixels,
    detect_defects,
)


def smooth(height, width, *, dtype=torch.float64):
    """A plane for each of the four places, so that a neighbor of another color would show."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return ((y * 0.01 + x * 0.02) / 4 + 0.2 * (y % 2) + 0.3 * (x % 2)).to(dtype)[None]


def neighbors_of(mosaic, y, x):
    height, width = mosaic.shape[-2:]
    return [
        mosaic[0, y + dy, x + dx].item()
        for dy in (-2, 0, 2)
        for dx in (-2, 0, 2)
        if (dy or dx) and 0 <= y + dy < height and 0 <= x + dx < width
    ]


@pytest.mark.parametrize("contrast", [0, 0.5, 2])
@pytest.mark.parametrize("size", [(3, 3), (4, 5), (6, 7), (7, 6), (12, 13)])
def test_detection_is_its_definition(size, contrast):
    generator = torch.Generator().manual_seed(sum(size))
    mosaic = torch.rand(1, *size, generator=generator)
    found = detect_defects(mosaic, 0.05, contrast)
    for y in range(size[0]):
        for x in range(size[1]):
            around = neighbors_of(mosaic, y, x)
            value = mosaic[0, y, x].item()
            # A mirrored border shows a pixel itself where a side has none of its color.
            alone = len({dy for dy in (-2, 0, 2) if 0 <= y + dy < size[0]}) == 1 or (
                len({dx for dx in (-2, 0, 2) if 0 <= x + dx < size[1]}) == 1
            )
            excess = 0 if alone else max(value - max(around), min(around) - value)
            expected = excess > 0.05
            inside = 3 <= y < size[0] - 3 and 3 <= x < size[1] - 3
            if expected and inside:
                expected = excess > contrast * most_beside(mosaic, y, x)
            if inside or not contrast or not expected:
                assert bool(found[0, y, x]) == expected, (y, x)


def most_beside(mosaic, y, x):
    beside = [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    return max(abs(mosaic[0, v, u].item() - sum(neighbors_of(mosaic, v, u)) / 8) for v, u in beside)


def test_detection_in_bands_is_the_same(monkeypatch):
    mosaic = torch.rand(2, 1, 41, 30, generator=torch.Generator().manual_seed(0))
    whole = detect_defects(mosaic, 0.1, 0.5)
    monkeypatch.setattr(sys.modules[detect_defects.__module__], "_BAND", 200)
    assert torch.equal(detect_defects(mosaic, 0.1, 0.5), whole)
    assert whole.any()
    assert whole.sum() < detect_defects(mosaic, 0.1, 0).sum()


def light(kind, blur, generator):
    """(52, 72) of what a lens makes of stars or of dark specks; blur in pixels."""
    fine = torch.full((480, 640), 0.3, dtype=torch.float64)
    for y, x in (torch.rand(25, 2, generator=generator) * 0.8 + 0.1).tolist():
        side, value = (2, 30.0) if kind == "stars" else (12, 0.0)
        top, left = int(y * 480), int(x * 640)
        fine[top : top + side, left : left + side] = value
    width = torch.arange(-24, 25, dtype=torch.float64)
    spread = torch.exp(-(width**2) / (2 * (8 * blur) ** 2))
    for shape in ((1, 1, -1, 1), (1, 1, 1, -1)):
        kernel = (spread / spread.sum()).view(shape)
        fine = torch.nn.functional.conv2d(fine[None, None], kernel, padding="same")[0, 0]
    return fine.view(60, 8, 80, 8).mean((1, 3))[4:-4, 4:-4].clamp(0, 1)


@pytest.mark.parametrize("blur", [0.4, 0.6])
@pytest.mark.parametrize("kind", ["stars", "specks"])
def test_what_light_makes_is_left_alone(kind, blur):
    generator = torch.Generator().manual_seed(0)
    gain = torch.tensor([[0.5, 1.0], [1.0, 0.7]], dtype=torch.float64).repeat(26, 36)
    mosaic = (light(kind, blur, generator) * gain)[None]
    noise = torch.randn(mosaic.shape, generator=generator, dtype=mosaic.dtype)
    assert detect_defects(mosaic, 0.05, 0).sum() > 3
    assert not detect_defects(mosaic + 0.003 * noise, 0.05).any()


def test_defects_of_a_photograph_are_found_and_its_detail_is_not_touched():
    frame = read_raw(sample_path())
    mosaic = BlackLevel()(frame).mosaic
    assert detect_defects(mosaic, 0.1, 0).sum() > 10
    assert not detect_defects(mosaic, 0.1).any()
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(
        torch.arange(4, mosaic.shape[1] - 4, 9),
        torch.arange(4, mosaic.shape[2] - 4, 9),
        indexing="ij",
    )
    y, x = (at + torch.randint(0, 2, at.shape, generator=generator) for at in (y, x))
    value = torch.rand(y.shape, generator=generator)
    broken = mosaic.clone()
    broken[0, y, x] = value
    visible = (value - mosaic[0, y, x]).abs() > 0.2
    found = detect_defects(broken, 0.1)
    assert found[0, y, x][visible].float().mean() > 0.95
    assert found.sum() == found[0, y, x].sum()
    mended = DefectivePixels()(Frame(mosaic=broken)).mosaic
    error = (mended - mosaic).square().mean() / (broken - mosaic).square().mean()
    assert error < 0.05


def one_color_each(cfa, height, width):
    """Shading, and a level for each color of a pattern, so that another color would show."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    shade = (y * 0.01 + x * 0.02) / 8
    if cfa == "RGB":
        return shade + torch.tensor([0.1, 0.3, 0.5]).view(3, 1, 1)
    pattern, side = pattern_of(cfa), math.isqrt(len(cfa))
    return (shade + 0.25 * pattern[y % side, x % side])[None]


@pytest.mark.parametrize("cfa", ["W", "RGB", QUAD_BAYER, XTRANS])
@pytest.mark.parametrize("method", ["gradient", "median"])
@pytest.mark.parametrize("place", [(0, 0), (3, 13), (11, 10), (13, 0), (25, 27)])
def test_under_any_pattern_defects_are_found_and_repaired(cfa, method, place, monkeypatch):
    monkeypatch.setitem(detect_defects.__globals__, "_BAND", 300)
    clean = one_color_each(cfa, 26, 28)
    frame = Frame(Camera(cfa=cfa), mosaic=clean)
    assert not detect_defects(clean, 0.1, 4.0, cfa).any()
    for value in (1.6, -0.9):
        broken = clean.clone()
        broken[-1, place[0], place[1]] = value
        found = detect_defects(broken, 0.1, 4.0, cfa)
        assert found.nonzero().tolist() == [[len(clean) - 1, *place]]
        out = DefectivePixels(method=method)(frame.replace(mosaic=broken)).mosaic
        assert torch.equal(out[~found], clean[~found])
        assert (out - clean).abs().max() < 0.04


def test_neighbors_of_any_pattern_have_its_color_and_face_each_other():
    for cfa in (QUAD_BAYER, XTRANS, "RGBGBRBRG"):
        pattern, side = pattern_of(cfa), math.isqrt(len(cfa))
        table = torch.tensor(defect_detection.neighbors_of(cfa))
        assert torch.equal(table[:, :, :4], -table[:, :, 4:])
        for y, x in itertools.product(range(side), repeat=2):
            offsets = table[y, x].tolist()
            assert len({tuple(offset) for offset in offsets}) == 8
            assert {pattern[(y + dy) % side, (x + dx) % side].item() for dy, dx in offsets} == {
                pattern[y, x].item()
            }


@pytest.mark.parametrize("cfa", ["W", "RGB", XTRANS])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4)])
def test_small_pictures_of_any_pattern(cfa, size):
    mosaic = torch.rand(2, 3 if cfa == "RGB" else 1, *size)
    stage = DefectivePixels([(0, 0)], threshold=0.01, contrast=0.0)
    assert stage(Frame(Camera(cfa=cfa), mosaic=mosaic)).mosaic.shape == mosaic.shape


def test_noise_is_not_defective():
    noise = torch.randn(1, 400, 600, generator=torch.Generator().manual_seed(0))
    mosaic = (0.4 + 0.06 * noise).clamp(0, 1)
    assert detect_defects(mosaic, 0.1).sum() < detect_defects(mosaic, 0.1, 0).sum() / 200


@pytest.mark.parametrize("method", ["gradient", "median"])
@pytest.mark.parametrize(("top", "left"), [(y, x) for y in (0, 1, 6, 11) for x in (0, 1, 7, 13)])
def test_hot_and_dead_pixels_anywhere_are_found_and_repaired(method, top, left):
    clean = smooth(12, 14)
    for value in (1.0, -0.5):
        broken = clean.clone()
        broken[0, top, left] = value
        out = DefectivePixels(method=method)(Frame(mosaic=broken)).mosaic
        assert (out - clean).abs().max() < 0.02
        sound = torch.ones_like(clean, dtype=torch.bool)
        sound[0, top, left] = False
        assert torch.equal(out[sound], broken[sound])


def test_the_direction_of_least_gradient_keeps_an_edge():
    clean = torch.zeros(1, 11, 11)
    clean[..., 5:] = 1.0
    broken = clean.clone()
    broken[0, 5, 5] = 0.3
    defects = clean.new_zeros(1, 11, 11).bool()
    defects[0, 5, 5] = True
    assert torch.equal(defective_pixels(broken, defects), clean)


def test_median_of_an_even_and_an_odd_number_of_neighbors():
    mosaic = torch.arange(25.0).view(1, 5, 5)
    defects = torch.zeros(1, 5, 5, dtype=torch.bool)
    defects[0, 2, 2] = defects[0, 0, 0] = True
    # Around the center, without the corner: 2 4 10 14 20 22 24; at the corner: 2 and 10.
    out = defective_pixels(mosaic, defects, "median")
    assert (out[0, 2, 2].item(), out[0, 0, 0].item()) == (14.0, 6.0)


@pytest.mark.parametrize("method", ["gradient", "median"])
def test_columns_and_blocks_fill_from_their_rim(method):
    clean = smooth(20, 24)
    defects = torch.zeros(1, 20, 24, dtype=torch.bool)
    defects[..., 3:12] = True
    defects[:, :9, :16] = True
    out = defective_pixels(torch.where(defects, 9.0, clean), defects, method)
    assert (out - clean).abs().max() < 0.2
    assert torch.equal(out[~defects], clean[~defects])


def test_a_color_that_is_defective_everywhere_stays():
    mosaic = torch.rand(1, 6, 6)
    defects = torch.zeros(1, 6, 6, dtype=torch.bool)
    defects[..., ::2, ::2] = True
    assert torch.equal(defective_pixels(mosaic, defects), mosaic)


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 2), (3, 1), (3, 3)])
def test_small_pictures(size):
    mosaic = torch.rand(2, 1, *size)
    assert detect_defects(mosaic, 0.0).shape == mosaic.shape
    everywhere = torch.ones(size, dtype=torch.bool)
    assert torch.equal(defective_pixels(mosaic, everywhere), mosaic)
    assert DefectivePixels([(0, 0)])(Frame(mosaic=mosaic)).mosaic.shape == mosaic.shape


def test_defects_of_each_picture_of_a_batch():
    clean = smooth(10, 10).expand(3, 1, 10, 10).clone()
    broken = clean.clone()
    for number in range(3):
        broken[number, 0, 4 + number, 5] = 1.0
    assert (DefectivePixels()(Frame(mosaic=broken)).mosaic - clean).abs().max() < 0.01


@pytest.mark.parametrize("method", ["gradient", "median"])
def test_gradient(method):
    mosaic = torch.rand(1, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    defects = torch.zeros(1, 5, 6, dtype=torch.bool)
    defects[0, 2, 1:5] = True
    assert torch.autograd.gradcheck(
        lambda m: defective_pixels(m, defects, method), mosaic.requires_grad_()
    )


def test_known_defects_as_list_and_as_mask():
    mosaic = smooth(6, 6)
    mosaic[0, 2, 3] += 0.05  # Not enough to be found.
    listed = DefectivePixels([(2, 3), (77, 0), (-1, 2)])
    mask = torch.zeros(1, 6, 6, dtype=torch.bool)
    mask[0, 2, 3] = True
    out = listed(Frame(mosaic=mosaic)).mosaic
    assert (out - smooth(6, 6)).abs().max() < 1e-7
    assert torch.equal(DefectivePixels(mask)(Frame(mosaic=mosaic)).mosaic, out)
    assert torch.equal(DefectivePixels()(Frame(mosaic=mosaic)).mosaic, mosaic)
    again = DefectivePixels(**listed.arguments())
    assert torch.equal(again(Frame(mosaic=mosaic)).mosaic, out)


def test_refusals_and_repr():
    with pytest.raises(ValueError, match="mean"):
        DefectivePixels(method="mean")
    with pytest.raises(ValueError, match="mean"):
        defective_pixels(torch.zeros(1, 2, 2), torch.zeros(2, 2, dtype=torch.bool), "mean")
    with pytest.raises(ValueError, match="threshold must be 0 to 1"):
        DefectivePixels(threshold=2.0)
    text = "DefectivePixels(1 known, threshold=0.1, contrast=4, method='gradient')"
    assert repr(DefectivePixels([(1, 2)])) == text


def test_a_graph_fills_a_cluster_from_its_rim_and_leaves_the_inside_of_a_large_one(monkeypatch):
    mosaic = torch.rand(1, 40, 40, generator=torch.Generator().manual_seed(0))
    small, large = (torch.zeros(1, 40, 40, dtype=torch.bool) for _ in range(2))
    small[:, 10:20, 12:22] = True  # five neighbors of each color across
    large[:, 4:36, 4:36] = True
    expected = defective_pixels(mosaic, small)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    torch.testing.assert_close(defective_pixels(mosaic, small), expected)
    left = defective_pixels(mosaic, large)
    assert torch.equal(left[:, 18:22, 18:22], mosaic[:, 18:22, 18:22])
    assert not torch.equal(left[:, 4:10], mosaic[:, 4:10])
