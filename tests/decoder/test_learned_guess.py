import pytest
import torch

from isp_meta.decoder import learned as module
from isp_meta.decoder.guide import Guide
from isp_meta.decoder.learned import told_at_half
from isp_meta.networks import FeatureNetwork
from isp_meta.ops.first_guess import CONTRAST_FEATURES
from isp_meta.processors.workers import workers

HEIGHT, WIDTH = 77, 91


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return FeatureNetwork(4, 8).requires_grad_(False)


def picture(height=HEIGHT, width=WIDTH):
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(1))


def told(srgb, network):
    with workers() as pool:
        return told_at_half(srgb, network, pool)


def features(srgb, network, index):
    with workers() as pool:
        return Guide(srgb).features(index, network, pool)


@pytest.mark.parametrize(("dtype", "most"), [(torch.bfloat16, 0.1), (torch.float32, 0.02)])
def test_tells_what_the_network_does_to_the_accuracy_of_a_dtype(network, monkeypatch, dtype, most):
    monkeypatch.setattr(module, "fastest_dtype", lambda _device: dtype)
    srgb = picture()
    expected = network(srgb[None])[0].flatten(1).T
    found = features(srgb, network, torch.arange(HEIGHT * WIDTH))[:, CONTRAST_FEATURES:]
    assert (found - expected).abs().max() < most * expected.std()


def test_several_tiles_give_what_one_gives(network, monkeypatch):
    srgb = picture()
    whole = told(srgb, network).float()
    monkeypatch.setattr(module, "_TILE", 16)
    tiled = told(srgb, network).float()
    assert (tiled - whole).abs().max() < 0.05 * whole.std()


def test_features_of_some_pixels_are_those_of_all(network):
    srgb = picture()
    index = torch.tensor([0, 5, WIDTH, 70 * WIDTH + 3, HEIGHT * WIDTH - 1])
    every = features(srgb, network, torch.arange(HEIGHT * WIDTH))
    assert torch.allclose(features(srgb, network, index), every[index], atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (9, 1)])
def test_small_pictures(network, size):
    found = features(picture(*size), network, torch.arange(size[0] * size[1]))
    assert found.shape == (size[0] * size[1], CONTRAST_FEATURES + 4)
    assert bool(found.isfinite().all())
