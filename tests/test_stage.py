import pytest
import torch
from torch import nn

from isp_meta.camera import Camera
from isp_meta.stage import Range, Stage


class Gain(Stage):
    needs = gives = frozenset({"rgb"})
    ranges = {"gain": Range(0.5, 4.0, "stops"), "offset": Range()}  # noqa: RUF012
    pointwise = True

    def __init__(self, gain=1.0, *, offset=None, mode="plain"):
        super().__init__()
        self.hold("gain", gain)
        self.hold("offset", offset)
        self.mode = mode

    def forward(self, frame):
        return frame.replace(rgb=frame.rgb * self.gain)


class Plain(Stage):
    def forward(self, frame):
        return frame


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (2, torch.float32),
        (2.0, torch.float32),
        ([1.0, 2.0], torch.float32),
        (torch.tensor([1, 2]), torch.float32),
        (torch.tensor([1.0, 2.0], dtype=torch.float64), torch.float64),
    ],
    ids=str,
)
def test_holds_numbers_and_arrays_as_buffers(value, dtype):
    stage = Gain(value)
    assert stage.gain.dtype == dtype
    assert dict(stage.named_buffers())["gain"] is stage.gain
    assert stage.gain.tolist() == torch.as_tensor(value).tolist()


def test_holds_a_parameter_as_learned_and_none_as_none():
    stage = Gain(nn.Parameter(torch.ones(3)))
    assert [name for name, _ in stage.named_parameters()] == ["gain"]
    assert stage.offset is None
    assert list(stage.state_dict()) == ["gain"]


@pytest.mark.parametrize("value", [0.4, 4.1, [1.0, 5.0]])
def test_refuses_what_lies_outside_its_range(value):
    with pytest.raises(ValueError, match=r"Gain: gain must be 0.5 to 4 stops"):
        Gain(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [0.0, -float("inf")]])
def test_refuses_what_is_not_finite(value):
    with pytest.raises(ValueError, match="Gain: offset must be finite"):
        Gain(offset=value)


def test_arguments_make_it_again():
    stage = Gain(2.5, mode="other")
    assert stage.arguments() == {"gain": 2.5, "offset": None, "mode": "other"}
    assert Gain(**stage.arguments()).arguments() == stage.arguments()
    assert Plain().arguments() == {}
    assert list(Gain.constructor()) == ["gain", "offset", "mode"]


def test_learns_what_has_a_range_and_a_value():
    stage = Gain(2.0)
    assert stage.learn() is stage
    assert [name for name, _ in stage.named_parameters()] == ["gain"]
    before = stage.gain
    assert stage.learn("gain").gain is before
    for name in ("offset", "mode", "nothing"):
        with pytest.raises(ValueError, match=f"Gain has no parameter {name} to learn"):
            stage.learn(name)


def test_project_brings_parameters_back():
    stage = Gain(2.0).learn()
    with torch.no_grad():
        stage.gain.fill_(9.0)
    stage.project()
    assert float(stage.gain.detach()) == 4.0


def test_bind_gives_a_copy():
    stage = Gain(2.0)
    bound = stage.bind(Camera())
    bound.gain.fill_(3.0)
    assert float(stage.gain) == 2.0


def test_a_range_reads_as_text():
    assert str(Range(1667, 25000, "kelvin")) == "1667 to 25000 kelvin"
    assert str(Range(0, 1)) == "0 to 1"
