import math

import pytest
import torch

from isp_meta import Camera, Pipeline, unprocess
from isp_meta.io import known_camera, remosaic
from isp_meta.presets import minimal, random
from isp_meta.presets.unprocess import random_noise
from isp_meta.stages import BlackLevel, ColorMatrix, Gamma, ToneCurve, WhiteBalance, as_shot_gains

BLACK = (500.0, 502.0, 501.0, 503.0)


def a_camera(**changes):
    known = known_camera("SONY", "SLT-A57")
    return known.replace(cfa="GRBG", black_level=BLACK, white_level=16383.0, **changes)


def a_picture(height=48, width=64, dtype=torch.float32, top=0.93):
    """Smooth colors of all kinds, none so bright that gains are left aside."""
    y, x = torch.meshgrid(
        torch.linspace(0, 3, height, dtype=dtype),
        torch.linspace(0, 4, width, dtype=dtype),
        indexing="ij",
    )
    waves = [torch.sin(3 * x + y), torch.cos(2 * y - x), torch.sin(x * y)]
    return top * (0.5 + 0.4 * torch.stack(waves))


def rendered_again(frame, brightness):
    """The inverse of every step that unprocessing assumes."""
    gains = as_shot_gains(frame.camera.as_shot_neutral) / brightness
    x = torch.linspace(0, 1, 4097, dtype=torch.float64)
    smoothstep = ToneCurve((3 - 2 * x) * x * x)
    # The tone curve comes after the transfer function, which makes srgb of rgb.
    half = Pipeline([WhiteBalance(gains, clip=False), ColorMatrix(), Gamma()])(frame)
    return smoothstep(half.replace(rgb=half.srgb)).rgb


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rendered_by_what_it_assumes_it_is_the_picture_again(dtype):
    srgb = a_picture(dtype=dtype)
    frame = unprocess(srgb, a_camera(), noise=None, brightness=0.7)
    assert frame.raw.dtype == frame.codes.dtype == dtype
    assert float((rendered_again(frame, 0.7) - srgb).abs().max()) < 1e-5


def test_codes_are_the_mosaic_of_raw_in_whole_numbers():
    frame = unprocess(a_picture(), a_camera(), noise=None)
    assert torch.equal(frame.codes, frame.codes.round())
    mosaic = BlackLevel()(frame).mosaic
    assert float((mosaic - remosaic(frame.raw, "GRBG")).abs().max()) < 0.51 / (16383 - 503)
    assert frame.filled == {"codes", "raw", "srgb"}
    assert frame.camera.noise is None


def test_highlights_stay_white():
    white = unprocess(torch.ones(3, 8, 8), a_camera(), noise=None)
    assert torch.equal(white.codes, torch.full((1, 8, 8), 16383.0))
    assert float(minimal()(white).srgb.min()) == 1.0
    gray = torch.linspace(0, 1, 200).expand(3, 2, 200)
    raw = unprocess(gray, a_camera(), noise=None).raw
    assert bool((raw.diff(dim=2) >= 0).all())


def test_noise_has_the_variance_that_it_says():
    shot, read = 2e-3, 1e-4
    light = torch.full((3, 400, 400), 0.6)
    clean = unprocess(light, a_camera(), noise=None, brightness=0.8)
    noisy = unprocess(
        light, a_camera(), torch.Generator().manual_seed(1), noise=(shot, read), brightness=0.8
    )
    assert noisy.camera.noise == (shot, read)
    assert torch.equal(noisy.raw, clean.raw)
    error = BlackLevel(clip=False)(noisy).mosaic - remosaic(clean.raw, "GRBG")
    for place in range(4):
        here = (0, slice(place // 2, None, 2), slice(place % 2, None, 2))
        signal = float(remosaic(clean.raw, "GRBG")[here].mean())
        assert float(error[here].var()) == pytest.approx(shot * signal + read, rel=0.03)
        assert abs(float(error[here].mean())) < 4 * math.sqrt((shot * signal + read) / 40000)


def test_random_noise_follows_the_published_line():
    generator = torch.Generator().manual_seed(0)
    drawn = torch.tensor([random_noise(generator) for _ in range(2000)], dtype=torch.float64).log()
    assert math.log(1e-4) <= float(drawn[:, 0].min()) < math.log(1.1e-4)
    assert math.log(1.1e-2) < float(drawn[:, 0].max()) <= math.log(1.2e-2)
    rest = drawn[:, 1] - (2.18 * drawn[:, 0] + 1.20)
    assert float(rest.mean()) == pytest.approx(0, abs=0.03)
    assert float(rest.std()) == pytest.approx(0.26, rel=0.08)
    shots = [random_noise(generator, (1e-5, 1e-3))[0] for _ in range(500)]
    assert 1e-5 <= min(shots) < 1.1e-5
    assert 0.9e-3 < max(shots) <= 1e-3


def test_a_generator_decides_everything():
    def made(seed):
        return unprocess(a_picture(), None, torch.Generator().manual_seed(seed))

    first, again, other = made(3), made(3), made(4)
    assert torch.equal(first.codes, again.codes)
    assert (first.camera, first.camera.noise) == (again.camera, again.camera.noise)
    assert first.camera != other.camera


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (7, 2), (33, 47)])
def test_any_size_goes_through_any_camera(size):
    srgb = a_picture(*size)
    given = srgb.clone()
    frame = unprocess(srgb, None, torch.Generator().manual_seed(0))
    assert (frame.raw.shape, frame.codes.shape) == ((3, *size), (1, *size))
    assert 0 <= float(frame.codes.min()) <= float(frame.codes.max()) <= frame.camera.white_level
    assert random(torch.Generator().manual_seed(0))(frame).srgb.shape == (3, *size)
    assert torch.equal(srgb, given)


@pytest.mark.parametrize(
    ("srgb", "options", "text"),
    [
        (torch.zeros(1, 4, 4), {}, r"\(3, H, W\)"),
        (torch.zeros(3, 0, 4), {}, r"\(3, H, W\)"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), {}, "floating point"),
        (torch.full((3, 4, 4), torch.nan), {}, "finite"),
        (torch.zeros(3, 4, 4), {"noise": "some"}, "'random'"),
        (torch.zeros(3, 4, 4), {"noise": (-1.0, 0.0)}, "noise must be"),
        (torch.zeros(3, 4, 4), {"brightness": 0.0}, "brightness"),
        (
            torch.zeros(3, 4, 4),
            {"camera": Camera(color_matrix=(0.0,) * 9)},
            "no camera calibration",
        ),
    ],
)
def test_what_does_not_fit_is_refused(srgb, options, text):
    with pytest.raises(ValueError, match=text):
        unprocess(srgb, **options)


def test_values_out_of_range_count_as_black_and_white():
    frame = unprocess(torch.tensor([-0.5, 1.5]).expand(3, 2, 2), a_camera(), noise=None)
    assert frame.codes.flatten().tolist() == [BLACK[0], 16383, BLACK[2], 16383]
