import pytest
import torch

from isp_meta.camera import Camera
from isp_meta.errors import PipelineOrderError
from isp_meta.frame import Frame
from isp_meta.io import remosaic
from isp_meta.io.libraw_demosaic import libraw_demosaic
from isp_meta.libraw import LibRawDemosaic


@pytest.mark.parametrize("batch", [(), (2,)])
def test_the_stage_follows_the_camera(batch):
    generator = torch.Generator().manual_seed(0)
    mosaic = torch.rand(*batch, 1, 30, 31, generator=generator)
    frame = Frame(Camera(cfa="GBRG"), mosaic=mosaic)
    raw = LibRawDemosaic("PPG")(frame).raw
    assert raw.shape == (*batch, 3, 30, 31)
    last = mosaic[-1] if batch else mosaic
    assert torch.equal(raw[-1] if batch else raw, libraw_demosaic(last, frame.camera, "PPG"))
    torch.testing.assert_close(remosaic(raw[-1] if batch else raw, "GBRG"), last)


def test_refusals_and_repr():
    learning = torch.rand(1, 30, 30, requires_grad=True)
    with pytest.raises(ValueError, match="no gradient"):
        LibRawDemosaic()(Frame(mosaic=learning))
    with pytest.raises(ValueError, match="no side below 22 pixels"):
        LibRawDemosaic()(Frame(mosaic=torch.zeros(1, 16, 16)))
    with pytest.raises(ValueError, match="'LMMSE'"):
        LibRawDemosaic("LMMSE")
    with pytest.raises(PipelineOrderError, match=r"LibRawDemosaic needs frame\.mosaic"):
        LibRawDemosaic()(Frame())
    assert repr(LibRawDemosaic()) == "LibRawDemosaic(algorithm='AHD')"
