import pytest
import torch

from isp_meta import Frame, codec
from isp_meta.evaluation.storage import store
from isp_meta.pipeline import Pipeline
from isp_meta.samplers import RandomSampler, SuperpixelSampler, UniformSampler
from isp_meta.stages import BlackLevel, Demosaic, Gamma, WhiteBalance


@pytest.fixture(scope="module")
def scene(make_frame):
    pipeline = Pipeline([BlackLevel(), Demosaic(), WhiteBalance(), Gamma()])
    return pipeline(make_frame(96, 128), keep=("raw", "srgb"))


@pytest.mark.parametrize("sampler", [UniformSampler(), RandomSampler(), SuperpixelSampler()])
def test_recovery_gets_what_a_payload_holds_and_no_raw(sampler, scene):
    samples = sampler(scene)
    kept, payload, stored = store(scene.replace(samples=samples), bits=12)
    assert payload.parametric is None
    assert payload.enhancement is None
    assert kept.raw is None
    assert kept.samples.cell == samples.cell
    assert torch.equal(kept.samples.index, samples.index)
    assert torch.equal(kept.samples.value, codec.quantize(samples.value, codec.Steps.linear(12)))
    assert torch.equal(kept.srgb, scene.srgb)
    assert stored.samples == len(samples) > 0
    assert stored.content == stored.positions + stored.values
    # What stands beside the samples is the same for every method.
    assert 8 * 350 < stored.total - stored.content < 8 * 550


def test_sizes_are_those_of_the_sections(scene):
    frame = scene.replace(samples=SuperpixelSampler()(scene))
    _, _, stored = store(frame)
    empty = Frame(scene.camera, srgb=scene.srgb, samples=UniformSampler(1000)(scene))
    _, _, least = store(empty)
    # Beside the sections' content, payloads of one picture differ in nothing.
    assert stored.total - stored.content == least.total - least.content
    assert store(frame, bits=16)[2].values > stored.values > 0


def test_a_grid_costs_next_to_no_positions(scene):
    uniform, random = (
        store(scene.replace(samples=sampler(scene)))[2]
        for sampler in (UniformSampler(), RandomSampler())
    )
    assert 0 < 8 * uniform.positions < random.positions
