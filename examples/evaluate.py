"""A reconstructor of one's own against the others: python examples/evaluate.py

Writes demo-output/evaluate/: results.json, results.md, and a sheet of samples and errors.
"""

from pathlib import Path

from isp_meta import presets
from isp_meta.data import sample_path
from isp_meta.decoder.cubic import apply_polynomial, fit_polynomial
from isp_meta.evaluation import (
    Benchmark,
    FileInput,
    Method,
    Rendering,
    benchmark,
    tables,
)
from isp_meta.frame import Frame, Reconstructor
from isp_meta.reconstruct import LocalRBFReconstructor
from isp_meta.samplers import SuperpixelSampler, UniformSampler


class Cubic(Reconstructor):
    """One cubic polynomial from sRGB to raw for the whole picture."""

    def forward(self, frame: Frame):
        """(3, H, W) in [0, 1], equal to the stored samples at their pixels."""
        samples, srgb = frame.samples, frame.srgb
        colors = srgb.flatten(1)[:, samples.index].T
        raw = apply_polynomial(fit_polynomial(colors, samples.value), srgb)
        raw.flatten(1)[:, samples.index] = samples.value.T
        return raw


uniform, superpixel = UniformSampler(), SuperpixelSampler()
plan = Benchmark(
    methods=[
        Method("uniform", "cubic", uniform, Cubic()),
        Method("uniform", "local-rbf", uniform, LocalRBFReconstructor()),
        Method("superpixel", "local-rbf", superpixel, LocalRBFReconstructor()),
    ],
    renderings=[
        Rendering("karaimer-brown", presets.karaimer_brown()),
        Rendering("local-tone", presets.local_tone()),
    ],
    inputs=[FileInput(8), FileInput(8, quality=95)],
    shrink=4,
    note="A crop of one photograph, at a quarter of its scale.",
)
folder = Path("demo-output/evaluate")
folder.mkdir(parents=True, exist_ok=True)
results = benchmark(
    sample_path(),
    plan,
    done=lambda found: found.write(folder / "results.json"),
    maps=folder,
    progress=print,
)
(folder / "results.md").write_text(tables([results]), encoding="utf-8")
print(tables([results]))
