import copy

import pytest
import torch
from torch.nn import functional

from isp_meta.networks import UNet


def picture(channels, height, width, seed=0, batch=2):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, channels, height, width, generator=generator)


@pytest.mark.parametrize(
    ("inputs", "outputs", "parameters", "cost"),
    [(6, 9, 7.76, 185.3), (7, 3, 7.76, 185.4)],
)
def test_costs_what_the_published_network_does(inputs, outputs, parameters, cost, multiply_adds):
    network = UNet(inputs, outputs)
    count = sum(p.numel() for p in network.parameters())
    assert count / 1e6 == pytest.approx(parameters, abs=0.005)
    assert multiply_adds(network, inputs) / 1e3 == pytest.approx(cost, abs=0.05)


def test_cost_is_that_of_the_formula(multiply_adds):
    width, inputs, outputs = 4, 5, 2
    block = lambda i, o: 9 * (i * o + o * o)  # noqa: E731
    expected = block(inputs, width) + outputs * width
    for level in range(1, 5):
        # A pixel of a level is 4 ** level pixels of the picture.
        narrow, wide = width << (level - 1), width << level
        expected += block(narrow, wide) / 4**level
        expected += (wide * narrow + block(wide, narrow)) / 4 ** (level - 1)
    assert multiply_adds(UNet(inputs, outputs, width), inputs) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (5, 3), (16, 16), (17, 33), (48, 31)])
@pytest.mark.parametrize("head", ["linear", "sigmoid"])
def test_any_size_is_continued_by_its_last_row_and_column(size, head, shake):
    network = shake(UNet(3, 2, 2, head)).eval()
    small = picture(3, *size)
    result = network(small).detach()
    assert result.shape == (2, 2, *size)
    rows = torch.arange(-(-size[0] // 16) * 16).clamp(max=size[0] - 1)
    columns = torch.arange(-(-size[1] // 16) * 16).clamp(max=size[1] - 1)
    whole = network(small[:, :, rows][..., columns]).detach()
    torch.testing.assert_close(result, whole[..., : size[0], : size[1]], rtol=0, atol=1e-6)
    if head == "sigmoid":
        assert 0 < float(result.min()) < float(result.max()) < 1


def test_sigmoid_head_is_the_sigmoid_of_the_linear_one():
    torch.manual_seed(0)
    linear = UNet(3, 2, 2).eval()
    sigmoid = UNet(3, 2, 2, "sigmoid").eval()
    sigmoid.load_state_dict(linear.state_dict())
    x = picture(3, 16, 16)
    torch.testing.assert_close(sigmoid(x), linear(x).sigmoid())


def test_halo_is_what_a_pixel_depends_on(monkeypatch):
    """All weights positive, means for maxima: every path from a pixel to the result counts.

    The pixels of one block of 16 depend on up to 94 pixels around the block.
    """
    monkeypatch.setattr(functional, "max_pool2d", functional.avg_pool2d)
    network = UNet(1, 1, 1).eval().double()
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, 0.3)
    reach = []
    for column in range(160, 176):
        x = picture(1, 16, 352, batch=1).double().requires_grad_()
        network(x)[0, 0, 8, column].backward()
        seen = x.grad[0, 0].abs().sum(0).nonzero()[:, 0]
        reach += [160 - int(seen.min()), int(seen.max()) - 175]
    assert max(reach) == 94
    assert network.halo >= 94
    assert network.halo % network.multiple == 0


def test_gradients_reach_input_and_every_parameter(shake):
    network = shake(UNet(2, 2, 2, "sigmoid"))
    x = picture(2, 33, 17).requires_grad_()
    network(x).square().sum().backward()
    assert float(x.grad.abs().sum()) > 0
    for name, parameter in network.named_parameters():
        assert bool(parameter.grad.isfinite().all()), name
        assert float(parameter.grad.abs().sum()) > 0, name


def test_channels_last_gives_the_same_and_stays(shake):
    network = shake(UNet(3, 2, 4)).eval()
    x = picture(3, 32, 48)
    last = copy.deepcopy(network).to(memory_format=torch.channels_last)
    result = last(x.to(memory_format=torch.channels_last))
    assert result.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(result, network(x), rtol=1e-5, atol=1e-5)


def test_autocast_computes_in_bfloat16_and_answers_in_float32(shake):
    network = shake(UNet(3, 2, 4, "sigmoid")).eval()
    x = picture(3, 20, 40)
    kinds = []
    network.decoder1[0].register_forward_hook(lambda _m, _x, out: kinds.append(out.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        result = network(x)
    assert kinds == [torch.bfloat16]
    assert result.dtype == torch.float32
    # bfloat16 of values around 0.5 are 0.002 to 0.004 apart.
    assert len(result.unique()) > result.numel() / 2
    torch.testing.assert_close(result, network(x), rtol=0, atol=0.03)
    result.sum().backward()
    assert network.encoder1[0].weight.grad.dtype == torch.float32


@pytest.mark.parametrize("dtype", [None, torch.float64, torch.bfloat16])
def test_folded_copy_gives_what_evaluation_does(dtype, shake):
    network = shake(UNet(3, 2, 4)).train()
    x = picture(3, 24, 40)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded = network.folded(dtype)
    assert not any("norm" in name for name in folded.state_dict())
    assert network.training
    assert not folded.training
    result = folded(x if dtype is None else x.to(dtype))
    assert result.dtype == torch.float32
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    tolerance = 0.1 if dtype == torch.bfloat16 else 1e-5
    expected = network.eval()(x).detach()
    assert float(expected.std()) > 0.3
    torch.testing.assert_close(result, expected, rtol=0, atol=tolerance)


def test_batch_norm_uses_the_batch_in_training_and_its_statistics_afterwards(shake):
    network = shake(UNet(3, 2, 2))
    x = picture(3, 16, 16)
    mean = network.encoder1.enc1norm1.running_mean.clone()
    network(x)
    after = network.encoder1.enc1norm1.running_mean
    made = functional.conv2d(
        functional.pad(x, (1, 1, 1, 1), mode="replicate"), network.encoder1.enc1conv1.weight
    )
    torch.testing.assert_close(after, 0.9 * mean + 0.1 * made.mean((0, 2, 3)))


@pytest.mark.parametrize("bad", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (1, -3, 1)])
def test_refuses_empty_layers(bad):
    with pytest.raises(ValueError, match=">= 1"):
        UNet(*bad)


def test_refuses_an_unknown_head():
    with pytest.raises(ValueError, match="head"):
        UNet(1, 1, 1, "softmax")


def test_shows_its_arguments():
    assert repr(UNet(7, 3, 2, "sigmoid")).startswith("UNet(\n  7, 3, width=2, head='sigmoid'")
