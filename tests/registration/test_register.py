"""Where a picture lies in its raw, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from isp_meta.errors import PictureMismatch
from isp_meta.registration import TILE, Placement, Registration, register, upright
from isp_meta.samples import Samples


def everywhere(found: Registration) -> torch.Tensor:
    """(h, w) bool: where samples are kept."""
    height, width = found.size
    index = torch.arange(height * width)
    samples = Samples(index, torch.zeros(len(index), 3), height, width)
    return found.keep(samples).mask()[0].bool()


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_crop_is_found_whichever_way_it_is_turned(scene, turn):
    shown = upright(scene.shown, turn)[:, 5:-40, 37:-2]
    found = register(shown, scene.raw, orientation=3)
    assert found.placement == Placement(turn, 5, 37)
    assert found.likeness > 0.4
    assert found.median_residual < 0.2
    assert found.share > 0.9


@pytest.mark.parametrize(("top", "left"), [(-64, 64), (-3, -64), (17, -1)])
def test_a_picture_may_reach_beyond_the_raw(scene, top, left):
    """As when the raw file's reader cuts off more than the converter did."""
    wide = functional.pad(scene.shown[None].float(), (64, 64, 64, 64), mode="reflect")[0]
    size = (scene.raw.shape[1] - 16, scene.raw.shape[2] - 80)
    shown = wide[:, 64 + top :, 64 + left :][:, : size[0], : size[1]].to(torch.uint8)
    found = register(shown, scene.raw)
    assert found.placement == Placement(1, top, left)
    kept = everywhere(found)
    rows, columns = found.placement.shared(found.raw_size, found.size)
    outside = torch.ones_like(kept)
    outside[rows, columns] = False
    assert not kept[outside].any()
    assert kept[rows, columns].float().mean() > 0.85


def test_a_small_part_of_a_large_raw_is_found(scene):
    found = register(scene.shown[:, 201:301, 333:463], scene.raw)
    assert found.placement == Placement(1, 201, 333)


@pytest.mark.parametrize("change", ["burnt", "dark", "gray", "noisy", "soft", "sharp"])
def test_tones_noise_and_sharpness_do_not_matter(scene, change):
    shown = scene.shown.float() / 255
    if change == "burnt":
        shown = shown * 3
    elif change == "dark":
        shown = shown**2 / 3
    elif change == "gray":
        shown = shown.mean(0, keepdim=True).expand(3, -1, -1)
    elif change == "noisy":
        shown = shown + 0.06 * torch.randn(shown.shape, generator=torch.Generator().manual_seed(1))
    else:
        soft = functional.avg_pool2d(shown, 3, 1, 1, count_include_pad=False)
        shown = soft if change == "soft" else 2.5 * shown - 1.5 * soft
    shown = (shown.clamp(0, 1) * 255).round().to(torch.uint8)[:, 3:, 9:]
    found = register(shown, scene.raw)
    assert found.placement == Placement(1, 3, 9)
    assert found.share > 0.8


def test_a_watermark_gets_no_sample(scene):
    shown = scene.shown.clone()
    mark = torch.zeros(shown.shape[1:], dtype=torch.bool)
    for left in range(100, 400, 60):
        mark[200:270, left : left + 12] = mark[228:240, left : left + 40] = True
    half = (shown.float() + 255) / 2
    shown[:, mark] = half.to(torch.uint8)[:, mark]
    # A white mark does not show on white.
    foreign = (shown.float() - scene.shown).abs().amax(0) > 20
    kept = everywhere(register(shown, scene.raw))
    assert kept[foreign].float().mean() < 0.15
    assert kept[:184].float().mean() > 0.95


@pytest.mark.parametrize("level", [0, 255])
def test_a_border_gets_no_sample(scene, level):
    shown = scene.shown.clone()
    border = torch.ones(shown.shape[1:], dtype=torch.bool)
    border[20:-20, 20:-20] = False
    shown[:, border] = level
    kept = everywhere(register(shown, scene.raw))
    # What is as black or white in the raw cannot be told from a border, and needs not be.
    assert kept[border].float().mean() < 0.25
    assert kept[60:-60, 60:-60].float().mean() > 0.9


def test_a_frame_around_the_picture_gets_no_sample(scene):
    shown = functional.pad(scene.shown, (50, 50, 30, 30), value=30)
    found = register(shown, scene.raw)
    assert found.placement == Placement(1, -30, -50)
    kept = everywhere(found)
    kept[30:-30, 50:-50] = False
    assert not kept.any()


def test_a_retouched_part_gets_no_sample(scene):
    shown = scene.shown.clone()
    shown[:, 300:380, 100:180] = scene.shown[:, 180:260, 400:480]
    kept = everywhere(register(shown, scene.raw))
    assert kept[300:380, 100:180].float().mean() < 0.1


@pytest.mark.parametrize("strength", [0.02, -0.03, 0.3])
def test_a_corrected_lens_is_refused_with_its_residual(scene, strength, warp):
    place = warp.from_middle(scene.shown)
    radius = place.square().sum(-1, keepdim=True) / place.square().sum(-1).max()
    shown = warp.apply(scene.shown, place * (1 + strength * radius))
    with pytest.raises(PictureMismatch, match="lens distortion"):
        register(shown, scene.raw)
    if abs(strength) < 0.1:
        assert register(shown, scene.raw, force=True).largest_residual > 1


def test_the_residual_is_that_of_the_distortion(scene, warp):
    place = warp.from_middle(scene.shown)
    shown = warp.apply(scene.shown, place * 1.006)
    with pytest.raises(PictureMismatch, match=r"off by \d\.\d pixels in the median, by up to \d"):
        register(shown, scene.raw)
    found = register(shown, scene.raw, force=True)
    # Windows lie 300 pixels from the middle at most, and are 256 pixels wide.
    assert 0.3 < found.median_residual < found.largest_residual < 0.006 * 400


@pytest.mark.parametrize("scale", [0.5, 0.8, 0.97, 1.03])
def test_a_resized_picture_is_refused(scene, scale):
    shown = functional.interpolate(
        scene.shown[None].float(), scale_factor=scale, mode="bilinear", antialias=True
    )
    with pytest.raises(PictureMismatch, match="resized"):
        register(shown[0].round().to(torch.uint8), scene.raw)


@pytest.mark.parametrize("other", ["negative", "noise"])
def test_other_pictures_are_refused(scene, other):
    generator = torch.Generator().manual_seed(2)
    noise = torch.randint(0, 256, scene.shown.shape, generator=generator, dtype=torch.uint8)
    shown = {"negative": 255 - scene.shown, "noise": noise}[other]
    with pytest.raises(PictureMismatch, match="does not show what the raw shows"):
        register(shown, scene.raw)


def test_force_takes_the_same_size_as_the_same_place(scene):
    found = register(255 - scene.shown, scene.raw, force=True)
    assert found.placement == Placement()
    assert math.isnan(found.likeness)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (31, 200)])
def test_pictures_too_small_to_tell_are_taken_at_their_size(size):
    raw = torch.linspace(0, 1, size[0] * size[1]).view(1, *size).expand(3, -1, -1)
    shown = (raw.sqrt() * 255).to(torch.uint8)
    found = register(shown, raw)
    assert found.placement == Placement()
    assert math.isnan(found.likeness)
    assert math.isnan(found.largest_residual)
    assert found.agrees.shape == tuple(-(-side // TILE) for side in size)
    with pytest.raises(PictureMismatch, match="too little detail"):
        register(functional.pad(shown, (0, 1), value=3), raw)


def test_flat_pictures_show_what_they_like():
    raw = torch.full((3, 64, 80), 0.25)
    assert register(torch.full((3, 64, 80), 128, dtype=torch.uint8), raw).placement == Placement()
    ramp = torch.linspace(0, 1, 80).expand(3, 64, 80)
    flat = torch.full((3, 64, 80), 128, dtype=torch.uint8)
    with pytest.raises(PictureMismatch, match="rank correlation"):
        register(flat, ramp)


def test_inputs_stay_as_they_were(scene):
    before = scene.shown.clone(), scene.raw.clone()
    register(scene.shown, scene.raw)
    assert scene.shown.equal(before[0])
    assert scene.raw.equal(before[1])
