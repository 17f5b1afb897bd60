"""A camera of one's own, with a new stage and a tap: python examples/own_pipeline.py [RAW]

Writes demo-output/own_pipeline.jpg. Without RAW it takes the sample that comes with the package.
"""

import sys
from pathlib import Path

import isp_meta
from isp_meta import Frame, Pipeline, Stage
from isp_meta.data import sample_path
from isp_meta.samplers import UniformSampler
from isp_meta.stages import (
    BlackLevel,
    ColorMatrix,
    Demosaic,
    Gamma,
    Quantize,
    SampleMetadata,
    ToneCurve,
    WhiteBalance,
)


class GrayMix(Stage):
    """Moves colors away from their gray, or toward it."""

    needs = frozenset({"rgb"})
    gives = frozenset({"rgb"})

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.strength = strength

    def forward(self, frame: Frame) -> Frame:
        """Replaces ``rgb``."""
        rgb = frame.require("rgb", by="GrayMix")
        gray = rgb.mean(0, keepdim=True)
        return frame.replace(rgb=(gray + self.strength * (rgb - gray)).clamp(0, 1))


camera = Pipeline(
    [
        BlackLevel(),
        Demosaic("bilinear"),
        WhiteBalance(),
        ColorMatrix(),
        GrayMix(1.3),
        ToneCurve.filmic(exposure=1.5),
        Gamma(),
        Quantize(8),
        SampleMetadata(UniformSampler(cell=8)),
    ]
)
print(camera)

# The same question between any two stages: what does the picture look like here?
for position in (3, 4):
    camera.tap(position, lambda frame: print("mean rgb", frame.rgb.mean((1, 2)).tolist()))

source = Path(sys.argv[1]) if len(sys.argv) > 1 else sample_path()
jpeg = Path("demo-output/own_pipeline.jpg")
jpeg.parent.mkdir(exist_ok=True)
made = isp_meta.embed(source, jpeg, pipeline=camera, overwrite=True)
print(f"{jpeg}: {len(made.frame.samples):,} raw pixels, {made.bits_per_pixel:.3f} bits a pixel")
