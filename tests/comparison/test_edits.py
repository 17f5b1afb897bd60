from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from isp_meta import Camera, Frame
from isp_meta.comparison import EDITS, Edit, compare, edit_errors, linear_light
from isp_meta.comparison.edits import color_difference, develop
from isp_meta.errors import RawFileError
from isp_meta.io import write_mosaic
from isp_meta.metrics import delta_e_2000, psnr, xyz_to_lab
from isp_meta.stages import ColorMatrix, WhiteBalance, srgb_encode

CAMERA = Camera(as_shot_neutral=(0.5, 1.0, 0.6))
PLAIN = Edit("plain")


@pytest.fixture
def raw():
    return 0.4 * torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(1))


def test_a_raw_is_developed_by_the_camera_s_calibration(raw):
    small = Frame(CAMERA, raw=functional.avg_pool2d(raw, 2))
    expected = ColorMatrix(clip=False)(WhiteBalance(clip=False)(small)).rgb
    assert torch.allclose(linear_light(small), expected, atol=1e-6)
    assert torch.allclose(develop(raw, CAMERA, PLAIN), expected.clamp(0, 1), atol=1e-6)
    warm = develop(raw, CAMERA, Edit("warm", kelvin=3000))
    # Balanced to lamplight, a daylight picture turns blue.
    assert warm[2].mean() / warm[0].mean() > 1.5 * expected[2].mean() / expected[0].mean()


def test_exposure_shadows_and_contrast_do_what_they_say():
    gray = torch.tensor([0.0, 1e-5, 0.01, 0.1, 0.25, 1.0]).expand(3, 1, -1)
    assert torch.equal(PLAIN(gray), gray)
    assert torch.allclose(Edit("a", exposure=1)(gray), (2 * gray).clamp(max=1))
    lifted = Edit("a", shadows=4)(gray)[0, 0]
    assert lifted[1] == pytest.approx(16e-5, rel=1e-2)
    assert lifted[4] < 1.7 * 0.25
    fine = torch.linspace(0, 1, 1000).expand(3, 1, -1)
    for edit in (Edit("a", shadows=4), Edit("a", contrast=8)):
        shown = edit(fine)
        assert bool((shown.diff() >= 0).all())
        assert shown.min() == 0
        assert shown.max() == 1
    middle = 0.2140411  # what sRGB encodes as one half
    near = torch.tensor([middle - 1e-3, middle, middle + 1e-3]).expand(3, 1, -1)
    strong = srgb_encode(Edit("a", contrast=8)(near))[0, 0]
    assert strong[1] == pytest.approx(0.5, abs=1e-4)
    slope = (strong[2] - strong[0]) / (srgb_encode(near)[0, 0, 2] - srgb_encode(near)[0, 0, 0])
    assert slope == pytest.approx(2 / math.tanh(2), rel=1e-2)


def test_colors_keep_their_hue_when_shadows_are_lifted():
    color = torch.tensor([0.02, 0.01, 0.005]).view(3, 1, 1)
    lifted = Edit("a", shadows=4)(color)
    assert torch.allclose(lifted / lifted[0], color / color[0])
    assert lifted[0] > 5 * color[0]


def test_errors_are_those_of_the_developed_pictures(raw):
    noise = 0.01 * torch.randn(raw.shape, generator=torch.Generator().manual_seed(2))
    got = (raw + noise).clamp(0, 1)
    found = edit_errors(got, raw, CAMERA)
    assert [error.name for error in found] == [edit.name for edit in EDITS]
    for edit, error in zip(EDITS, found, strict=True):
        one, other = (develop(each, CAMERA, edit) for each in (got, raw))
        assert error.psnr == psnr(srgb_encode(one), srgb_encode(other))
        assert error.delta_e == pytest.approx(float(color_difference(one, other).mean()))
        assert 0 < error.blotches < 0.6 * error.delta_e  # noise averages out


def test_a_blotch_does_not_average_out(raw):
    flat = torch.full_like(raw, 0.2)
    blotched = flat.clone()
    blotched[:, 16:32, 16:32] *= 1.1
    (error,) = edit_errors(blotched, flat, CAMERA, [PLAIN])
    assert error.blotches == pytest.approx(error.delta_e * 20 * 25 / (2 * 3 * 64), rel=1e-3)


def test_white_and_primaries_have_the_color_differences_of_srgb():
    white = torch.ones(3, 1, 2)
    red = torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1).expand(-1, -1, 2)
    # L*a*b* of sRGB white and red under D65, as tables give them.
    lab = torch.tensor([[100.0, 53.2408], [0.0, 80.0925], [0.0, 67.2032]])
    expected = float(delta_e_2000(lab[:, :1], lab[:, 1:]))
    assert color_difference(white, red)[0, 0] == pytest.approx(expected, abs=0.02)
    assert xyz_to_lab(torch.ones(3, 1), torch.ones(3))[0] == pytest.approx(100)


def test_what_cannot_be_edited(raw, make_frame, tmp_path):
    assert edit_errors(raw[:, :15], raw[:, :15], CAMERA) == ()
    with pytest.raises(ValueError, match="shapes differ"):
        edit_errors(raw, raw[:, 1:], CAMERA)
    frame = make_frame(40, 50)
    camera = replace(frame.camera, color_matrix=(1.0, 0, 0, 1, 0, 0, 1, 0, 0), editing=None)
    write_mosaic(tmp_path / "a.dng", frame.replace(camera=camera))
    with pytest.raises(RawFileError, match=r"a\.dng: cannot be developed"):
        compare(tmp_path / "a.dng", tmp_path / "a.dng", edits=EDITS)


def test_equal_pictures_stay_equal_after_every_edit(raw):
    for error in edit_errors(raw, raw, CAMERA):
        assert (error.psnr, error.delta_e, error.blotches) == (math.inf, 0, 0)
