import pytest
import torch

from isp_meta.baselines import RBFReconstructor
from isp_meta.errors import PipelineOrderError
from isp_meta.frame import Frame
from isp_meta.reconstruct import LocalRBFReconstructor
from isp_meta.samples import Samples

SRGB = torch.rand(3, 4, 6, generator=torch.Generator().manual_seed(0))
SAMPLES = Samples.at(torch.tensor([3, 17]), SRGB)
every_reconstructor = pytest.mark.parametrize(
    "reconstructor", [LocalRBFReconstructor(), RBFReconstructor()], ids=lambda r: type(r).__name__
)


@every_reconstructor
@pytest.mark.parametrize("missing", ["srgb", "samples"])
def test_names_the_field_that_is_missing(reconstructor, missing):
    frame = Frame(srgb=SRGB, samples=SAMPLES).replace(**{missing: None})
    with pytest.raises(PipelineOrderError, match=rf"Reconstructor needs frame\.{missing}"):
        reconstructor(frame)


@every_reconstructor
@pytest.mark.parametrize("crop", [(slice(3), slice(None)), (slice(None), slice(5))])
def test_refuses_samples_of_another_size_and_names_both(reconstructor, crop):
    srgb = SRGB[:, crop[0], crop[1]]
    size = f"{srgb.shape[2]}x{srgb.shape[1]}"
    with pytest.raises(ValueError, match=f"6x4 picture do not fit one of {size}"):
        reconstructor(Frame(srgb=srgb, samples=SAMPLES))


@every_reconstructor
def test_refuses_to_make_up_a_picture_from_no_samples(reconstructor):
    none = Samples.at(torch.tensor([-1]), SRGB)
    with pytest.raises(ValueError, match="no samples"):
        reconstructor(Frame(srgb=SRGB, samples=none))
