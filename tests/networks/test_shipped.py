import pytest
import torch

from isp_meta.errors import WeightsFileError
from isp_meta.networks.shipped import FEATURES, shipped_features


def test_the_shipped_network_is_one_and_tells_something():
    network = shipped_features()
    assert network is shipped_features(FEATURES)
    assert network.name == FEATURES
    assert not any(p.requires_grad for p in network.parameters())
    srgb = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    told = network(srgb)[0].flatten(1)
    assert told.isfinite().all()
    assert torch.linalg.matrix_rank(told - told.mean(1, keepdim=True)) == network.features


@pytest.mark.parametrize("name", ["", "features-999", "../weights/features-1", "a/b", "x" * 40])
def test_a_name_that_does_not_ship_is_told(name):
    with pytest.raises(WeightsFileError, match="no network called"):
        shipped_features(name)
