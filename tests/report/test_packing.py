import zlib

import numpy as np
import pytest
import torch

from isp_meta.report.packing import TOP, foretold, pack


def unpacked(data, height, width):
    """As page.js does it, pixel by pixel."""
    raw = np.frombuffer(zlib.decompress(data), np.uint8).astype(np.int32)
    folded = (raw[: len(raw) // 2] | raw[len(raw) // 2 :] << 8).reshape(3, height, width)
    residual = np.where(folded & 1, -(folded + 1) // 2, folded // 2)
    planes = np.zeros_like(residual)
    for y in range(height):
        for x in range(width):
            guess = foretold(planes[:, : y + 1, : x + 1])[:, y, x]
            planes[:, y, x] = (guess + residual[:, y, x]) & TOP
    green, red, blue = planes
    return np.stack([red + green & TOP, green, blue + green & TOP])


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (8, 1), (7, 10)])
@pytest.mark.parametrize("peak", [1.0, 2.7])
def test_codes_come_back(size, peak):
    light = torch.rand(3, *size, generator=torch.Generator().manual_seed(1)) * peak
    light[:, 0, 0] = torch.tensor([0.0, peak, peak * 2])
    codes = ((light / peak).clamp(0, 1).sqrt() * TOP).round().int().numpy()
    assert np.array_equal(unpacked(pack(light, peak), *size), codes)


def test_smooth_pictures_are_small():
    ramp = torch.linspace(0, 1, 256).expand(3, 256, 256)
    assert len(pack(ramp, 1.0)) < 3 * 256 * 256 / 20
