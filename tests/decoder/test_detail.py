import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d, map_coordinates
from smooth_scenes import smooth

from isp_meta.decoder.detail import contrast
from isp_meta.ops.first_guess import CONTRAST_FEATURES

SIZES = [(1, 1), (3, 2), (21, 27), (8, 16), (150, 9)]


def textured(height, width):
    """Blobs under noise, some of it clipped at either end."""
    noise = torch.rand(3, height, width, generator=torch.Generator().manual_seed(1))
    return (smooth(height, width) + 0.8 * (noise - 0.5)).clamp(0, 1).double()


def pyramid(light, steps):
    """Bands and what remains, of a picture that repeats its border outward."""
    halo, bands = sum(steps), []
    picture = np.pad(light, ((0, 0), (halo, halo), (halo, halo)), mode="edge")
    for step in steps:
        taps = np.zeros(2 * step + 1)
        taps[[0, step, -1]] = 0.25, 0.5, 0.25
        blurred = convolve1d(convolve1d(picture, taps, axis=1), taps, axis=2)
        bands.append(picture - blurred)
        picture = blurred
    return [b[:, halo:-halo, halo:-halo] for b in (*bands, picture)]


def oracle(srgb):
    """The features as the docstrings state them, in NumPy."""
    _, height, width = srgb.shape
    *bands, _ = pyramid(np.log(srgb**2 + 0.005), (1, 2, 4))
    padded = np.pad(srgb, ((0, 0), (0, -height % 4), (0, -width % 4)), mode="edge")
    down, across = padded.shape[1] // 4, padded.shape[2] // 4
    small = padded.reshape(3, down, 4, across, 4).mean((2, 4))
    at = (np.stack(np.mgrid[:height, :width]) + 0.5) / 4 - 0.5
    for coarse in pyramid(np.log(small**2 + 0.005), (2, 4)):
        bands.append(np.stack([map_coordinates(c, at, order=1, mode="nearest") for c in coarse]))
    *bands, rest = bands
    brightness = srgb.mean(0)
    contrast = np.stack([band.mean(0) * brightness for band in bands])
    level = rest.mean(0)[None] ** 2
    return np.concatenate([*bands, contrast, contrast * brightness, rest, level])


@pytest.mark.parametrize("size", SIZES)
def test_it_is_the_bands_of_the_two_pyramids(size):
    srgb = textured(*size)
    got = contrast(srgb)
    assert got.shape == (CONTRAST_FEATURES, *size)
    np.testing.assert_allclose(got.numpy(), oracle(srgb.numpy()), rtol=0, atol=1e-12)


def test_every_band_of_a_textured_picture_says_something():
    srgb = textured(64, 48)
    spread = contrast(srgb).flatten(1).std(1)
    assert float(spread.min()) > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", SIZES)
def test_is_finite_and_keeps_the_dtype_of_black_white_and_the_hardest_contrast(size, dtype):
    checkers = (torch.arange(size[0])[:, None] + torch.arange(size[1])) % 2
    for plane in (torch.zeros(size), torch.ones(size), checkers):
        srgb = plane.to(dtype).expand(3, *size).contiguous()
        before = srgb.clone()
        got = contrast(srgb)
        assert got.dtype == dtype
        assert bool(got.isfinite().all())
        assert torch.equal(srgb, before)
        if not bool(plane.any()) or bool(plane.all()):
            torch.testing.assert_close(got[:15], torch.zeros_like(got[:15]), rtol=0, atol=1e-5)
