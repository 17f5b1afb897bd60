import pytest
import torch

from isp_meta.decoder.detail import DETAIL_FEATURES, DetailBands
from isp_meta.decoder.learned import LearnedBands
from isp_meta.networks import FeatureNetwork
from isp_meta.workers import workers

HEIGHT, WIDTH = 77, 91
ROUNDED = 0.02  # what bfloat16 may do to features of about 1


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return FeatureNetwork(4, 8).requires_grad_(False)


def picture(height=HEIGHT, width=WIDTH):
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(1))


def of(srgb, network):
    with workers() as pool:
        return LearnedBands.of(DetailBands.of(srgb), network, pool)


def test_strips_are_rows_of_the_whole(network):
    learned = of(picture(), network)
    whole = learned.rows(0, HEIGHT)
    assert whole.shape == (DETAIL_FEATURES + 4, HEIGHT, WIDTH)
    for top, bottom in ((0, 1), (1, 2), (0, 9), (8, 33), (33, 70), (70, 77), (76, 77)):
        assert torch.allclose(learned.rows(top, bottom), whole[:, top:bottom], atol=ROUNDED)


def test_tells_what_the_network_does_to_the_accuracy_of_bfloat16(network):
    srgb = picture()
    expected = network(srgb[None])[0]
    found = of(srgb, network).rows(0, HEIGHT)[DETAIL_FEATURES:]
    assert (found - expected).abs().max() < 0.1 * expected.std()


def test_several_tiles_give_what_one_gives(network, monkeypatch):
    srgb = picture()
    whole = of(srgb, network).coarse.float()
    monkeypatch.setattr("isp_meta.decoder.learned._TILE", 16)
    tiled = of(srgb, network).coarse.float()
    assert (tiled - whole).abs().max() < 0.05 * whole.std()


def test_at_pixels_is_what_their_rows_hold(network):
    learned = of(picture(), network)
    index = torch.tensor([0, 5, WIDTH, 70 * WIDTH + 3, HEIGHT * WIDTH - 1])
    with workers() as pool:
        found = learned.at(index, pool)
    expected = learned.rows(0, HEIGHT).flatten(1)[:, index].T
    assert torch.allclose(found, expected, atol=ROUNDED)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (9, 1)])
def test_small_pictures(network, size):
    learned = of(picture(*size), network)
    assert learned.rows(0, size[0]).shape == (DETAIL_FEATURES + 4, *size)
