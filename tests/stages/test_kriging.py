import math

import numpy as np
import pytest
import rawpy
import torch
from torch.nn import functional

from isp_meta import Frame, presets, read_raw, write_dng
from isp_meta.camera import QUAD_BAYER, XTRANS, Camera, pattern_of
from isp_meta.data import sample_path
from isp_meta.io import remosaic
from isp_meta.stages import Demosaic, demosaic
from isp_meta.stages.kriging import _OFFSETS, _PRIORS, _WINDOW, _filters, kriging


def psnr(one, other, border=10):
    inside = (..., slice(border, -border), slice(border, -border))
    return -10 * math.log10(float((one - other)[inside].square().mean()))


@pytest.fixture(scope="module")
def picture():
    """The sample at half its size, so that no color was interpolated, and its mirror images."""
    rendered = presets.minimal()(read_raw(sample_path())).srgb
    small = functional.avg_pool2d(rendered[:, :512, :768], 2)
    wide = torch.cat([small, small.flip(-1)], -1)
    return torch.cat([wide, wide.flip(-2), wide], -2)


def by_libraw(mosaic, path):
    write_dng(path, Frame(Camera(cfa=XTRANS), raw=mosaic.expand(3, -1, -1)))
    with rawpy.imread(str(path)) as raw:
        codes = raw.postprocess(
            demosaic_algorithm=rawpy.DemosaicAlgorithm.AHD,  # of X-Trans: Markesteijn, 3 passes
            output_color=rawpy.ColorSpace.raw,
            output_bps=16,
            gamma=(1, 1),
            user_wb=[1.0, 1.0, 1.0, 1.0],
            no_auto_bright=True,
            no_auto_scale=True,
            user_black=0,
            user_sat=65535,
        )
    return torch.from_numpy(codes.astype(np.float32)).movedim(-1, 0) / 65535


def test_xtrans_is_better_than_libraw_s(picture, tmp_path):
    mosaic = remosaic(picture, XTRANS)
    ours = psnr(demosaic(mosaic, XTRANS).clamp(0, 1), picture)
    theirs = psnr(by_libraw(mosaic, tmp_path / "x.dng"), picture)
    assert ours > theirs


def test_other_mosaics_are_better_than_by_their_nearest_pixels(picture):
    for cfa, gain in (("RGGB", 3), (XTRANS, 3), (QUAD_BAYER, 1.5)):
        mosaic = remosaic(picture, cfa)
        nearest = psnr(demosaic(mosaic, cfa, "bilinear"), picture)
        assert psnr(demosaic(mosaic, cfa, "kriging"), picture) > nearest + gain
    malvar = psnr(demosaic(remosaic(picture, "RGGB"), "RGGB", "malvar"), picture)
    assert psnr(demosaic(remosaic(picture, "RGGB"), "RGGB", "kriging"), picture) > malvar + 0.5


def test_predictors_are_those_of_least_error():
    """Their covariance equations hold, place by place, with one multiplier for each condition."""
    prior, pattern = _PRIORS[1], pattern_of(XTRANS)
    filters = _filters(XTRANS, prior)
    for y, x in ((0, 0), (1, 3), (4, 1)):
        color = pattern[(y + _OFFSETS[:, 0]) % 6, (x + _OFFSETS[:, 1]) % 6]
        for wanted in range(3):
            weights = filters[y, x, wanted].flatten()
            sums = [float(weights[color == c].sum()) for c in range(3)]
            assert sums == pytest.approx([float(c == wanted) for c in range(3)], abs=1e-9)
            assert (_OFFSETS.T.double() @ weights).tolist() == pytest.approx([0, 0], abs=1e-8)
            own = pattern[y, x] == wanted
            assert (float(weights[len(weights) // 2]) == 0) == bool(own)
            # Any change that keeps the conditions errs more.
            errors = [error_of(weights, prior, color, wanted)]
            free = null_space(color, keep_center=not own)
            step = free.T @ (free @ torch.randn(len(weights), dtype=torch.float64))
            errors += [error_of(weights + s * step, prior, color, wanted) for s in (1e-2, -1e-2)]
            assert errors[0] < min(errors[1:])


def error_of(weights, prior, color, wanted):
    apart = (_OFFSETS[:, None] - _OFFSETS).double()
    between = prior.covariance(apart, color[:, None] == color)
    between = between + 1e-4 * torch.eye(len(color), dtype=torch.float64)
    toward = prior.covariance(_OFFSETS.double(), color == wanted)
    return float(weights @ between @ weights - 2 * weights @ toward)


def null_space(color, keep_center):
    """Rows that no condition sees: sums of each color, slopes, and the pixel itself."""
    rows = [(color == c).double() for c in range(3)] + list(_OFFSETS.T.double())
    if not keep_center:
        rows.append((_OFFSETS == 0).all(1).double())
    return torch.linalg.svd(torch.stack(rows))[2][len(rows) :]


def test_colors_are_compared_as_shares_of_the_neutral(picture):
    neutral = torch.tensor([0.5, 1.0, 0.625])
    part = picture[:, 200:400, 200:420]
    raw = part * neutral.view(3, 1, 1)
    mosaic = remosaic(raw, XTRANS)
    balanced = demosaic(remosaic(part, XTRANS), XTRANS) * neutral.view(3, 1, 1)
    known = demosaic(mosaic, XTRANS, neutral=neutral)
    torch.testing.assert_close(known, balanced, rtol=0, atol=1e-5)
    assert psnr(known, raw) > psnr(demosaic(mosaic, XTRANS), raw)
    camera = Camera(cfa=XTRANS, as_shot_neutral=tuple(neutral.tolist()))
    frame = Frame(camera, mosaic=mosaic)
    assert torch.equal(Demosaic()(frame).raw, known.clamp(0, 1))
    other = frame.replace(camera=Camera(cfa=XTRANS))
    assert torch.equal(Demosaic().bind(camera)(other).raw, known.clamp(0, 1))
    assert torch.equal(Demosaic(neutral=neutral)(other).raw, known.clamp(0, 1))
    assert Demosaic().bind(Camera()).arguments() == {"method": "malvar", "neutral": None}
    for wrong in ([1.0, 1.0], [1.0, 0.0, 1.0]):
        with pytest.raises(ValueError, match="neutral must be 3 positive values"):
            Demosaic(neutral=wrong)


def test_an_edge_goes_along_its_own_direction():
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    for angle in range(0, 180, 15):
        down, right = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        edge = torch.sigmoid(2 * (down * (y - 24) + right * (x - 24))).expand(3, -1, -1)
        raw = kriging(remosaic(edge, XTRANS)[0], XTRANS)
        assert psnr(raw, edge, _WINDOW) > 40


def test_scale_changes_nothing():
    mosaic = torch.rand(30, 30, dtype=torch.float64)
    for scale in (1e-9, 1e4):
        found = kriging(mosaic * scale, XTRANS) / scale
        torch.testing.assert_close(found, kriging(mosaic, XTRANS), rtol=0, atol=1e-9)
    dark = kriging(mosaic.float() * 1e-6, XTRANS)
    assert bool(dark.isfinite().all())
    assert torch.equal(kriging(torch.zeros(20, 20), XTRANS), torch.zeros(3, 20, 20))
