"""What holds for every stage: a new one is a line in the table of ``every_stage``."""

import inspect
from pathlib import Path

import pytest
import torch
from every_stage import (
    CAMERA,
    DEVICES,
    EXAMPLES,
    EXEMPT,
    PICTURES,
    every_stage,
    frame_of,
    hard_pictures,
    make,
    recorded,
    table,
)

from isp_meta import presets, stages
from isp_meta.camera import Camera
from isp_meta.pipeline import Pipeline
from isp_meta.stage import Stage


def outputs(stage, frame):
    return {name: getattr(stage(frame), name) for name in sorted(stage.gives)}


def test_every_stage_of_the_family_is_in_the_table():
    family = {
        name
        for name in stages.__all__
        if inspect.isclass(getattr(stages, name)) and issubclass(getattr(stages, name), Stage)
    }
    assert family == set(EXAMPLES) | EXEMPT


def test_the_documentation_says_what_is_tested():
    assert table() in (Path(__file__).parents[2] / "docs" / "stages.md").read_text("utf-8")


@every_stage("file")
def test_a_file_makes_it_again(name):
    text = Pipeline([make(name)]).to_toml()
    (again,) = Pipeline.from_toml(text)
    assert type(again) is type(make(name))
    assert again.arguments() == make(name).arguments()
    held = dict(make(name).named_buffers())
    assert all(torch.equal(value, held[key]) for key, value in again.named_buffers())
    assert Pipeline([again]).to_toml() == text


@every_stage("arguments")
@pytest.mark.parametrize("camera", [None, CAMERA], ids=["free", "bound"])
def test_its_arguments_make_it_again(name, camera):
    stage = make(name) if camera is None else make(name).bind(camera)
    again = type(stage)(**stage.arguments())
    frame = frame_of(6, 8)
    for field_name, value in outputs(stage, frame).items():
        torch.testing.assert_close(getattr(again(frame), field_name), value, rtol=0, atol=1e-6)


@every_stage("bind")
def test_bound_it_asks_no_camera(name):
    other = Camera(cfa=CAMERA.cfa, white_level=1.0e4, as_shot_neutral=(0.3, 1.0, 0.4))
    bound = make(name).bind(CAMERA)
    frame = frame_of(6, 8)
    for field_name, value in outputs(make(name), frame).items():
        found = getattr(bound(frame.replace(camera=other)), field_name)
        torch.testing.assert_close(found, value, rtol=0, atol=1e-6)


@every_stage("size")
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (17, 33)], ids=str)
def test_keeps_size_dtype_and_device_and_its_input(name, size, dtype, device):
    stage, frame = make(name).to(device), frame_of(*size, dtype=dtype, device=device)
    before = {key: getattr(frame, key).clone() for key in PICTURES}
    found = outputs(stage, frame)
    for key, value in found.items():
        assert value.shape == (PICTURES[key], *size)
        assert (value.dtype, value.device.type) == (dtype, device)
        assert bool(value.isfinite().all())
    assert all(torch.equal(getattr(frame, key), value) for key, value in before.items())


@every_stage("batch")
def test_a_batch_is_a_stack_of_its_pictures_and_so_is_its_gradient(name):
    stage = make(name).double()
    batch, singles = hard_pictures(torch.float64)
    (taken, *_), (given, *_) = sorted(stage.needs), sorted(stage.gives)
    leaves = [getattr(frame, taken).requires_grad_() for frame in (batch, *singles)]
    together = getattr(stage(batch), given)
    weight = torch.rand(together.shape, generator=torch.Generator().manual_seed(1)).double()
    (slope,) = torch.autograd.grad((together * weight).sum(), leaves[0])
    for i, one in enumerate(singles):
        alone = getattr(stage(one), given)
        torch.testing.assert_close(together[i], alone, rtol=0, atol=1e-12)
        (own,) = torch.autograd.grad((alone * weight[i]).sum(), leaves[1 + i])
        torch.testing.assert_close(slope[i], own, rtol=1e-9, atol=1e-12)


@every_stage("batch")
def test_without_a_gradient_too_and_in_two_dimensions(name):
    stage = make(name)
    batch, singles = hard_pictures()
    shape = {k: getattr(batch, k).unsqueeze(1) for k in PICTURES}
    for key, value in outputs(stage, batch.replace(**shape)).items():
        alone = torch.stack([getattr(stage(one), key) for one in singles])
        torch.testing.assert_close(value[:, 0], alone, rtol=1e-6, atol=1e-6)


@every_stage("traced")
@pytest.mark.parametrize("size", [(2, 3), (18, 26), (9, 13)], ids=str)
def test_what_it_is_in_a_graph_is_what_it_is(name, size, monkeypatch):
    stage, frame = make(name).bind(CAMERA), frame_of(*size, batch=(2,))
    frame.mosaic[0, 0, 1, 1] = 0.99
    expected = outputs(stage, frame)
    # Stages then take the way that depends on no size and no value.
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    for key, value in outputs(stage, frame).items():
        torch.testing.assert_close(value, expected[key], rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", [n for n in EXAMPLES if getattr(stages, n).pointwise])
def test_a_pointwise_stage_does_on_a_part_what_it_does_on_the_whole(name):
    stage, frame = make(name), frame_of(16, 64)
    part = frame.replace(**{key: getattr(frame, key)[..., 5:9, 16:48] for key in PICTURES})
    line = frame.replace(**{key: getattr(frame, key).flatten(-2)[:, None] for key in PICTURES})
    for key, value in outputs(stage, frame).items():
        assert torch.equal(getattr(stage(part), key), value[..., 5:9, 16:48])
        assert torch.equal(getattr(stage(line), key), value.flatten(-2)[:, None])


@every_stage("gradient")
def test_gradient_to_its_input(name):
    stage, frame = make(name).double(), frame_of(4, 5, dtype=torch.float64)
    (taken, *_), (given, *_) = sorted(stage.needs), sorted(stage.gives)

    def run(picture):
        return getattr(stage(frame.replace(**{taken: picture})), given)

    picture = getattr(frame, taken).requires_grad_()
    assert torch.autograd.gradcheck(run, (picture,), eps=1e-6, atol=1e-5)


@every_stage("second")
def test_second_order_of_its_input(name):
    stage, frame = make(name).double(), frame_of(3, 4, dtype=torch.float64)
    (taken, *_), (given, *_) = sorted(stage.needs), sorted(stage.gives)

    def run(picture):
        return getattr(stage(frame.replace(**{taken: picture})), given)

    picture = getattr(frame, taken).requires_grad_()
    assert torch.autograd.gradgradcheck(run, (picture,), eps=1e-6, atol=1e-4, fast_mode=True)


def test_compiled_and_as_onnx_each_was_found_to_be_what_it_is():
    found = recorded()
    assert len(found) > 20
    assert not set(found) - set(EXAMPLES) - set(presets.__all__)
    for name, figures in found.items():
        assert figures.get("compiled_levels", 0) <= 1, name
        assert figures.get("onnx_levels", 0) <= 1, name


@every_stage("parameters")
def test_gradient_to_its_parameters(name):
    stage = make(name).bind(CAMERA).double().learn()
    held = dict(stage.named_parameters())
    frame, (given, *_) = frame_of(4, 5, dtype=torch.float64), sorted(stage.gives)

    def run(*values):
        parameters = dict(zip(held, values, strict=True))
        return getattr(torch.func.functional_call(stage, parameters, (frame,)), given)

    # A step that is small against the smallest of them, a read noise of 1e-6.
    assert torch.autograd.gradcheck(run, tuple(held.values()), eps=1e-9, atol=1e-5)


@every_stage("half")
@pytest.mark.parametrize(("dtype", "error"), [(torch.float16, 0.03), (torch.bfloat16, 0.08)])
def test_in_half_precision_it_is_what_it_is_nearly(name, dtype, error):
    stage, frame = make(name), frame_of(18, 26)
    half = frame.replace(**{key: getattr(frame, key).to(dtype) for key in PICTURES})
    single = frame.replace(**{key: getattr(half, key).float() for key in PICTURES})
    for key, value in outputs(stage, half).items():
        expected = getattr(stage(single), key)
        assert value.dtype == dtype
        limit = error * max(1.0, float(expected.max()))
        torch.testing.assert_close(value.float(), expected, rtol=0, atol=limit)
