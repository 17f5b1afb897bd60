import math

import pytest
import torch
from smooth_scenes import cubic, smooth

from isp_meta.frame import Frame
from isp_meta.networks import UNet, Window, run_tiled
from isp_meta.reconstruct import ResidualUNetReconstructor
from isp_meta.reconstruct.residual_unet import ResidualUNet
from isp_meta.samples import Samples
from isp_meta.training.masks import random_mask


@pytest.fixture
def reconstructor():
    torch.manual_seed(0)
    return ResidualUNetReconstructor(ResidualUNet(UNet(13, 3, 2))).eval()


def shaded(height, width):
    """sRGB, and raw that is a cubic of it but for a shade from left to right."""
    srgb = smooth(height, width)
    return srgb, cubic(srgb) * torch.linspace(0.5, 1, width)


def decibels(estimate, truth):
    return -10 * math.log10(float((estimate - truth).square().mean()))


def test_fresh_weights_give_a_guess_that_follows_the_samples(reconstructor):
    srgb, raw = shaded(64, 96)
    frame = Frame(srgb=srgb, samples=Samples.at(torch.arange(0, 64 * 96, 61), raw))
    inputs = reconstructor.window_reader(srgb, frame.samples)(Window(0, 64, 0, 96))
    found = reconstructor(frame)
    assert decibels(found, raw) > decibels(inputs[3:6], raw) + 5
    assert decibels(found, raw) > 37


def test_training_makes_it_better(reconstructor):
    srgb, raw = (part[None] for part in shaded(32, 48))
    mask = random_mask((1, 32, 48), 1 / 64, torch.Generator().manual_seed(1))
    inputs = reconstructor.inputs(srgb, mask * raw, mask)
    optimizer = torch.optim.Adam(reconstructor.network.parameters(), 1e-2)
    before = decibels(reconstructor.network(inputs).detach(), raw)
    for _ in range(10):
        optimizer.zero_grad()
        (reconstructor.network(inputs) - raw).square().mean().log().backward()
        optimizer.step()
    assert decibels(reconstructor.network(inputs).detach(), raw) > before + 1


def test_a_batch_and_a_frame_read_the_same(reconstructor):
    srgb, raw = shaded(32, 48)
    samples = Samples.at(torch.arange(0, 32 * 48, 7), raw)
    mask = samples.mask()
    both = [torch.stack([part, part.flip(-1)]) for part in (srgb, mask * raw, mask)]
    inputs = reconstructor.inputs(*both)
    assert inputs.shape == (2, 13, 32, 48)
    read = reconstructor.window_reader(srgb, samples)
    torch.testing.assert_close(read(Window(0, 32, 0, 48)), inputs[0], rtol=0, atol=1e-6)
    # Averages reach over twelve pixels.
    tile = read(Window(0, 32, 16, 48))[:, 12:20, 12:]
    torch.testing.assert_close(tile, inputs[0, :, 12:20, 28:], rtol=0, atol=1e-6)


def test_tiles_make_no_difference(reconstructor):
    torch.nn.init.normal_(reconstructor.network.unet.conv.weight, std=0.1)
    srgb, raw = shaded(40, 400)
    read = reconstructor.window_reader(srgb, Samples.at(torch.arange(0, 40 * 400, 61), raw))
    whole = run_tiled(reconstructor.network, read, (40, 400))
    tiled = run_tiled(reconstructor.network, read, (40, 400), tile=256)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)


def test_the_gradient_reaches_the_mask_and_not_what_a_sample_says(reconstructor):
    torch.nn.init.normal_(reconstructor.network.unet.conv.weight, std=0.1)
    srgb, raw = (part[None] for part in shaded(32, 32))
    mask = random_mask((1, 32, 32), 1 / 16, torch.Generator().manual_seed(2)).requires_grad_()
    raw = raw.requires_grad_()
    inputs = reconstructor.inputs(srgb, mask * raw, mask)
    reconstructor.network(inputs).square().mean().backward()
    assert raw.grad is None
    assert bool((mask.grad[mask > 0] != 0).all())


def test_without_samples_the_guess_is_the_picture(reconstructor):
    srgb = smooth(20, 37)
    none = Samples.at(torch.zeros(0, dtype=torch.int64), srgb)
    zeros = torch.zeros(1, 3, 20, 37)
    inputs = reconstructor.inputs(srgb[None], zeros, zeros[:, :1])
    assert torch.equal(inputs[:, 3:6], srgb[None])
    read = reconstructor.window_reader(srgb, none)
    torch.testing.assert_close(read(Window(0, 20, 0, 37)), inputs[0], rtol=0, atol=0)
    torch.testing.assert_close(reconstructor.network(inputs)[0], srgb, rtol=0, atol=1e-6)


def test_fine_tuning_meets_the_samples_better(reconstructor):
    srgb, raw = shaded(48, 48)
    samples = Samples.at(torch.arange(0, 48 * 48, 37), raw)
    frame = Frame(srgb=srgb, samples=samples)
    tuned = reconstructor.fine_tune(frame, steps=5, lr=1e-2, held_out=0)
    read = reconstructor.window_reader(srgb, samples)(Window(0, 48, 0, 48))[None]
    truth = samples.value.T
    with torch.no_grad():
        before, after = (
            float((r.network.eval()(read)[0].flatten(1)[:, samples.index] - truth).abs().mean())
            for r in (reconstructor, tuned)
        )
    assert after < before
