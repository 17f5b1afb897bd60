import dataclasses

import pytest
import torch

from isp_meta.baselines import RBFReconstructor
from isp_meta.errors import PipelineOrderError
from isp_meta.frame import Frame
from isp_meta.networks import UNet
from isp_meta.reconstruct import LocalRBFReconstructor, UNetReconstructor
from isp_meta.samples import LocalRBFModel, Samples

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


def test_control_values_are_for_the_decoder_of_their_model():
    none = torch.zeros(0, 3)
    model = LocalRBFModel(
        "rational", 16.0, 0.2, 0.05, 8, torch.zeros(3, 20), none, none, torch.zeros(3, 0)
    )
    samples = dataclasses.replace(SAMPLES, model=model, control=True)
    frame = Frame(srgb=SRGB, samples=samples)
    raw = LocalRBFReconstructor()(frame).view(3, -1)
    assert not torch.isclose(raw[:, samples.index].T, samples.value).any()
    network = UNetReconstructor(UNet(7, 3, 2, "sigmoid"))
    for ask in (RBFReconstructor(), network, lambda frame: network.fine_tune(frame, 1)):
        with pytest.raises(ValueError, match="needs measured values; these are control values"):
            ask(frame)
