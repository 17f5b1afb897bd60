import pytest
import torch

from isp_meta.camera import BAYER_PATTERNS, Camera
from isp_meta.io import remosaic
from isp_meta.io.libraw_demosaic import libraw_demosaic
from isp_meta.stages import demosaic

ALGORITHMS = ("LINEAR", "VNG", "PPG", "AHD", "DCB", "DHT", "AAHD")
CODE = 1 / 65535


def scene(height=48, width=56):
    """Smooth light of three colors, dark to saturated."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    light = 0.5 + 0.5 * torch.sin(x / 9) * torch.cos(y / 7)
    return torch.stack([light, 0.8 * light + 0.1, 0.9 * light])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("cfa", BAYER_PATTERNS)
def test_measured_pixels_come_back(algorithm, cfa):
    mosaic = remosaic(scene(), cfa)
    raw = libraw_demosaic(mosaic, Camera(cfa=cfa), algorithm)
    assert raw.shape == (3, 48, 56)
    assert raw.dtype == mosaic.dtype
    assert float((remosaic(raw, cfa) - mosaic).abs().max()) <= 0.501 * CODE


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_rest_is_near_the_truth(algorithm):
    raw = libraw_demosaic(remosaic(scene(), "GRBG"), Camera(cfa="GRBG"), algorithm)
    inside = (..., slice(8, -8), slice(8, -8))
    assert float((raw - scene())[inside].square().mean()) < 1e-4


def test_linear_is_our_bilinear():
    mosaic = remosaic(scene(), "BGGR")
    raw = libraw_demosaic(mosaic, Camera(cfa="BGGR"), "LINEAR")
    difference = (raw - demosaic(mosaic, "BGGR", "bilinear"))[:, 1:-1, 1:-1]
    assert float(difference.abs().max()) < 2.5 * CODE


def test_values_outside_are_clipped_and_doubles_stay_doubles():
    mosaic = torch.linspace(-0.5, 1.5, 24 * 26, dtype=torch.float64).view(1, 24, 26)
    raw = libraw_demosaic(mosaic, Camera())
    assert raw.dtype == torch.float64
    assert float((remosaic(raw, "RGGB") - mosaic.clamp(0, 1)).abs().max()) <= 0.501 * CODE


def test_refusals():
    with pytest.raises(ValueError, match="no side below 22 pixels"):
        libraw_demosaic(torch.zeros(1, 21, 40), Camera())
    assert libraw_demosaic(torch.zeros(1, 22, 22), Camera()).shape == (3, 22, 22)
    with pytest.raises(ValueError, match="'LMMSE'"):
        libraw_demosaic(torch.zeros(1, 40, 40), Camera(), "LMMSE")
    with pytest.raises(ValueError, match="finite"):
        libraw_demosaic(torch.full((1, 40, 40), torch.nan), Camera())
