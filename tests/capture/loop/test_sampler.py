import re

import pytest
import torch

from isp_meta.baselines import RBFReconstructor
from isp_meta.capture.loop import ClosedLoopSampler, close_loop
from isp_meta.capture.loop import sampler as module
from isp_meta.reconstruct import LocalRBFReconstructor
from isp_meta.samplers import UniformSampler

KINDS = {
    "nothing tried": {"effort": 0},
    "model": {"effort": 1, "values": "measured", "enhanced": True},
    "moved": {"effort": 1, "values": "measured"},
    "values": {"effort": 1, "enhanced": True},
    "moved, values": {"effort": 2, "enhanced": True},
}


def test_effort_pays(scene, missed):
    frame, errors = scene(192, 224), {}
    for kind, asked in KINDS.items():
        sampler = ClosedLoopSampler(UniformSampler(8), **asked)
        samples = sampler(frame)
        assert (samples.model is None) == (kind == "nothing tried")
        assert samples.control == sampler.control == ("values" in kind)
        assert torch.equal(samples.index, frame.samples.index) == ("moved" not in kind)
        assert len(frame.samples) <= len(samples) < 1.2 * len(frame.samples)
        measured = frame.raw.reshape(3, -1)[:, samples.index].T
        assert samples.control or torch.equal(samples.value, measured)
        estimate = LocalRBFReconstructor()(frame.replace(samples=samples))
        errors[kind] = missed(estimate, frame.raw)
    assert errors["moved"] < errors["model"] < errors["nothing tried"]
    assert errors["values"] < 0.85 * errors["model"]
    assert errors["moved, values"] < 0.85 * errors["moved"]


def test_without_an_enhancement_the_first_effort_is_the_second(scene):
    frame = scene()
    one, other = (close_loop(frame, effort) for effort in (1, 2))
    assert torch.equal(one.index, other.index)
    assert torch.equal(one.value, other.value)


def test_says_what_it_does(scene):
    steps: list[str] = []
    close_loop(scene(), 2, steps.append)
    assert steps[:2] == ["fitting the decoder", "moving samples"]
    won = [float(re.search(r"\(\+(\d+\.\d) dB\)$", text).group(1)) for text in steps[2:]]
    assert won == sorted(won)
    assert won[-1] > 0
    assert steps[-1].startswith("choosing values (")
    assert "effort=2, values=control" in repr(ClosedLoopSampler(UniformSampler(8), 2))


def test_an_interrupt_keeps_the_best_so_far(scene, monkeypatch):
    frame, steps = scene(), []

    def stop(*_arguments):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(module, "control_values", stop)
    samples = close_loop(frame, 2, steps.append)
    assert samples.model is not None
    assert not samples.control
    assert steps[-1] == "keeping the best so far"


def test_an_interrupt_keeps_the_moves_so_far(scene):
    frame, steps = scene(), []

    def stop(text):
        steps.append(text)
        if text.startswith("moving samples (") and len(steps) > 4:
            raise KeyboardInterrupt

    samples = close_loop(frame, 2, stop)
    assert not samples.control
    assert not torch.equal(samples.index, frame.samples.index)
    assert steps[-1] == "keeping the best so far"


def test_values_that_serve_worse_are_not_stored(scene, monkeypatch):
    def bad(decoder, *_):
        yield torch.rand(decoder.samples.value.shape)

    monkeypatch.setattr(module, "control_values", bad)
    samples = close_loop(scene(), 2)
    assert samples.model is not None
    assert not samples.control


def test_an_interrupt_before_there_is_anything_to_keep_is_one(scene):
    def stop(_step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        close_loop(scene(), 2, stop)


@pytest.mark.parametrize("effort", [-1, 3])
def test_efforts_that_there_are_not_are_refused(effort):
    with pytest.raises(ValueError, match=f"effort must be 0 to 2, not {effort}"):
        ClosedLoopSampler(UniformSampler(8), effort)


def test_controls_are_no_raw_to_other_reconstructors(scene):
    frame = scene()
    frame = frame.replace(samples=close_loop(frame, 2))
    with pytest.raises(ValueError, match="RBFReconstructor needs measured values"):
        RBFReconstructor()(frame)
    estimate = LocalRBFReconstructor()(frame)
    at_samples = estimate.reshape(3, -1)[:, frame.samples.index].T
    assert not torch.allclose(at_samples, frame.samples.value, rtol=0, atol=1e-3)


def test_nothing_sampled_is_left_alone(scene):
    frame = scene()
    none = type(frame.samples).at(torch.zeros(0, dtype=torch.int64), frame.raw)
    assert close_loop(frame.replace(samples=none), 2) is none
