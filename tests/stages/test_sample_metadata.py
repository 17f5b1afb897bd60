import pytest
import torch

from isp_meta.errors import PipelineOrderError
from isp_meta.frame import Frame, Sampler
from isp_meta.pipeline import Pipeline
from isp_meta.samples import Samples
from isp_meta.stages import Gamma, Quantize, SampleMetadata, WhiteBalance


class Brightest(Sampler):
    """Keeps the pixels that the finished picture shows brightest."""

    def __init__(self, count):
        super().__init__()
        self.count = count

    def forward(self, frame):
        brightness = frame.srgb.sum(0).flatten()
        return Samples.at(brightness.topk(self.count).indices, frame.raw)

    def extra_repr(self):
        return f"count={self.count}"


def test_the_sampler_sees_raw_and_the_finished_picture():
    raw = torch.rand(3, 4, 6, generator=torch.Generator().manual_seed(0))
    pipeline = Pipeline([WhiteBalance(), Gamma(), Quantize(), SampleMetadata(Brightest(5))])
    frame = pipeline(Frame(raw=raw))
    assert len(frame.samples) == 5
    assert torch.equal(frame.samples.value, raw.flatten(1)[:, frame.samples.index].T)
    shown = frame.srgb.sum(0).flatten()
    kept = frame.samples.mask().flatten().bool()
    assert shown[kept].min() >= shown[~kept].max()


def test_needs_what_its_sampler_needs():
    stage = SampleMetadata(Brightest(1))
    assert stage.needs == {"raw", "srgb"}
    assert stage.gives == {"samples"}
    with pytest.raises(PipelineOrderError, match=r"SampleMetadata needs frame\.raw"):
        stage(Frame(srgb=torch.zeros(3, 2, 2)))


def test_a_batch_is_refused():
    batch = torch.rand(2, 3, 4, 4)
    with pytest.raises(ValueError, match=r"one picture.*raw is \(2, 3, 4, 4\)"):
        SampleMetadata(Brightest(1))(Frame(raw=batch, srgb=batch))


def test_before_the_picture_is_finished_it_is_refused_by_name():
    with pytest.raises(PipelineOrderError, match=r"SampleMetadata.*needs srgb.*Gamma"):
        Pipeline([WhiteBalance(), SampleMetadata(Brightest(1)), Gamma()])


def test_refuses_what_is_no_sampler_and_shows_the_one_it_has():
    with pytest.raises(TypeError, match="not Gamma"):
        SampleMetadata(Gamma())
    assert "Brightest(count=3)" in repr(SampleMetadata(Brightest(3)))
