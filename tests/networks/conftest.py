import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def _shake(network, seed=0):
    """Random weights and statistics, so that nothing passes because of a 0 or a 1."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            with torch.no_grad():
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.2, generator=generator)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            with torch.no_grad():
                scale = 1.5 / (module.weight[0].numel()) ** 0.5
                module.weight.normal_(0, scale, generator=generator)
    return network


@pytest.fixture
def shake():
    return _shake


@pytest.fixture
def multiply_adds():
    """Multiplications, each with its addition, that a network of so many inputs takes a pixel."""

    def count(network, inputs, side=64):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network.eval()(torch.zeros(1, inputs, side, side))
        return counter.get_total_flops() / 2 / side**2

    return count
