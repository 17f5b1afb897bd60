import math

import numpy as np
import pytest
import torch

from isp_meta import Camera, Frame
from isp_meta.comparison import measure
from isp_meta.comparison.fidelity import sixteen_bits
from isp_meta.metrics import ssim

NEUTRAL = (0.5, 1.0, 0.8)


@pytest.fixture
def scene():
    raw = torch.rand(3, 32, 40, generator=torch.Generator().manual_seed(1))
    return Frame(Camera(as_shot_neutral=NEUTRAL), raw=raw)


def test_psnr_is_the_papers(scene):
    noise = torch.randn(3, 32, 40, generator=torch.Generator().manual_seed(2))
    estimate = (scene.raw + 0.01 * noise).clamp(0, 1)
    got, true = (np.floor(65535 * each.double().numpy()) for each in (estimate, scene.raw))
    found = measure(estimate, scene)
    assert found.psnr == pytest.approx(20 * math.log10(65535 / np.sqrt(((got - true) ** 2).mean())))
    unclipped = (scene.raw.numpy() / np.reshape(NEUTRAL, (3, 1, 1)) < 1).all(0)
    assert 0.1 < unclipped.mean() < 0.9
    error = np.sqrt(((got - true)[:, unclipped] ** 2).mean())
    assert found.psnr_unclipped == pytest.approx(20 * math.log10(65535 / error))
    assert found.unclipped == pytest.approx(unclipped.mean())
    assert found.ssim == ssim(sixteen_bits(estimate), sixteen_bits(scene.raw)) < 1


def test_less_than_a_code_is_no_error(scene):
    true = (scene.raw * 65534).floor().add(0.25).div(65535)
    found = measure(true + 0.5 / 65535, scene.replace(raw=true))
    assert found.psnr == math.inf
    assert found.ssim == pytest.approx(1)


def test_neither_picture_is_changed(scene):
    before, estimate = scene.raw.clone(), scene.raw * 0.9
    kept = estimate.clone()
    measure(estimate, scene)
    assert torch.equal(scene.raw, before)
    assert torch.equal(estimate, kept)
