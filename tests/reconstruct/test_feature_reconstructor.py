import math

import pytest
import torch
from smooth_scenes import smooth
from torch.nn.functional import avg_pool2d

from isp_meta import Frame, Samples
from isp_meta.networks import FeatureNetwork
from isp_meta.reconstruct import FeatureReconstructor, LocalRBFReconstructor
from isp_meta.reconstruct.features import ClosedFormNetwork

HEIGHT, WIDTH, CELL = 48, 64, 4


@pytest.fixture
def reconstructor():
    torch.manual_seed(0)
    return FeatureReconstructor(ClosedFormNetwork(FeatureNetwork(8, 8)))


def scene():
    """sRGB, raw that depends on what lies around in a way no band of contrast tells; a mask."""
    generator = torch.Generator().manual_seed(2)
    texture = torch.rand(1, HEIGHT, WIDTH, generator=generator)
    srgb = (smooth(HEIGHT, WIDTH) * (0.4 + 0.6 * texture)).clamp(0, 1)
    around = avg_pool2d(srgb[None], 5, 1, 2, count_include_pad=False)[0]
    raw = srgb.square() * (0.5 + 0.4 * torch.tanh(30 * (around - srgb)).square())
    mask = torch.zeros(1, 1, HEIGHT, WIDTH)
    mask[..., CELL // 2 :: CELL, CELL // 2 :: CELL] = 1
    return srgb[None], raw[None], mask


def decibels(estimate, truth):
    return -10 * math.log10(float((estimate - truth).square().mean()))


def rebuilt(reconstructor, srgb, raw, mask):
    return reconstructor.network(reconstructor.inputs(srgb, mask * raw, mask))


def test_training_makes_the_fit_better(reconstructor):
    srgb, raw, mask = scene()
    optimizer = torch.optim.Adam(reconstructor.network.parameters(), 1e-2)
    before = decibels(rebuilt(reconstructor, srgb, raw, mask).detach(), raw)
    for _ in range(8):
        optimizer.zero_grad()
        (rebuilt(reconstructor, srgb, raw, mask) - raw).square().mean().log().backward()
        optimizer.step()
    assert decibels(rebuilt(reconstructor, srgb, raw, mask).detach(), raw) > before + 0.05


def test_pictures_of_a_batch_are_fitted_apart(reconstructor):
    srgb, raw, mask = scene()
    two = [torch.cat([part, part.flip(-1)]) for part in (srgb, raw, mask)]
    both = rebuilt(reconstructor, *two)
    assert torch.allclose(both[:1], rebuilt(reconstructor, srgb, raw, mask), atol=1e-4)


def test_the_gradient_reaches_samples_and_mask(reconstructor):
    srgb, raw, mask = scene()
    kept, mask = (mask * raw).requires_grad_(), mask.requires_grad_()
    reconstructor.network(reconstructor.inputs(srgb, kept, mask)).square().mean().backward()
    at = mask.detach() > 0
    assert kept.grad[at.expand_as(kept)].abs().min() > 0
    assert mask.grad[at].abs().sum() > 0


def test_without_samples_there_is_nothing_to_fit(reconstructor):
    srgb, raw, mask = scene()
    assert torch.equal(rebuilt(reconstructor, srgb, raw, 0 * mask), srgb)


def test_on_a_frame_it_is_local_interpolation_with_its_features(reconstructor):
    srgb, raw, mask = (part[0] for part in scene())
    samples = Samples.at(mask.flatten().nonzero()[:, 0], raw, CELL)
    frame = Frame(srgb=srgb, samples=samples)
    expected = LocalRBFReconstructor(features=reconstructor.network.features)(frame)
    found = reconstructor(frame)
    assert torch.equal(found, expected)
    assert torch.equal(found.flatten(1)[:, samples.index].T, samples.value)


def test_fine_tuning_has_nothing_left_to_do(reconstructor):
    srgb, raw, mask = (part[0] for part in scene())
    samples = Samples.at(mask.flatten().nonzero()[:, 0], raw, CELL)
    frame = Frame(srgb=srgb, samples=samples)
    tuned = reconstructor.fine_tune(frame, steps=5)
    assert torch.equal(tuned(frame), reconstructor(frame))
