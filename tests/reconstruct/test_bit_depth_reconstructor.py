from __future__ import annotations

import pytest
import torch

from isp_meta import Frame
from isp_meta.networks import DepthNetwork, UNet
from isp_meta.reconstruct import BitDepthReconstructor, GuidedBitDepthReconstructor
from isp_meta.reconstruct.bit_depth import into_bins
from isp_meta.samplers import LargestErrorSampler, UniformSampler


@pytest.fixture(scope="module")
def frame():
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(56.0), indexing="ij")
    light = 0.5 + 0.3 * torch.sin(x / 9) * torch.cos(y / 11)
    codes = torch.floor(torch.stack([light, 0.8 * light, 0.9 - 0.6 * light]) * 256)
    return Frame(srgb=(torch.floor(codes / 16) + 0.5) / 16, raw=(codes + 0.5) / 256)


def networks():
    torch.manual_seed(0)
    return [DepthNetwork(6), UNet(7, 3, 4, head="sigmoid")]


@pytest.mark.parametrize("network", networks())
@pytest.mark.parametrize("sampled", [True, False])
def test_results_lie_in_their_bins(frame, network, sampled):
    samples = UniformSampler(8)(frame) if sampled else None
    found = BitDepthReconstructor(network)(frame.replace(raw=None, samples=samples))
    assert bool(((found - frame.srgb).abs() <= 0.5 / 16).all())
    if samples is not None:
        assert torch.equal(found.flatten(1)[:, samples.index], samples.value.T)


def test_no_projection_makes_a_value_worse(frame):
    guess = frame.raw + 0.1 * torch.randn(frame.raw.shape, generator=torch.Generator())
    moved = into_bins(guess, frame.srgb)
    assert bool(((moved - frame.raw).abs() <= (guess - frame.raw).abs()).all())


def test_the_online_loss_is_on_samples_that_the_network_does_not_see(frame):
    samples = UniformSampler(4)(frame)
    mask = samples.mask()[None]
    kept = mask * frame.raw
    generator = torch.Generator().manual_seed(3)
    online = BitDepthReconstructor(DepthNetwork(6)).online(frame.srgb[None], kept, mask, generator)
    seen, weight = online.inputs[:, 6:], online.weight
    assert bool((seen * weight == 0).all())
    assert torch.equal(seen + weight, mask)
    assert 0.3 < float(weight.sum() / mask.sum()) < 0.7
    assert bool((online.inputs[:, 3:6][(seen == 0).expand(-1, 3, -1, -1)] == 0).all())


def test_guided_systems_correct_a_network_by_its_samples(frame):
    network = BitDepthReconstructor(networks()[0])
    guided = GuidedBitDepthReconstructor(network)
    samples = UniformSampler(8)(frame)
    known = frame.replace(raw=None, samples=samples)

    def error(found):
        return float((found - frame.raw).square().mean())

    assert torch.equal(guided(frame.replace(raw=None)), network(frame.replace(raw=None)))
    assert error(guided(known)) < 0.5 * error(network(known))
    assert bool(((guided(known) - frame.srgb).abs() <= 0.5 / 16).all())


def test_samples_of_the_largest_error(frame):
    network = BitDepthReconstructor(networks()[0])
    samples = LargestErrorSampler(network, 8)(frame)
    assert len(samples) == 6 * 7
    error = (network(frame.replace(raw=None)) - frame.raw).square().sum(0)
    cell = error[8:16, 16:24]
    at = samples.index[(samples.index // 56 // 8 == 1) & (samples.index % 56 // 8 == 2)]
    assert error.flatten()[at] == cell.max()
