import pytest
import torch
from torch import nn

from isp_meta.camera import Camera
from isp_meta.errors import PipelineOrderError
from isp_meta.frame import Frame
from isp_meta.pipeline import Pipeline
from isp_meta.stages import (
    BlackLevel,
    ColorMatrix,
    Demosaic,
    Gamma,
    Quantize,
    ToneCurve,
    WhiteBalance,
)


def camera_stages():
    return [
        BlackLevel(),
        Demosaic(),
        WhiteBalance(),
        ColorMatrix(),
        ToneCurve.filmic(),
        Gamma(),
        Quantize(),
    ]


def a_frame(height=13, width=18):
    codes = torch.rand(1, height, width, generator=torch.Generator().manual_seed(0)) * 4095
    camera = Camera(cfa="GBRG", white_level=4095.0, as_shot_neutral=(0.5, 1.0, 0.6))
    return Frame(camera, codes=codes)


def test_a_whole_camera_from_codes_to_a_finished_picture():
    frame = Pipeline(camera_stages())(a_frame())
    assert frame.filled == {"codes", "mosaic", "raw", "rgb", "srgb"}
    assert frame.srgb.shape == (3, 13, 18)
    assert frame.srgb.dtype == torch.float32
    levels = frame.srgb * 255
    torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-4)
    assert 0 <= frame.srgb.min() < frame.srgb.max() <= 1


def test_is_its_stages_one_after_the_other():
    stages = camera_stages()
    frame = a_frame()
    expected = frame
    for stage in stages:
        expected = stage(expected)
    assert torch.equal(Pipeline(stages)(frame).srgb, expected.srgb)


def test_states_what_it_needs_and_gives():
    pipeline = Pipeline(camera_stages())
    assert pipeline.needs == {"codes"}
    assert pipeline.gives == {"mosaic", "raw", "rgb", "srgb"}
    assert Pipeline([Gamma(), Quantize()]).needs == {"rgb"}
    assert Pipeline([]).needs == frozenset()


@pytest.mark.parametrize(
    ("stages", "early", "field", "late"),
    [
        ([Demosaic(), BlackLevel()], "Demosaic", "mosaic", "BlackLevel"),
        ([BlackLevel(), WhiteBalance(), Demosaic()], "WhiteBalance", "raw", "Demosaic"),
        ([ColorMatrix(), WhiteBalance()], "ColorMatrix", "rgb", "WhiteBalance"),
        ([ToneCurve(), ColorMatrix(), WhiteBalance()], "ToneCurve", "rgb", "WhiteBalance"),
        ([Gamma(), WhiteBalance()], "Gamma", "rgb", "WhiteBalance"),
        ([WhiteBalance(), Quantize(), Gamma()], "Quantize", "srgb", "Gamma"),
    ],
)
def test_a_wrong_order_is_refused_when_built_and_both_are_named(stages, early, field, late):
    with pytest.raises(PipelineOrderError) as refused:
        Pipeline(stages)
    assert early in str(refused.value)
    assert f"needs {field}" in str(refused.value)
    assert late in str(refused.value)


def test_a_wrong_order_of_nested_pipelines_is_refused():
    with pytest.raises(PipelineOrderError, match=r"Pipeline.*needs rgb.*WhiteBalance"):
        Pipeline([Pipeline([Gamma(), Quantize()]), WhiteBalance()])


def test_a_frame_that_lacks_a_field_is_refused_by_name():
    with pytest.raises(
        PipelineOrderError, match="WhiteBalance needs raw, but the frame has only co"
    ):
        Pipeline([WhiteBalance(), Gamma()])(a_frame())
    with pytest.raises(PipelineOrderError, match="no fields"):
        Pipeline([Gamma()])(Frame())


def test_refuses_what_is_no_stage():
    with pytest.raises(TypeError, match="position 1 holds Linear"):
        Pipeline([BlackLevel(), nn.Linear(1, 1)])


def test_a_tap_sees_what_leaves_a_stage_until_it_is_removed():
    pipeline = Pipeline(camera_stages())
    seen = []
    handle = pipeline.tap(1, seen.append)
    last = pipeline.tap(-1, lambda frame: seen.append(frame.srgb))
    frame = pipeline(a_frame())
    between, finished = seen
    assert between.filled == {"codes", "mosaic", "raw"}
    assert between.raw is frame.raw
    assert finished is frame.srgb
    handle.remove()
    last.remove()
    pipeline(a_frame())
    assert len(seen) == 2


def test_pipelines_nest_and_slice():
    stages = camera_stages()
    whole = Pipeline(stages)
    nested = Pipeline([Pipeline(stages[:2]), Pipeline(stages[2:])])
    frame = a_frame()
    assert torch.equal(nested(frame).srgb, whole(frame).srgb)
    assert isinstance(whole[:2], Pipeline)
    assert whole[:2](frame).filled == {"codes", "mosaic", "raw"}
    assert whole[-1] is stages[-1]
    assert list(whole) == stages
    assert len(whole) == 7


def test_gradient_reaches_the_codes_through_every_stage():
    frame = a_frame()
    codes = frame.codes.requires_grad_()
    Pipeline(camera_stages())(frame).srgb.sum().backward()
    assert codes.grad.isfinite().all()
    assert (codes.grad != 0).float().mean() > 0.5


def test_learned_parts_are_its_parameters():
    pipeline = Pipeline([WhiteBalance(nn.Parameter(torch.ones(3))), ToneCurve()])
    assert [name for name, _ in pipeline.named_parameters()] == ["stages.0.gains"]
    assert "stages.1.knots" in pipeline.state_dict()


def test_repr_lists_the_stages():
    assert repr(Pipeline([BlackLevel(), Pipeline([Gamma()])])) == (
        "Pipeline([\n  0: BlackLevel(clip=True)\n  1: Pipeline([\n    0: Gamma()\n  ])\n])"
    )
