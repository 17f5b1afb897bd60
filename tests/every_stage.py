"""One example of every stage, for the tests of what holds for all: a new stage is a line below."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from isp_meta import stages
from isp_meta.camera import Camera
from isp_meta.frame import Frame


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
# A red place, and all pixels of a part of the picture.
MAPS = [
    {"gains": [[[1.2], [1.0]], [[0.9], [1.1]]], "rectangle": (0, 1, 999, 999), "pitch": (2, 2)},
    {"gains": [[[0.8]], [[1.0]]], "rectangle": (2, 2, 9, 9), "spacing": (0.5, 1.0)},
]
# 1x2x2 matrices of colors, and 1.
GRID = [
    [
        [[[0.8, 0.1, 0.0, 0.05], [0.0, 0.9, 0.1, 0.0], [0.1, 0.0, 0.8, 0.02]]] * 2,
        [
            [[0.5, 0.0, 0.0, 0.1], [0.0, 0.7, 0.0, 0.0], [0.0, 0.0, 0.9, 0.0]],
            [[*row, 0.0] for row in MIX],
        ],
    ]
]
# Red, green and blue of 2x2x2 corners: nothing special, but in range.
LOOK = [
    [[[0.1, 0.0, 0.1], [0.0, 0.1, 0.9]], [[0.2, 0.8, 0.1], [0.1, 1.0, 0.8]]],
    [[[0.9, 0.1, 0.0], [0.8, 0.2, 1.0]], [[1.0, 0.8, 0.2], [0.9, 1.0, 0.9]]],
]
RANDOM = "every pixel of a batch has noise of its own"
SEED = "a seed needs a generator, which no graph can hold; without one yes"
EXAMPLES = {
    "AutoExposure": Example({"metering": "scene"}),
    "AutoWhiteBalance": Example({"statistic": "gray-edge", "norm": 2.0, "clip": False}),
    "BilateralGrid": Example({"grid": GRID}),
    "BlackLevel": Example(),
    "CameraToWorking": Example(),
    "ChromaticAberration": Example(
        {"red": [0.004, -0.002, 0.001], "blue": [-0.003, 0.001, 0.0], "center": [0.48, 0.53]}
    ),
    "ColorMatrix": Example({"matrix": MIX}),
    "DefectivePixels": Example(
        {"defects": [[0, 0]]}, {"parameters": "a pixel is found or is not: none"}
    ),
    "Demosaic": Example(),
    "Exposure": Example({"stops": -0.5}),
    "Gamma": Example(),
    "GrayWorld": Example(),
    "HighlightCompression": Example(),
    "HighlightReconstruction": Example(),
    "HueSaturationMap": Example({"table": [[[[10.0, 0.9, 1.0]], [[5.0, 0.8, 1.0]]]] * 3}),
    "Jpeg": Example(
        {"quality": 90.0}, {"parameters": "that of the tables before they are rounded"}
    ),
    "LensShading": Example({"maps": MAPS}),
    "LensWarp": Example(
        {
            "coefficients": [
                [1.0, -0.05, 0.01, 0.0, 0.003, -0.002],
                [0.98, 0.04, 0.01, 0.005, 0.0, 0.0],
                [1.01, 0.05, 0.0, 0.0, 0.0, 0.001],
            ],
            "center": [0.45, 0.52],
        }
    ),
    "Linearize": Example({"table": [i * (1 + i / 4095) for i in range(4096)]}),
    "LocalToneMapping": Example(),
    "LookTable": Example({"table": [[[[10.0, 0.9, 1.0]], [[5.0, 0.8, 1.0]]]] * 3}),
    "Lut3D": Example({"table": LOOK}),
    "MosaicNoiseReduction": Example(),
    "NoiseReduction": Example(),
    "Quantize": Example({"bits": 10}, {"gradient": "it goes straight through"}),
    "Saturation": Example({"amount": 0.7}),
    "SensorNoise": Example(
        {"shot": 1e-4, "read": 1e-6, "seed": 1}, {"batch": RANDOM, "traced": SEED}
    ),
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


def excuse(name, check):
    """Why a check cannot hold for a stage; None: it must."""
    if check == "parameters" and not list(make(name).bind(CAMERA).learn().parameters()):
        return "none is learned"
    return EXAMPLES[name].excused.get(check)


def every_stage(check):
    """The examples for which a check can hold."""
    named = [name for name in EXAMPLES if excuse(name, check) is None]
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


def hard_pictures(dtype=torch.float32):
    """Three pictures as one batch, all fields filled, each with what another has not: darkness with
    a hot pixel, channels that saturate below white, noise in full range. And the list of them."""
    generator = torch.Generator().manual_seed(0)
    height, width = 18, 26
    light = torch.rand(3, 3, height, width, generator=generator, dtype=torch.float64)
    light[0] *= 0.05
    light[0, :, 7, 9] = 0.9
    light[1] = (0.5 + light[1]).clamp(max=torch.tensor([0.93, 1.0, 0.85]).view(3, 1, 1))
    light = light.to(dtype)
    fields = {
        "codes": 64 + 3900 * light[:, 1:2],
        "mosaic": light[:, 1:2],
        "raw": light,
        "rgb": light * torch.tensor([1.4, 1.0, 1.3], dtype=dtype).view(3, 1, 1),
        "srgb": light,
    }
    batch = Frame(CAMERA, **fields)
    return batch, [Frame(CAMERA, **{k: v[i] for k, v in fields.items()}) for i in range(3)]


# Columns of the table in docs/stages.md: what is tested of every stage, and its name as a check.
COLUMNS = {
    "gradient": "gradient",
    "parameters": "of parameters",
    "second": "second order",
    "batch": "batch",
    "compile": "compiled",
    "traced": "exported",
    "onnx": "ONNX",
    "half": "half",
}
# What benchmarks/graphs.py found; compilers take minutes, so that tests read its record.
RECORD = Path(__file__).parents[1] / "benchmarks" / "results" / "graphs" / "stages.json"


def recorded():
    """By name of a stage or preset, what it is compiled and as ONNX."""
    return json.loads(RECORD.read_text("utf-8"))["graphs"]


def cell(name, check):
    """Of the table: "yes", or why not."""
    if check not in ("compile", "onnx"):
        return excuse(name, check) or "yes"
    if reason := excuse(name, "traced"):
        return reason
    found = recorded().get(name, {})
    if refused := found.get(f"{check}_refused"):
        return f"no: {refused}"
    levels = "compiled_levels" if check == "compile" else "onnx_levels"
    return "yes" if levels in found else "not recorded"


def table():
    """What holds of every stage, as the documentation shows it: the tests' own excuses."""
    lines = [f"| stage | {' | '.join(COLUMNS.values())} |", "| --- " * (1 + len(COLUMNS)) + "|"]
    lines += [
        f"| `{name}` | {' | '.join(cell(name, check) for check in COLUMNS)} |" for name in EXAMPLES
    ]
    return "\n".join(lines)
