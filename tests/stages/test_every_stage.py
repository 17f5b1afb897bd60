"""What holds for every stage: a new one is a line in the table below."""

import inspect
from dataclasses import dataclass, field

import pytest
import torch

from isp_meta import stages
from isp_meta.camera import Camera
from isp_meta.frame import Frame
from isp_meta.pipeline import Pipeline
from isp_meta.stage import Stage


@dataclass(frozen=True)
class Example:
    """A stage to try, and what does not hold for it.

    Attributes:
        arguments: of its constructor.
        excused: by name of a check, why it cannot hold.
    """

    arguments: dict = field(default_factory=dict)
    excused: dict = field(default_factory=dict)


MIX = [[0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.05, 0.15, 0.8]]
RANDOM = "every pixel of a batch has noise of its own"
EXAMPLES = {
    "BlackLevel": Example(),
    "CameraToWorking": Example(),
    "ColorMatrix": Example({"matrix": MIX}),
    "DefectivePixels": Example({"defects": [[0, 0]]}),
    "Demosaic": Example(),
    "Exposure": Example({"stops": -0.5}),
    "Gamma": Example(),
    "GrayWorld": Example({}, {"batch": "a frame has one light, and a batch in it too"}),
    "HighlightCompression": Example(),
    "HighlightReconstruction": Example(),
    "HueSaturationMap": Example({"table": [[[[10.0, 0.9, 1.0]], [[5.0, 0.8, 1.0]]]] * 3}),
    "Jpeg": Example({"quality": 90.0}),
    "LensShading": Example(),
    "Linearize": Example({"table": [i * (1 + i / 4095) for i in range(4096)]}),
    "LocalToneMapping": Example(),
    "LookTable": Example({"table": [[[[10.0, 0.9, 1.0]], [[5.0, 0.8, 1.0]]]] * 3}),
    "MosaicNoiseReduction": Example(),
    "NoiseReduction": Example(),
    "Quantize": Example({"bits": 10}, {"gradient": "it goes straight through"}),
    "Saturation": Example({"amount": 0.7}),
    "SensorNoise": Example({"shot": 1e-4, "read": 1e-6, "seed": 1}, {"batch": RANDOM}),
    "Sharpening": Example(),
    "ToneCurve": Example({"knots": [0.0, 0.4, 0.7, 1.0]}),
    "Vignette": Example({"coefficients": [0.2, 0.0, 0.1, 0.0, 0.0]}),
    "WhiteBalance": Example({"gains": [1.1, 1.0, 1.2]}),
    "WorkingToDisplay": Example({"space": "display-p3"}),
}
# It asks a sampler, which is tested in its own family, and holds what no file can.
EXEMPT = {"SampleMetadata"}

CAMERA = Camera(
    cfa="GRBG",
    black_level=(60.0, 62.0, 61.0, 63.0),
    white_level=4095.0,
    as_shot_neutral=(0.7, 1.0, 0.8),
    noise=(1e-4, 1e-6),
)
PICTURES = {"codes": 1, "mosaic": 1, "raw": 3, "rgb": 3, "srgb": 3}
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def every_stage(check):
    """The examples for which a check can hold."""
    named = [name for name, example in EXAMPLES.items() if check not in example.excused]
    return pytest.mark.parametrize("name", [n for n in named if hasattr(stages, n)])


def make(name):
    return getattr(stages, name)(**EXAMPLES[name].arguments)


def frame_of(*size, dtype=torch.float32, seed=0, device="cpu", batch=()):
    """All fields filled with light that no stage clips."""
    generator = torch.Generator().manual_seed(seed)
    fields = {}
    for name, channels in PICTURES.items():
        light = torch.rand(*batch, channels, *size, generator=generator, dtype=torch.float64)
        light = 0.2 + 0.5 * light
        fields[name] = (64 + 3900 * light if name == "codes" else light).to(dtype).to(device)
    return Frame(CAMERA, **fields)


def outputs(stage, frame):
    return {name: getattr(stage(frame), name) for name in sorted(stage.gives)}


def test_every_stage_of_the_family_is_in_the_table():
    family = {
        name
        for name in stages.__all__
        if inspect.isclass(getattr(stages, name)) and issubclass(getattr(stages, name), Stage)
    }
    assert family == set(EXAMPLES) | EXEMPT


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
def test_a_batch_is_each_of_its_pictures(name):
    stage, frame = make(name), frame_of(9, 12, batch=(2,))
    for key, value in outputs(stage, frame).items():
        assert value.shape == (2, PICTURES[key], 9, 12)
        for i in range(2):
            one = frame.replace(**{field: getattr(frame, field)[i] for field in PICTURES})
            torch.testing.assert_close(value[i], getattr(stage(one), key), rtol=1e-6, atol=1e-6)


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
