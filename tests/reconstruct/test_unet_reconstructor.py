import pytest
import torch
from smooth_scenes import cubic, smooth

from isp_meta.frame import Frame
from isp_meta.networks import UNet, Window, run_tiled
from isp_meta.reconstruct import UNetReconstructor
from isp_meta.samples import Samples


def small(width=2, **arguments):
    torch.manual_seed(0)
    return UNetReconstructor(UNet(7, 3, width, "sigmoid"), **arguments)


def frame_of(height, width, step=7):
    srgb = smooth(height, width)
    raw = cubic(srgb)
    return Frame(srgb=srgb, samples=Samples.at(torch.arange(0, height * width, step), raw))


def test_result_is_the_networks_but_where_raw_is_known(hard_frame):
    reconstructor = small()
    raw = reconstructor(hard_frame)
    srgb, samples = hard_frame.srgb, hard_frame.samples
    assert raw.shape == srgb.shape
    assert raw.dtype == srgb.dtype
    assert torch.equal(raw.flatten(1)[:, samples.index].T, samples.value.to(raw.dtype))
    mask = samples.mask()
    kept = torch.zeros(3, mask.numel())
    kept[:, samples.index] = samples.value.float().T
    inputs = torch.cat((srgb.float(), kept.view(3, *mask.shape[1:]), mask))
    with torch.no_grad():
        expected = reconstructor.network.eval()(inputs[None])[0].to(raw.dtype)
    known = mask.bool().expand_as(raw)
    torch.testing.assert_close(raw[~known], expected[~known], rtol=0, atol=1e-6)


def test_a_batch_and_a_frame_read_the_same():
    reconstructor, frame = small(), frame_of(20, 30)
    raw, mask = cubic(frame.srgb), frame.samples.mask()
    inputs = reconstructor.inputs(frame.srgb[None], (mask * raw)[None], mask[None])
    assert inputs.shape == (1, 7, 20, 30)
    read = reconstructor.window_reader(frame.srgb, frame.samples)
    online = reconstructor.online(frame.srgb[None], (mask * raw)[None], mask[None])
    for window in (Window(0, 20, 0, 30), Window(3, 9, 11, 30)):
        assert torch.equal(read(window), window.of(inputs[0]))
    assert torch.equal(online.inputs, inputs)
    assert torch.equal(online.target, (mask * raw)[None])
    assert torch.equal(online.weight, mask[None])


def test_gradient_of_the_result_reaches_samples_and_mask():
    reconstructor = small().eval()
    srgb = smooth(16, 16)[None]
    mask = (torch.arange(256) % 5 == 0).float().view(1, 1, 16, 16).requires_grad_()
    raw = cubic(srgb[0])[None].requires_grad_()
    reconstructor.network(reconstructor.inputs(srgb, mask * raw, mask)).sum().backward()
    assert int((raw.grad != 0).any(1).sum()) == int(mask.sum())
    assert bool((mask.grad != 0).all())


def test_no_samples_at_all_is_a_mask_of_zeros():
    """The ablation "none": what training and evaluation do without any sample."""
    reconstructor = small().eval()
    srgb = smooth(20, 37)
    none = Samples.at(torch.zeros(0, dtype=torch.int64), srgb)
    reader = reconstructor.window_reader(srgb, none)
    raw = run_tiled(reconstructor.network, reader, (20, 37))
    zeros = torch.zeros(1, 3, 20, 37)
    inputs = reconstructor.inputs(srgb[None], zeros, zeros[:, :1])
    expected = reconstructor.network(inputs)[0].detach()
    torch.testing.assert_close(raw, expected, rtol=0, atol=1e-6)


def test_bfloat16_is_near():
    frame = frame_of(40, 50)
    exact, rough = small(4)(frame), small(4, dtype=torch.bfloat16)(frame)
    assert not torch.equal(exact, rough)
    torch.testing.assert_close(rough, exact, rtol=0, atol=0.02)


def test_leaves_the_network_as_it_was():
    reconstructor = small().train()
    before = {name: value.clone() for name, value in reconstructor.state_dict().items()}
    raw = reconstructor(frame_of(20, 20))
    assert not raw.requires_grad
    assert all(module.training for module in reconstructor.modules())
    for name, value in reconstructor.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("clamped", [-3.0, 4.0])
def test_stays_within_0_and_1(clamped):
    torch.manual_seed(0)
    network = UNet(7, 3, 2)
    torch.nn.init.constant_(network.conv.bias, clamped)
    raw = UNetReconstructor(network)(frame_of(9, 9))
    assert 0 <= float(raw.min()) <= float(raw.max()) <= 1


def test_shows_its_arguments():
    text = repr(small(fine_tune_steps=10))
    assert "fine_tune_steps=10, fine_tune_lr=0.0001" in text
