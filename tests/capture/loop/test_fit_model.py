from dataclasses import replace

import pytest
import torch

from isp_meta.capture.loop.fit import fit_model
from isp_meta.codec.local_rbf import pack_local_rbf
from isp_meta.decoder import Guide
from isp_meta.errors import WeightsFileError
from isp_meta.networks.shipped import FEATURES, shipped_features
from isp_meta.reconstruct import LocalRBFReconstructor
from isp_meta.samplers import UniformSampler
from isp_meta.samples import Samples


def model_of(frame, neighbors=24, counts=None):
    return fit_model(Guide(frame.srgb), frame.raw, frame.samples, neighbors, counts)


def rebuilt(frame, model):
    return LocalRBFReconstructor()(frame.replace(samples=replace(frame.samples, model=model)))


@pytest.mark.parametrize("seed", [0, 5])
def test_with_the_truth_at_hand_recovery_is_better_than_by_leaving_samples_out(scene, missed, seed):
    frame = scene(256, 320, seed=seed)
    model = model_of(frame, neighbors=36)
    got = missed(rebuilt(frame, model), frame.raw)
    assert got < 0.98 * missed(rebuilt(frame, None), frame.raw)


def test_as_it_is_stored_and_the_same_each_time(scene):
    model, again = model_of(scene()), model_of(scene())
    assert pack_local_rbf(model) == pack_local_rbf(again)
    for name in ("cubic", "centers", "gains", "weights"):
        assert torch.equal(getattr(model, name), getattr(model.rounded(), name))
    assert model.neighbors == 24


def test_small_pictures_get_small_models(scene):
    assert len(model_of(scene(128, 160)).centers) <= 128 * 160 // 1536
    assert model_of(scene(32, 40)).weights.shape == (3, 0)


def toned_by_the_network(scene):
    """A frame whose raw was toned by what the network tells of its picture, and nothing else."""
    frame = scene(256, 320)
    told = shipped_features()(frame.srgb[None])[0]
    gain = 0.5 * torch.tanh(told[:3] / told[:3].std())
    frame = frame.replace(raw=(0.6 * frame.srgb.square() * gain.exp()).clamp(0, 1))
    return frame.replace(samples=UniformSampler(8)(frame))


def test_what_the_network_tells_is_used_where_it_helps(scene, missed):
    frame = toned_by_the_network(scene)
    model = model_of(frame)
    assert model.network == FEATURES
    assert model.weights.shape == (3, 33 + shipped_features().features)
    learned = LocalRBFReconstructor(features=shipped_features())
    assert missed(rebuilt(frame, model), frame.raw) < missed(rebuilt(frame, None), frame.raw) / 2
    assert missed(learned(frame), frame.raw) < missed(rebuilt(frame, None), frame.raw) / 2
    assert learned.chosen.guess == "learned"


def test_a_network_that_does_not_ship_is_told(scene):
    frame = toned_by_the_network(scene)
    model = model_of(frame)
    with pytest.raises(WeightsFileError, match="no network called 'features-0'"):
        rebuilt(frame, replace(model, network="features-0"))
    with pytest.raises(WeightsFileError, match="gives 49 features, the metadata weigh 48"):
        rebuilt(frame, replace(model, weights=model.weights[:, :-1]))


def test_without_a_whole_block_there_is_no_model(scene):
    frame = scene(3, 160)
    assert model_of(frame) is None


def test_fewer_samples_than_neighbors_will_do(scene):
    frame = scene(64, 64, cell=32)
    got = rebuilt(frame, model_of(frame))
    assert got.shape == frame.raw.shape
    assert bool(got.isfinite().all())


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_pictures_of_one_color_will_do(scene, level):
    frame = scene()
    frame = frame.replace(srgb=torch.full_like(frame.srgb, level))
    frame = frame.replace(samples=Samples.at(frame.samples.index, frame.raw, 8))
    assert bool(rebuilt(frame, model_of(frame)).isfinite().all())


def test_what_does_not_count_does_not_matter(scene):
    frame = scene()
    counts = torch.ones(frame.raw.shape[1:], dtype=torch.bool)
    counts[:64] = False
    samples = replace(
        frame.samples,
        index=(kept := frame.samples.index[frame.samples.index >= 64 * 160]),
        value=frame.raw.reshape(3, -1)[:, kept].T,
    )
    strange = frame.raw.clone()
    strange[:, :64] = 1 - strange[:, :64]
    one, other = (
        model_of(frame.replace(raw=raw, samples=samples), counts=counts)
        for raw in (frame.raw, strange)
    )
    assert pack_local_rbf(one) == pack_local_rbf(other)
    assert model_of(frame, counts=torch.zeros_like(counts)) is None
