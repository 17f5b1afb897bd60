import pytest
import torch
from every_stage import CAMERA, EXAMPLES, PICTURES, frame_of, hard_pictures, make

from isp_meta.errors import PipelineOrderError
from isp_meta.export import TensorPipeline
from isp_meta.frame import Frame
from isp_meta.pipeline import PerPicture, Pipeline, stacked
from isp_meta.stages import (
    BlackLevel,
    Demosaic,
    Exposure,
    Gamma,
    GrayWorld,
    HighlightCompression,
    Jpeg,
    SensorNoise,
    WhiteBalance,
    WorkingToDisplay,
)


def different(name, number):
    """The stage with numbers of its own."""
    stage = make(name)
    for parameter, allowed in stage.ranges.items():
        value = getattr(stage, parameter, None)
        if isinstance(value, torch.Tensor):
            stage.hold(parameter, (value * (1 - 0.07 * number)).clamp(allowed.low, allowed.high))
    return stage


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_picture_goes_through_its_own_stage(name):
    batch, singles = hard_pictures()
    stages = [different(name, number) for number in range(3)]
    (given, *_) = sorted(stages[0].gives)
    together = getattr(PerPicture(stages)(batch), given)
    for picture, stage, single in zip(together, stages, singles, strict=True):
        torch.testing.assert_close(picture, getattr(stage(single), given), rtol=0, atol=1e-6)


def test_gradients_reach_the_numbers_of_each_stage():
    batch, _ = hard_pictures(torch.float64)
    stages = [Exposure(-0.5 * number, clip=False).double().learn() for number in range(3)]
    PerPicture(stages)(batch).rgb.sum().backward()
    for stage, picture in zip(stages, batch.rgb, strict=True):
        expected = (picture * 2 ** stage.stops.detach()).sum() * torch.log(torch.tensor(2.0))
        torch.testing.assert_close(stage.stops.grad, expected.double())
    together = PerPicture(stages)
    together.present[0].stops.data.fill_(99.0)
    together.project()
    assert stages[0].stops.item() == 16.0


def test_some_may_have_none_and_other_arguments():
    batch, singles = hard_pictures()
    stages = [Exposure(0.25), None, Exposure(-0.5, shoulder=True)]
    found = PerPicture(stages)(batch).rgb
    assert torch.equal(found[1], batch.rgb[1])
    for place in (0, 2):
        assert torch.equal(found[place], stages[place](singles[place]).rgb)
    methods = [Demosaic(method) for method in ("menon", "bilinear", "malvar")]
    raw = PerPicture(methods)(batch).raw
    for picture, stage, single in zip(raw, methods, singles, strict=True):
        assert torch.equal(picture, stage(single).raw)


def test_what_is_learned_of_the_light_and_the_space_goes_on():
    batch, singles = hard_pictures()
    stages = [WhiteBalance([1.0 + 0.3 * number, 1.0, 1.5], clip=False) for number in range(3)]
    ends = [HighlightCompression(0.4 + 0.1 * number) for number in range(3)]
    balanced = PerPicture(stages)(batch)
    found = PerPicture(ends)(balanced)
    for number, single in enumerate(singles):
        alone = stages[number](single)
        assert balanced.camera.neutral[number] == pytest.approx(alone.camera.neutral)
        torch.testing.assert_close(found.rgb[number], ends[number](alone).rgb, rtol=0, atol=1e-6)
    assert len(PerPicture([GrayWorld()] * 3)(batch).camera.neutral) == 3
    assert PerPicture([WorkingToDisplay("display-p3")] * 3)(batch).space == "display-p3"


def test_one_program_of_other_tensors_serves_no_seed_and_no_libjpeg():
    batch, singles = hard_pictures()
    stages = [Jpeg(quality, mode="exact") for quality in (60, 75, 90)]
    found = PerPicture(stages)(batch).srgb
    for picture, stage, single in zip(found, stages, singles, strict=True):
        assert torch.equal(picture, stage(single).srgb)
    noisy = PerPicture([SensorNoise(shot, 0.0) for shot in (1e-4, 1e-3, 1e-2)])(
        Frame(CAMERA, mosaic=torch.full((3, 1, 90, 90), 0.25))
    ).mosaic
    assert noisy.std((1, 2, 3)).tolist() == pytest.approx([0.005, 0.0158, 0.05], rel=0.05)


def test_it_is_one_graph():
    batch, _ = hard_pictures()
    cameras = stacked([Pipeline([Exposure(-0.1 * n), Gamma()]) for n in range(3)])
    part = TensorPipeline(cameras, CAMERA, "rgb")
    compiled = torch.compile(part, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(batch.rgb), part(batch.rgb))


def test_pipelines_are_brought_together_by_the_order_of_their_stages():
    one, other = (
        Pipeline([BlackLevel(), Demosaic(), GrayWorld(), Gamma()]),
        Pipeline([BlackLevel(), Demosaic(), GrayWorld(), Exposure(-0.3), Gamma(), Jpeg(50.0)]),
    )
    both = stacked([one, other])
    kinds = [type(stage.present[0]).__name__ for stage in both]
    assert kinds == ["BlackLevel", "Demosaic", "GrayWorld", "Exposure", "Gamma", "Jpeg"]
    frame = frame_of(16, 24, batch=(2,))
    found = both(frame.replace(**dict.fromkeys(set(PICTURES) - {"codes"}))).srgb
    for number, pipeline in enumerate((one, other)):
        alone = pipeline(Frame(CAMERA, codes=frame.codes[number])).srgb
        torch.testing.assert_close(found[number], alone, rtol=0, atol=1e-6)
    turned = Pipeline([BlackLevel(), Demosaic(), GrayWorld(), Exposure()])
    with pytest.raises(PipelineOrderError, match="Exposure, HighlightCompression in different"):
        stacked(
            [
                Pipeline([*turned, HighlightCompression()]),
                Pipeline([*turned[:3], HighlightCompression(), Exposure()]),
            ]
        )


def test_what_does_not_fit_is_named():
    batch, _ = hard_pictures()
    with pytest.raises(ValueError, match="a stage for one picture at least"):
        PerPicture([None])
    with pytest.raises(ValueError, match="Gamma and Exposure need or give other fields"):
        PerPicture([Exposure(), Gamma()])
    with pytest.raises(ValueError, match="a picture without Gamma lacks"):
        PerPicture([Gamma(), None])
    with pytest.raises(ValueError, match=r"stage 0 \(PerPicture\): rgb must be \(2, C, H, W\)"):
        Pipeline([PerPicture([Exposure()] * 2)])(batch)
    with pytest.raises(ValueError, match="no class of stages twice"):
        stacked([Pipeline([Exposure(), Exposure()])])
    with pytest.raises(ValueError, match="either all of the pictures are balanced as shot"):
        PerPicture([WhiteBalance([1.0, 1.0, 1.1]), WhiteBalance(), WhiteBalance()])(batch)
