import concurrent.futures
import copy

import pytest
import torch
from torch import nn

from isp_meta.camera import Camera
from isp_meta.errors import PipelineOrderError
from isp_meta.frame import Frame
from isp_meta.pipeline import Pipeline, bands
from isp_meta.processors.workers import workers
from isp_meta.stage import Stage
from isp_meta.stages import (
    BlackLevel,
    CameraToWorking,
    ColorMatrix,
    Demosaic,
    Gamma,
    HighlightCompression,
    Quantize,
    Sharpening,
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
        PipelineOrderError, match=r"stage 0 \(WhiteBalance\) needs raw, but the frame has only co"
    ):
        Pipeline([WhiteBalance(), Gamma()])(a_frame())
    with pytest.raises(PipelineOrderError, match="no fields"):
        Pipeline([Gamma()])(Frame())


def test_refuses_what_is_no_stage():
    with pytest.raises(TypeError, match="position 1 holds Linear"):
        Pipeline([BlackLevel(), nn.Linear(1, 1)])


def test_a_class_in_place_of_its_instance_is_told_so():
    with pytest.raises(TypeError, match=r"position 1 holds the class Gamma; write Gamma\(\)"):
        Pipeline([ToneCurve(), Gamma])


class Failing(Stage):
    needs = gives = frozenset({"rgb"})
    pointwise = True

    def __init__(self, error, after=0):
        super().__init__()
        self.error, self.left = error, after

    def forward(self, frame):
        self.left -= 1
        if self.left < 0:
            raise self.error
        return frame


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("too dark"), "too dark"),
        (RuntimeError("Failing: size mismatch", 7), "size mismatch"),
        (PipelineOrderError("none is there"), "none is there"),
    ],
    ids=["ValueError", "RuntimeError", "PipelineOrderError"],
)
def test_an_error_names_its_stage(error, text, nested):
    stages = [ToneCurve([0.0, 1.0]), Failing(copy.copy(error))]
    where = r"stage 1 \(Failing\): "
    if nested:
        stages, where = [ColorMatrix(), Pipeline(stages)], r"stage 1 \(Pipeline\): " + where
    with pytest.raises(type(error), match=where + text):
        Pipeline(stages)(Frame(rgb=torch.rand(3, 2, 2)))


def test_an_error_of_another_form_comes_out_as_it_is():
    with pytest.raises(FileNotFoundError, match="No such file"):
        Pipeline([Failing(FileNotFoundError(2, "No such file"))])(Frame(rgb=torch.rand(3, 2, 2)))


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
    pipeline = Pipeline([WhiteBalance(nn.Parameter(torch.ones(3))), ToneCurve.filmic()])
    assert [name for name, _ in pipeline.named_parameters()] == ["stages.0.gains"]
    assert "stages.1.knots" in pipeline.state_dict()


def test_repr_lists_the_stages():
    assert repr(Pipeline([BlackLevel(), Pipeline([Gamma()])])) == (
        "Pipeline([\n  0: BlackLevel(clip=True)\n  1: Pipeline([\n    0: Gamma()\n  ])\n])"
    )


@pytest.mark.parametrize("which", [1, -6, "Demosaic", Demosaic])
def test_a_stage_is_found_by_position_name_or_class(which):
    stages = camera_stages()
    pipeline = Pipeline(stages)
    assert pipeline.position(which) == 1
    assert pipeline.find(which) is stages[1]
    assert list(pipeline.until(which)) == stages[:2]
    assert list(pipeline.since(which)) == stages[1:]


def test_until_and_since_make_the_whole():
    pipeline, frame = Pipeline(camera_stages()), a_frame()
    between = pipeline.until("Demosaic")(frame)
    assert torch.equal(pipeline.since("WhiteBalance")(between).srgb, pipeline(frame).srgb)


@pytest.mark.parametrize("which", [7, -8, "Sharpen", "demosaic", nn.Linear])
def test_a_stage_that_is_not_there_is_refused(which):
    with pytest.raises(ValueError, match="there is no"):
        Pipeline(camera_stages()).find(which)


def test_of_two_of_a_kind_a_name_chooses_none():
    pipeline = Pipeline([ToneCurve([0.0, 1.0]), Gamma(), Pipeline([]), ToneCurve([0.0, 1.0])])
    with pytest.raises(ValueError, match="several ToneCurve, at positions 0 and 3"):
        pipeline.find("ToneCurve")
    assert pipeline.find(3) is pipeline[3]


def test_replace_swaps_one_stage_and_keeps_the_others():
    pipeline = Pipeline(camera_stages())
    swapped = pipeline.replace("Demosaic", Demosaic("bilinear"))
    assert [s.method for s in (pipeline[1], swapped[1])] == ["malvar", "bilinear"]
    assert all(a is b for i, (a, b) in enumerate(zip(pipeline, swapped, strict=True)) if i != 1)
    with pytest.raises(PipelineOrderError):
        pipeline.replace("BlackLevel", WhiteBalance())


def test_bound_it_asks_no_camera():
    pipeline, frame = Pipeline(camera_stages()), a_frame()
    bound = pipeline.bind(frame.camera)
    stranger = frame.replace(camera=Camera(cfa="GBRG", white_level=1e4))
    torch.testing.assert_close(bound(stranger).srgb, pipeline(frame).srgb, rtol=0, atol=1.01 / 255)
    assert pipeline.find("WhiteBalance").gains is None


def test_learns_all_or_what_is_named():
    pipeline = Pipeline([WhiteBalance([2.0, 1.0, 1.5]), ToneCurve([0.0, 0.4, 1.0])])
    assert list(pipeline.learn("ToneCurve.knots").parameters()) == [pipeline[1].knots]
    assert len(list(pipeline.learn().parameters())) == 2
    with pytest.raises(ValueError, match="no parameter gain to learn"):
        pipeline.learn("WhiteBalance.gain")
    with torch.no_grad():
        pipeline[0].gains.fill_(-1.0)
    pipeline.project()
    assert float(pipeline[0].gains.detach().min()) > 0


LARGE = (515, 771)


class Hue(Stage):
    """Pointwise, over transcendental functions, of which vector units have their own."""

    needs = gives = frozenset({"rgb"})
    pointwise = True

    def __init__(self):
        super().__init__()
        self.sizes = []

    def forward(self, frame):
        self.sizes.append(frame.rgb.shape[-2:].numel())
        return frame.replace(rgb=frame.rgb.pow(0.7).exp().log1p())


@pytest.mark.parametrize("keep", [None, ("raw", "srgb")])
def test_band_by_band_is_stage_by_stage_to_the_bit(keep):
    stages = [*camera_stages()[:4], Hue(), *camera_stages()[4:]]
    frame = a_frame(*LARGE)
    expected = frame
    for stage in stages:
        expected = stage(expected)
    found = Pipeline(stages)(frame, keep)
    names = frame.FIELDS if keep is None else keep
    for name in names:
        if name != "samples":
            assert torch.equal(getattr(found, name), getattr(expected, name)), name
    assert found.filled == (expected.filled if keep is None else set(keep))
    assert stages[4].sizes[0] == LARGE[0] * LARGE[1]
    assert sum(stages[4].sizes[1:]) == LARGE[0] * LARGE[1]
    assert max(stages[4].sizes[1:]) == bands.BAND


# PyTorch's own, where its first forward derivative is taken.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("reason", ["tap", "gradient", "learned", "small", "vmap", "forward"])
def test_is_whole_where_a_band_would_show_or_be_lost(reason):
    hue = Hue()
    pipeline = Pipeline([WhiteBalance([1.0, 1.0, 1.0]), hue])
    raw = torch.rand(3, *LARGE, generator=torch.Generator().manual_seed(0))
    if reason == "tap":
        pipeline.tap("Hue", lambda _frame: None)
    elif reason == "gradient":
        raw.requires_grad_()
    elif reason == "learned":
        pipeline.learn("WhiteBalance")
        pipeline = pipeline[:]
    elif reason == "small":
        raw = raw[:, :20, :30]
    frame = Frame(raw=raw)
    if reason == "vmap":
        torch.vmap(lambda light: pipeline(Frame(raw=light)).rgb)(torch.stack([raw, raw]))
    elif reason == "forward":
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(raw, torch.ones_like(raw))
            out = pipeline(Frame(raw=dual)).rgb
            assert torch.autograd.forward_ad.unpack_dual(out).tangent is not None
    else:
        rgb = pipeline(frame).rgb
        assert rgb.requires_grad == (reason in ("gradient", "learned"))
    assert hue.sizes == [raw.shape[-2:].numel()]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_bands_run_where_autograd_is_off(mode):
    hue = Hue()
    raw = torch.rand(3, *LARGE)
    with mode():
        found = Pipeline([WhiteBalance([1.0, 1.0, 1.0]), hue]).learn()(Frame(raw=raw)).rgb
    assert len(hue.sizes) == 4
    assert not found.requires_grad
    assert found.is_inference() == (mode is torch.inference_mode)


@pytest.mark.parametrize("after", [0, 1])
def test_an_error_in_a_band_comes_out_and_names_its_stage(after):
    pipeline = Pipeline([Sharpening(field="rgb"), Hue(), Failing(ValueError("broken"), after)])
    with pytest.raises(ValueError, match=r"stage 2 \(Failing\): broken"):
        pipeline(Frame(rgb=torch.rand(3, *LARGE)))


def test_profile_gives_the_picture_and_what_each_stage_cost():
    pipeline, frame = Pipeline(camera_stages()), a_frame(*LARGE)
    made, times = pipeline.profile(frame)
    assert torch.equal(made.srgb, pipeline(frame).srgb)
    assert [time.stage for time in times] == list(pipeline)
    assert all(time.seconds > 0 for time in times)
    assert all(time.peak_bytes is None or time.peak_bytes > 1e6 for time in times)


def test_workers_leave_the_number_of_threads_as_it_was():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:

        def work(_):
            with workers() as pool:
                return [*pool.map(lambda _: torch.get_num_threads(), range(4))]

        with concurrent.futures.ThreadPoolExecutor(4) as callers:
            assert [*callers.map(work, range(16))] == [[1] * 4] * 16
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_bound_a_chosen_neutral_reaches_the_stages_behind():
    camera = Camera(as_shot_neutral=(0.5, 1.0, 0.6))
    frame = Frame(camera, raw=torch.rand(3, 8, 9, generator=torch.Generator().manual_seed(0)))
    chosen = WhiteBalance([1.0, 1.3, 2.4], clip=False)
    for balance in (chosen, Pipeline([chosen])):
        pipeline = Pipeline([balance, CameraToWorking("srgb", clip=False), HighlightCompression()])
        neutral = pipeline(frame).camera.neutral
        assert pipeline.camera_after(camera).neutral == neutral
        assert float(pipeline.bind(camera).find("HighlightCompression").white) == pytest.approx(2.4)
        torch.testing.assert_close(pipeline.bind(camera)(frame).rgb, pipeline(frame).rgb)
        as_shot = pipeline.replace(0, WhiteBalance(clip=False)).bind(camera)
        assert not torch.allclose(
            as_shot.find("CameraToWorking").matrix, pipeline.bind(camera)[1].matrix
        )
