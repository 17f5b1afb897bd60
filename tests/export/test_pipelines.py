import numpy as np
import onnx as onnx_package
import pytest
import torch
from every_stage import EXAMPLES, frame_of, make
from onnxruntime import InferenceSession

from isp_meta import export, presets
from isp_meta.camera import XTRANS, Camera
from isp_meta.errors import ExportError, OutputError, PipelineOrderError
from isp_meta.export import TensorPipeline, graph
from isp_meta.export.pipelines import _Convolution
from isp_meta.frame import Frame
from isp_meta.pipeline import Pipeline
from isp_meta.stage import Stage
from isp_meta.stages import BlackLevel, Demosaic, Gamma, Jpeg, SensorNoise, WhiteBalance

CAMERA = Camera(
    cfa="GBRG", black_level=(64.0,) * 4, white_level=4095.0, as_shot_neutral=(0.5, 1.0, 0.625)
)


def codes(*size, seed=0):
    return 4095 * torch.rand(1, *size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def camera_of_tensors():
    return TensorPipeline(presets.minimal(), CAMERA)


def test_is_the_pipeline_from_field_to_field(camera_of_tensors):
    expected = presets.minimal()(Frame(CAMERA, codes=codes(12, 14)))
    assert torch.equal(camera_of_tensors(codes(12, 14)), expected.srgb)
    part = TensorPipeline(presets.minimal()[2:], CAMERA, takes="raw", gives="rgb")
    assert torch.equal(part(expected.raw), expected.rgb)


def test_refuses_what_one_tensor_cannot_be():
    with pytest.raises(PipelineOrderError, match="needs raw"):
        TensorPipeline(Pipeline([WhiteBalance()]), CAMERA, takes="codes", gives="rgb")
    with pytest.raises(PipelineOrderError, match="gives mosaic, but not srgb"):
        TensorPipeline(Pipeline([BlackLevel()]), CAMERA)


def test_compiles_as_one_graph(camera_of_tensors):
    compiled = torch.compile(camera_of_tensors, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(codes(12, 14)), camera_of_tensors(codes(12, 14)))


# PyTorch's own, where inductor is imported.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_inductor_compiles_it():
    raw = torch.rand(3, 16, 24, generator=torch.Generator().manual_seed(0))
    part = TensorPipeline(presets.minimal()[2:4], CAMERA, takes="raw", gives="rgb")
    compiled = torch.compile(part, fullgraph=True)
    torch.testing.assert_close(compiled(raw), part(raw))


# Each takes seconds where others take tenths of one: `presets.camera` below has one of them.
SLOW = {"MosaicNoiseReduction", "NoiseReduction"}


@pytest.mark.parametrize("name", [n for n in EXAMPLES if n not in SLOW | {"SensorNoise"}])
def test_every_stage_is_exported_with_batch_height_and_width_free(name):
    stage = make(name)
    (taken, *_), (given, *_) = sorted(stage.needs), sorted(stage.gives)
    part = TensorPipeline(Pipeline([stage]), CAMERA, taken, given)
    program = graph.traced(part, [getattr(frame_of(34, 50, batch=(2,)), taken)], dims=(0, 2, 3))
    for size in ((3, 42, 38), (1, 41, 37)):
        picture = getattr(frame_of(*size[1:], batch=size[:1]), taken)
        torch.testing.assert_close(program.module()(picture), part(picture), rtol=0, atol=2e-6)


def test_noise_is_exported_and_a_seed_refused_by_the_stage_s_name():
    def program(stage):
        part = TensorPipeline(Pipeline([stage]), CAMERA, "mosaic", "mosaic")
        return graph.traced(part, [torch.rand(2, 1, 34, 50)], dims=(0, 2, 3)).module()

    found = program(SensorNoise(1e-2, 0.0))(torch.full((3, 1, 40, 60), 0.25))
    assert float(found.std()) == pytest.approx(0.05, rel=0.05)
    with pytest.raises(ValueError, match=r"stage 0 \(SensorNoise\): a seed needs a generator"):
        program(SensorNoise(1e-2, 0.0, seed=1))


def test_libjpeg_is_refused_with_the_stage_s_name_and_what_stands_for_it(tmp_path):
    pipeline = Pipeline([Gamma(), Jpeg(mode="exact")])
    expected = r"stage 1 \(Jpeg\): libjpeg .*; mode='differentiable' is one"
    with pytest.raises(ExportError, match=expected):
        export.onnx(pipeline, CAMERA, tmp_path / "x.onnx", takes="rgb")
    compiled = torch.compile(
        TensorPipeline(pipeline, CAMERA, "rgb"), fullgraph=True, backend="eager"
    )
    with pytest.raises(Exception, match="libjpeg is no part of a graph"):
        compiled(torch.rand(3, 8, 8))


def test_an_onnx_model_gives_what_the_pipeline_gives(tmp_path, camera_of_tensors):
    path = tmp_path / "camera.onnx"
    export.onnx(presets.minimal(), CAMERA, path)
    model = onnx_package.load(path)
    onnx_package.checker.check_model(model)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", export.OPSET)]
    session = InferenceSession(path)
    for size in ((10, 18), (66, 44)):
        several = torch.stack([codes(*size, seed=seed) for seed in range(3)])
        (found,) = session.run(["srgb"], {"codes": several.numpy()})
        assert found.dtype == np.float32
        difference = (torch.from_numpy(found) - camera_of_tensors(several)).abs()
        assert float(difference.max()) < 1.01 / 255
        assert float((difference > 1e-5).float().mean()) < 1e-3
    with pytest.raises(OutputError, match="exists already"):
        export.onnx(presets.minimal(), CAMERA, path)


class Cursed(Stage):
    """Otherwise while it is traced: what a tracer takes for a constant."""

    needs = gives = frozenset({"raw"})

    def forward(self, frame):
        return frame.replace(raw=frame.raw * (2.0 if torch.compiler.is_compiling() else 1.0))


def test_a_model_that_errs_is_not_written(tmp_path):
    path = tmp_path / "camera.onnx"
    with pytest.raises(ExportError, match=r"errs by .* at 50x34 pixels and is not written"):
        export.onnx(Pipeline([Cursed()]), CAMERA, path, takes="raw", gives="raw")
    assert not path.exists()


def test_a_stage_that_cannot_be_traced_is_one_line(tmp_path):
    class Numpy(Stage):
        needs = gives = frozenset({"raw"})

        def forward(self, frame):
            return frame.replace(raw=torch.from_numpy(np.sort(frame.raw.numpy())))

    with pytest.raises(ExportError, match="cannot be expressed in ONNX") as refused:
        export.onnx(Pipeline([Numpy()]), CAMERA, tmp_path / "x.onnx", takes="raw", gives="raw")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("cfa", ["RGGB", "GBRG"])
@pytest.mark.parametrize("method", ["malvar", "bilinear"])
def test_the_convolution_that_is_exported_is_the_demosaic(cfa, method):
    frame = Frame(Camera(cfa=cfa), mosaic=codes(14, 22) / 4095)
    found = _Convolution(cfa, method)(frame.replace(mosaic=frame.mosaic[None])).raw[0]
    torch.testing.assert_close(found, Demosaic(method)(frame).raw, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("cfa", "method"), [(XTRANS, "malvar"), ("GBRG", "kriging")])
def test_a_demosaic_that_onnx_cannot_express_is_refused_by_name(tmp_path, cfa, method):
    camera = Camera(cfa=cfa, white_level=4095.0)
    pipeline = Pipeline([BlackLevel(), Demosaic(method), WhiteBalance()])
    path = tmp_path / "camera.onnx"
    with pytest.raises(ExportError, match=f"{cfa} mosaic by kriging"):
        export.onnx(pipeline, camera, path, gives="rgb")
    assert not path.exists()
    export.onnx(pipeline.since("WhiteBalance"), camera, path, takes="raw", gives="rgb")


@pytest.mark.parametrize("cfa", ["W", "RGB"])
def test_a_camera_without_a_mosaic_is_exported_whole(tmp_path, cfa):
    camera = Camera(cfa=cfa, black_level=(64.0,), white_level=4095.0)
    export.onnx(presets.minimal(), camera, tmp_path / "camera.onnx")
