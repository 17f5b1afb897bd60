import pytest
import torch

from isp_meta import Pipeline, io, presets
from isp_meta.errors import PipelineOrderError
from isp_meta.evaluation import FileInput, Rendering
from isp_meta.frame import Frame
from isp_meta.stages import BlackLevel, Demosaic, Gamma, Jpeg, Quantize, WhiteBalance


@pytest.fixture(scope="module")
def scene(make_frame):
    frame = Pipeline([BlackLevel(), Demosaic()])(make_frame(48, 64))
    return Frame(frame.camera, raw=frame.raw)


@pytest.mark.parametrize("preset", [presets.minimal, presets.karaimer_brown, presets.camera])
def test_a_rendering_is_its_pipeline_from_raw_on_before_rounding(preset, scene):
    srgb = Rendering("any", preset())(scene)
    rounded = preset().since("WhiteBalance")(scene).srgb
    assert srgb.shape == scene.raw.shape
    assert float((srgb - rounded).abs().max()) <= 0.5 / 255 + 1e-6
    assert len(srgb.unique()) > 256


def test_what_a_file_loses_is_left_to_the_input(scene):
    plain = Rendering("plain", Pipeline([WhiteBalance(), Gamma()]))(scene)
    stages = [WhiteBalance(), Gamma(), Quantize(4), Jpeg(20, mode="exact")]
    assert torch.equal(Rendering("lossy", Pipeline(stages))(scene), plain)


def test_local_tone_differs_from_its_model_by_one_stage(scene):
    names = [type(stage).__name__ for stage in presets.local_tone()]
    names.remove("LocalToneMapping")
    assert names == [type(stage).__name__ for stage in presets.karaimer_brown()]
    both = presets.local_tone, presets.karaimer_brown
    ours, model = (Rendering("r", make())(scene) for make in both)
    # The same raw gives different tones at different places, which no global curve does.
    assert float((ours - model).abs().max()) > 0.02


@pytest.mark.parametrize(
    "stages", [[WhiteBalance()], [BlackLevel(), Gamma()], [BlackLevel(), WhiteBalance(), Gamma()]]
)
def test_a_pipeline_that_does_not_lead_from_raw_to_srgb_is_refused(stages):
    with pytest.raises(PipelineOrderError, match="mine: must lead from raw to srgb"):
        Rendering("mine", Pipeline(stages))


def test_inputs_keep_what_their_files_keep():
    srgb = torch.rand(3, 16, 24, generator=torch.Generator().manual_seed(0))
    for bits in (8, 16):
        kept = FileInput(bits)(srgb)
        codes = kept.double() * (2**bits - 1)
        assert torch.allclose(codes, codes.round(), atol=0.01)
        assert float((kept - srgb).abs().max()) <= 0.51 / (2**bits - 1)
    decoded = io.decode_image(io.encode_jpeg(srgb, quality=90), "a.jpg")
    assert torch.equal(FileInput(8, 90)(srgb), decoded.float() / 255)


def test_names_and_refusals_of_inputs():
    names = [each.name for each in (FileInput(16), FileInput(), FileInput(8, 95))]
    assert names == ["16bit", "8bit", "jpeg95"]
    for bits, quality in ((0, None), (17, None), (16, 95), (8, 0), (8, 101)):
        with pytest.raises(ValueError, match="bits"):
            FileInput(bits, quality)
