import copy

import pytest
import torch

from isp_meta.baselines import ParametricReconstructor
from isp_meta.capture.loop import ClosedLoopSampler
from isp_meta.evaluation import Method, Weights, shipped, training_free
from isp_meta.evaluation.methods import sam
from isp_meta.reconstruct import LocalRBFReconstructor
from isp_meta.samplers import UniformSampler
from isp_meta.samples import Samples


def test_names():
    plain = Method("uniform", "local-rbf", UniformSampler(), LocalRBFReconstructor())
    assert plain.name == "uniform+local-rbf"
    trained = Method("learned", "unet", UniformSampler(), LocalRBFReconstructor(), Weights("main"))
    assert trained.name == "main:learned+unet"
    assert (plain.describe()["weights"], trained.describe()["weights"]) == (None, "main")


@pytest.mark.parametrize("method", training_free(), ids=lambda method: method.name)
def test_training_free_methods_rebuild_a_picture(method, scene):
    kept = method.capture(scene)
    rebuilt = method.rebuild(kept)
    assert rebuilt.raw.shape == scene.raw.shape
    assert float((rebuilt.raw - scene.raw).abs().mean()) < 0.02
    index = kept.frame.samples.index
    assert (len(index) == 0) == (method.name == "none+rir")
    assert torch.equal(rebuilt.raw.flatten(1)[:, index].T, kept.frame.samples.value)
    assert not method.tunable
    assert rebuilt.fine_tuning == 0 < rebuilt.seconds
    with pytest.raises(ValueError, match="cannot be fine-tuned"):
        method.rebuild(kept, 1)


@pytest.mark.parametrize("method", shipped(), ids=lambda method: method.name)
def test_shipped_methods_rebuild_a_picture_from_what_is_stored(method, scene):
    captured = method.capture(scene)
    samples = captured.frame.samples
    enhanced = method.reconstruction == "features-enhanced"
    known = captured.frame.samples
    assert (known.enhancement is not None, captured.stored.enhancement > 0) == (enhanced,) * 2
    tried = "effort" in method.sampling
    assert (samples.model is not None, samples.control) == (tried, tried)
    if method.sampling.startswith("uniform"):
        moved = tried and (not enhanced or "effort-2" in method.sampling)
        assert torch.equal(samples.index, UniformSampler()(scene).index) != moved
    assert float((method.rebuild(captured).raw - scene.raw).abs().mean()) < 0.02


def test_enhancement_takes_bits_and_brings_decibels(scene):
    plain = Method("uniform", "features", UniformSampler(), LocalRBFReconstructor())
    fine = plain.with_enhancement(1 / 256)
    assert fine.name == "uniform+features-enhanced"
    assert fine.describe()["enhancement"] == 1 / 256
    assert fine.keeper == plain.keeper == plain.sampler
    chosen = plain.choose(scene)
    kept, better = (method.capture(scene, chosen=chosen) for method in (plain, fine))
    assert kept.seconds == chosen.seconds < better.seconds
    more = better.stored.enhancement + better.stored.parameters - kept.stored.parameters
    assert better.stored.total - kept.stored.total == more + 2 * 8 * 12  # two sections' frames
    assert better.stored.content == kept.stored.content + more
    errors = [
        float((method.rebuild(found).raw - scene.raw).square().mean())
        for method, found in ((plain, kept), (fine, better))
    ]
    assert errors[1] < 0.5 * errors[0]
    index = better.frame.samples.index
    made = fine.rebuild(better).raw.flatten(1)[:, index].T
    assert torch.equal(made, better.frame.samples.value)


def test_only_what_ships_is_enhanced():
    with pytest.raises(ValueError, match="only LocalRBFReconstructor's results are enhanced"):
        Method("uniform", "sam", UniformSampler(), sam(), enhancement=1 / 32)


def test_control_values_are_not_tuned_on(unet, scene):
    loops = ClosedLoopSampler(UniformSampler(), 1, unet), ClosedLoopSampler(UniformSampler(), 2)
    moved, valued = (Method("tried", "unet", loop, unet) for loop in loops)
    assert (moved.tunable, valued.tunable) == (True, False)
    kept = moved.capture(scene)
    assert not kept.frame.samples.control
    assert moved.rebuild(kept, 1).fine_tuning > 0
    with pytest.raises(ValueError, match="needs measured values"):
        valued.rebuild(valued.capture(scene))


def test_training_free_methods_share_their_samplers():
    methods = training_free(cell=4, seed=3)
    names = {method.name for method in methods}
    assert {"uniform+sam", "random+local-rbf", "superpixel+sam"} <= names
    assert len(names) == len(methods) == 7
    # One sampler serves both, so that its samples are taken once.
    assert len({method.keeper for method in methods}) == 4


def test_a_fitted_model_is_rebuilt_from_as_it_is_stored(scene):
    method = next(method for method in training_free() if method.reconstruction == "rir")
    kept = method.capture(scene)
    assert kept.stored.samples == 0
    assert kept.stored.parameters == 8 * (3126 + 12 * len(kept.model.points))
    assert kept.stored.content >= kept.stored.parameters
    assert torch.equal(method.rebuild(kept).raw, ParametricReconstructor(kept.model)(kept.frame))


def test_a_method_takes_a_reconstructor_or_a_fit():
    with pytest.raises(ValueError, match=r"none\+x: takes a reconstructor or a fit"):
        Method("none", "x", None, None)


def test_the_seed_and_the_cell_reach_the_samplers(scene):
    def random(cell, seed):
        method = next(m for m in training_free(cell, seed) if m.sampling == "random")
        return method.capture(scene).frame.samples.index

    assert len(random(8, 0)) == 48 * 64 // 64
    assert len(random(4, 0)) == 48 * 64 // 16
    assert torch.equal(random(8, 1), random(8, 1))
    assert not torch.equal(random(8, 0), random(8, 1))


def test_fine_tuning_changes_what_a_network_gives_and_not_the_network(unet, scene):
    unet = copy.copy(unet)
    unet.held_out = 0.0  # three steps of an untrained network are no better than chance
    method = Method("uniform", "unet", UniformSampler(), unet)
    assert method.tunable
    kept = method.capture(scene)
    before = method.rebuild(kept)
    tuned = method.rebuild(kept, 3)
    assert tuned.fine_tuning > 0 == before.fine_tuning
    assert not torch.equal(tuned.raw, before.raw)
    assert torch.equal(method.rebuild(kept).raw, before.raw)
    assert torch.equal(tuned.raw, unet.fine_tune(kept.frame, 3, held_out=0)(kept.frame))


def test_no_steps_are_none_even_where_the_network_would_tune_itself(unet, scene):
    class Tuning(type(unet)):
        pass

    itself = Tuning(unet.network, fine_tune_steps=3)
    plain, eager = (Method("uniform", "unet", UniformSampler(), each) for each in (unet, itself))
    kept = plain.capture(scene)
    assert torch.equal(eager.rebuild(kept).raw, plain.rebuild(kept).raw)
    assert itself.fine_tune_steps == 3


def test_a_network_without_samples_sees_srgb_alone(unet, scene):
    method = Method("none", "unet", None, unet)
    kept = method.capture(scene)
    assert (len(kept.frame.samples), kept.stored.content, kept.stored.total) == (0, 0, 0)
    assert kept.frame.raw is None
    zeros = scene.srgb.new_zeros(1, 4, 48, 64)
    with torch.no_grad():
        expected = unet.network(torch.cat([scene.srgb[None], zeros], 1))[0]
    torch.testing.assert_close(method.rebuild(kept).raw, expected)
    assert not method.tunable


def test_sam_is_affine_where_raw_is_affine_in_the_picture(scene):
    plain = scene.replace(srgb=(scene.raw * 0.5 + 0.1))
    kept = Method("uniform", "sam", UniformSampler(), sam()).capture(plain, bits=16)
    assert isinstance(kept.frame.samples, Samples)
    assert float((sam()(kept.frame) - plain.raw).abs().max()) < 1e-3
