from __future__ import annotations

import pytest
import torch

from isp_meta.networks import DepthNetwork, run_tiled
from isp_meta.networks.depth import bin_width


def inputs_of(height, width, bits=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(2**bits, (1, 3, height, width), generator=generator)
    picture = (codes + 0.5) / 2**bits
    mask = (torch.rand((1, 1, height, width), generator=generator) < 0.02).float()
    return torch.cat([picture, mask * (picture + 0.2 / 2**bits), mask], 1)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 3), (8, 8), (33, 18)])
def test_any_size(size):
    result = DepthNetwork(6)(inputs_of(*size))
    assert result.shape == (1, 3, *size)
    assert result.dtype == torch.float32


def test_weights_and_work(multiply_adds):
    network = DepthNetwork()
    assert sum(p.numel() for p in network.parameters()) == 781_324
    assert 51_000 < multiply_adds(network, 7) < 53_000


def test_answers_come_in_steps_of_the_picture():
    network = DepthNetwork(6).eval()
    for bits in (1, 4, 8, 12):
        inputs = inputs_of(16, 16, bits)
        step = bin_width(inputs[:, :3])
        assert float(step) == 2.0**-bits
        place = (network(inputs) - inputs[:, :3]) / step
        assert 0 < place.abs().max() < 3


def test_tiles_give_what_the_whole_does():
    torch.manual_seed(0)
    network = DepthNetwork(6).eval()
    inputs = inputs_of(280, 300)
    whole = network(inputs)[0]
    tiled = run_tiled(network, inputs[0], tile=128)
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)


def test_gradients_reach_every_weight():
    network = DepthNetwork(6)
    network(inputs_of(24, 24)).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in network.parameters())


def test_refusal():
    with pytest.raises(ValueError, match="width"):
        DepthNetwork(2)
