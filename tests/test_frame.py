import dataclasses

import pytest
import torch

from isp_meta.camera import (
    BAYER_PATTERNS,
    LINEAR,
    MONOCHROME,
    QUAD_BAYER,
    XTRANS,
    Camera,
    pattern_of,
)
from isp_meta.errors import IspMetaError, PipelineOrderError
from isp_meta.frame import Frame, Reconstructor, Sampler, all_finite
from isp_meta.samples import Samples
from isp_meta.stage import Stage


class TestCamera:
    @pytest.mark.parametrize("cfa", BAYER_PATTERNS)
    def test_takes_every_bayer_pattern(self, cfa):
        assert Camera(cfa=cfa).cfa == cfa
        assert (Camera(cfa=cfa).period, Camera(cfa=cfa).channels) == (2, 1)

    @pytest.mark.parametrize(
        ("cfa", "period", "channels"),
        [
            ("RGB" * 3, 3, 1),
            (QUAD_BAYER, 4, 1),
            (XTRANS, 6, 1),
            ("RGGB" * 16, 8, 1),
            (MONOCHROME, 1, 1),
            (LINEAR, 1, 3),
        ],
    )
    def test_takes_every_period(self, cfa, period, channels):
        camera = Camera(cfa=cfa, black_level=(7.0,))
        assert (camera.period, camera.channels) == (period, channels)
        assert camera.black_level == (7.0,) * len(cfa)
        with pytest.raises(ValueError, match=f"{len(cfa)} values"):
            Camera(cfa=cfa, black_level=(7.0, 8.0))

    def test_pattern_is_an_array_of_colors(self):
        assert pattern_of("GRBG").tolist() == [[1, 0], [2, 1]]
        assert pattern_of(XTRANS)[1].tolist() == [0, 1, 0, 2, 1, 2]
        assert pattern_of(XTRANS).flatten().bincount().tolist() == [8, 20, 8]
        assert pattern_of(QUAD_BAYER).flatten().bincount().tolist() == [4, 8, 4]
        assert pattern_of(MONOCHROME).tolist() == [[1]]
        for wrong in (LINEAR, "GG"):
            with pytest.raises(ValueError, match=r"pattern|square"):
                pattern_of(wrong)

    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"cfa": "RGBG"}, "RGBG"),
            ({"cfa": "rggb"}, "rggb"),
            ({"cfa": ""}, "not ''"),
            ({"cfa": "R"}, "'R'"),
            ({"cfa": "WWWW"}, "WWWW"),
            ({"cfa": "RGBRGB"}, "RGBRGB"),
            ({"cfa": "RGRGRGRGR"}, "RGRGRGRGR"),
            ({"cfa": "RGB" * 27}, "RGBRGB"),
            ({"black_level": (0.0, 0.0)}, "4 values"),
            ({"as_shot_neutral": (1.0, 1.0)}, "3"),
            ({"as_shot_neutral": (1.0, 0.0, 1.0)}, "positive"),
            ({"as_shot_neutral": (1.0, float("nan"), 1.0)}, "positive"),
            ({"color_matrix": (1.0,) * 8}, "not 8"),
            ({"white_level": 0.0}, "exceed"),
            ({"black_level": (0.0, 0.0, 0.0, 70000.0)}, "exceed"),
            ({"white_level": float("nan")}, "exceed"),
            ({"orientation": 0}, "not 0"),
            ({"orientation": 9}, "not 9"),
        ],
    )
    def test_refuses_a_value_out_of_range_and_names_it(self, changes, named):
        with pytest.raises(ValueError, match=named):
            Camera(**changes)

    def test_replace_checks_again_and_leaves_the_first(self):
        camera = Camera(make="Acme")
        assert camera.replace(orientation=6).make == "Acme"
        assert camera.orientation == 1
        with pytest.raises(ValueError, match="orientation"):
            camera.replace(orientation=12)
        with pytest.raises(dataclasses.FrozenInstanceError):
            camera.make = "Other"


class TestSamples:
    def test_at_sorts_drops_repeats_and_the_missing(self):
        raw = torch.rand(3, 4, 5)
        samples = Samples.at(torch.tensor([7, -1, 3, 7, 19]), raw, cell=2)
        assert samples.index.tolist() == [3, 7, 19]
        assert torch.equal(samples.value[1], raw[:, 1, 2])
        assert (samples.height, samples.width, samples.cell) == (4, 5, 2)
        assert len(samples) == 3

    def test_mask_is_one_at_the_samples_alone(self):
        samples = Samples.at(torch.tensor([0, 6]), torch.rand(3, 3, 4))
        mask = samples.mask()
        assert mask.shape == (1, 3, 4)
        assert mask.nonzero().tolist() == [[0, 0, 0], [0, 1, 2]]
        assert mask.sum() == 2

    def test_none_at_all(self):
        samples = Samples.at(torch.full((4,), -1), torch.rand(3, 2, 2))
        assert len(samples) == 0
        assert samples.mask().sum() == 0

    @pytest.mark.parametrize(
        ("index", "value", "named"),
        [
            (torch.tensor([1.0]), torch.zeros(1, 3), "int64"),
            (torch.tensor([[1]]), torch.zeros(1, 3), "int64"),
            (torch.tensor([1]), torch.zeros(2, 3), "1 indices"),
            (torch.tensor([-1]), torch.zeros(1, 3), "leaves the 3x2 picture"),
            (torch.tensor([6]), torch.zeros(1, 3), "leaves the 3x2 picture"),
            (torch.tensor([2, 2]), torch.zeros(2, 3), "increasing"),
            (torch.tensor([3, 1]), torch.zeros(2, 3), "increasing"),
        ],
    )
    def test_refuses_what_does_not_fit(self, index, value, named):
        with pytest.raises(ValueError, match=named):
            Samples(index, value, height=2, width=3)

    def test_control_values_need_their_model(self):
        with pytest.raises(ValueError, match="control values need the model"):
            Samples(torch.tensor([1]), torch.zeros(1, 3), height=2, width=3, control=True)

    @pytest.mark.parametrize("size", [{"height": 0}, {"width": 0}, {"cell": -1}])
    def test_refuses_an_impossible_size(self, size):
        sizes = {"height": 2, "width": 2} | size
        with pytest.raises(ValueError, match=">="):
            Samples(torch.tensor([], dtype=torch.int64), torch.zeros(0, 3), **sizes)


class TestFrame:
    def test_replace_shares_what_it_does_not_touch(self):
        frame = Frame(raw=torch.rand(3, 2, 2))
        other = frame.replace(srgb=torch.rand(3, 2, 2))
        assert other.raw is frame.raw
        assert frame.srgb is None
        assert other.filled == {"raw", "srgb"}

    def test_fields_lists_every_attribute_that_a_stage_fills(self):
        names = [field.name for field in dataclasses.fields(Frame)]
        assert names == ["camera", *Frame.FIELDS, "space"]

    def test_require_names_who_asked_and_for_what(self):
        frame = Frame(raw=torch.zeros(3, 1, 1))
        assert frame.require("raw", by="Gamma") is frame.raw
        with pytest.raises(PipelineOrderError, match=r"Gamma needs frame\.rgb"):
            frame.require("rgb", by="Gamma")

    def test_that_error_is_ours_and_a_value_error(self):
        assert issubclass(PipelineOrderError, IspMetaError)
        assert issubclass(PipelineOrderError, ValueError)


@pytest.mark.parametrize("family", [Stage, Sampler, Reconstructor])
def test_families_are_abstract(family):
    with pytest.raises(TypeError, match="abstract"):
        family()


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", [0, 7, -1])
def test_one_value_that_is_not_finite_is_found(odd, place):
    picture = torch.rand(3, 4, 5, requires_grad=True)
    assert all_finite(picture)
    with torch.no_grad():
        picture.view(-1)[place] = odd
    assert not all_finite(picture)


def test_nothing_is_finite():
    assert all_finite(torch.zeros(3, 0, 4))
