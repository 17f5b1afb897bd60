import pytest
import torch

from isp_meta.networks import FeatureNetwork, UNet, run_tiled
from isp_meta.networks.features import larger


def network(features=4, width=8):
    torch.manual_seed(0)
    return FeatureNetwork(features, width)


def picture(height, width, batch=1):
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def test_takes_a_fifteenth_of_the_published_networks_work(multiply_adds):
    assert multiply_adds(FeatureNetwork(), 3) <= multiply_adds(UNet(7, 3), 7) / 15


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 5), (64, 64), (65, 123)])
def test_takes_pictures_of_any_size(size):
    result = network()(picture(*size, batch=2))
    assert result.shape == (2, 4, *size)
    assert result.dtype == torch.float32
    assert result.isfinite().all()


def test_sees_no_farther_than_its_halo():
    srgb = picture(256, 256).requires_grad_()
    network()(srgb)[0, :, 128, 128].sum().backward()
    rows, columns = srgb.grad[0].abs().sum(0).nonzero().T
    halo = FeatureNetwork.halo
    for places in (rows, columns):
        assert 128 - halo <= places.min()
        assert places.max() <= 128 + halo


def test_in_tiles_gives_what_the_whole_gives():
    srgb = picture(150, 210)
    whole = network()(srgb)[0].detach()
    assert torch.allclose(run_tiled(network(), srgb[0], tile=64), whole, atol=1e-5)


def test_the_same_wherever_the_pixels_lie_on_its_grid():
    # Samples on a grid know one phase of it only: what they tell must hold for the others.
    flat = torch.full((1, 3, 96, 96), 0.4)
    result = network()(flat)[0, :, 48:56, 48:56].detach()
    assert (result - result[:, :1, :1]).abs().max() < 1e-5


def test_parts_make_the_whole():
    srgb, parts = picture(32, 48), network()
    coarse = larger(parts.coarse(srgb))
    beyond = torch.nn.functional.pad(srgb, (1, 1, 1, 1), mode="replicate")
    assert torch.equal(parts.fine(beyond, coarse), parts(srgb))


def test_every_parameter_has_a_gradient():
    trained = network()
    trained(picture(24, 24)).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in trained.parameters())


@pytest.mark.parametrize("arguments", [(0, 8), (4, 0)])
def test_refuses_what_has_no_channels(arguments):
    with pytest.raises(ValueError, match="must be >= 1"):
        FeatureNetwork(*arguments)
