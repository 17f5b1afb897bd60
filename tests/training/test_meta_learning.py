import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call

from isp_meta.networks import UNet
from isp_meta.reconstruct.trainable import Online
from isp_meta.training.config import MetaConfig
from isp_meta.training.masks import random_mask
from isp_meta.training.meta_learning import adapt, batch_norm_as, carry, online_loss


@pytest.fixture
def smooth():
    """A network whose loss has no kinks, in float64."""
    torch.manual_seed(3)
    layers = nn.Conv2d(7, 4, 3, padding=1), nn.Softplus(), nn.Conv2d(4, 3, 3, padding=1)
    return nn.Sequential(*layers, nn.Sigmoid()).double()


@pytest.fixture
def unet():
    torch.manual_seed(4)
    network = UNet(7, 3, 2, head="sigmoid")
    with torch.no_grad():
        network(torch.rand(4, 7, 32, 32))  # running statistics unlike the initial ones
    return network


def task(dtype=torch.float64, side=8, batch=2):
    generator = torch.Generator().manual_seed(5)
    mask = random_mask((batch, side, side), 1 / 8, generator).to(dtype)
    inputs = torch.rand(batch, 7, side, side, generator=generator).to(dtype)
    # Out of the sigmoid's reach, so that no |.| changes its side.
    return Online(inputs, (1.5 * mask).expand(-1, 3, -1, -1), mask)


def test_the_online_loss_is_the_mean_error_at_the_samples():
    online = task()
    prediction = torch.rand_like(online.target)
    expected = sum(
        (prediction[b, c, y, x] - online.target[b, c, y, x]).abs()
        for b, _, y, x in online.weight.nonzero()
        for c in range(3)
    ) / (3 * online.weight.sum())
    assert torch.isclose(online_loss(prediction, online), expected)
    nothing = Online(online.inputs, online.target, torch.zeros_like(online.weight))
    assert online_loss(prediction, nothing) == 0


def stepped(network, online, config):
    """The network after the inner steps, taken by PyTorch's own optimizer."""
    stepped = copy.deepcopy(network)
    optimizer = torch.optim.SGD(stepped.parameters(), config.rate)
    for _ in range(config.steps):
        optimizer.zero_grad()
        online_loss(stepped(online.inputs), online).backward()
        optimizer.step()
    return stepped


@pytest.mark.parametrize("steps", [1, 5])
def test_inner_steps_are_those_of_gradient_descent(smooth, steps):
    config = MetaConfig(steps=steps, rate=0.1)
    adapted = adapt(smooth, [task()], config)
    for name, value in stepped(smooth, task(), config).named_parameters():
        assert torch.allclose(adapted[name], value, rtol=0, atol=1e-12)
        assert not torch.allclose(adapted[name], smooth.get_parameter(name), rtol=0, atol=1e-6)


def test_the_first_order_gradient_is_that_at_the_adapted_weights(smooth):
    config = MetaConfig(rate=0.1)
    truth = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    theta = carry(smooth, adapt(smooth, [task()], config))
    loss = (functional_call(smooth, theta, (task().inputs,)) - truth).abs().mean()
    loss.backward()
    expected = stepped(smooth, task(), config)
    expected.zero_grad()
    (expected(task().inputs) - truth).abs().mean().backward()
    for name, value in expected.named_parameters():
        assert torch.allclose(smooth.get_parameter(name).grad, value.grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["running", "published"])
def test_batch_norm_moves_in_the_inner_loop_as_the_config_says(unet, kind):
    before = copy.deepcopy(unet.state_dict())
    config = MetaConfig(batch_norm=kind)
    with batch_norm_as(unet, config):
        adapt(unet, [task(torch.float32, 32)], config)
    assert unet.training
    same = {name: value.equal(before[name]) for name, value in unet.state_dict().items()}
    moved = {name for name, unchanged in same.items() if not unchanged}
    if kind == "running":
        assert not moved
    else:
        assert moved == {name for name in same if "running" in name or "batches" in name}
        assert unet.state_dict()["encoder1.enc1norm1.num_batches_tracked"] == 1 + config.steps


def test_inner_steps_lower_the_online_loss(unet):
    online = task(torch.float32, 32)
    config = MetaConfig(rate=0.3)
    with batch_norm_as(unet, config):
        before = online_loss(unet(online.inputs), online)
        theta = adapt(unet, [online], config)
        after = online_loss(functional_call(unet, theta, (online.inputs,)), online)
    assert after < 0.99 * before


def test_frozen_parameters_stay(smooth):
    smooth[0].weight.requires_grad_(False)
    adapted = adapt(smooth, [task()], MetaConfig(rate=0.1))
    assert set(adapted) == {"0.bias", "2.weight", "2.bias"}
