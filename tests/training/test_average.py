import pytest
import torch
from torch import nn

from isp_meta.training.average import MovingAverage


def test_the_average_follows_its_formula():
    module = nn.BatchNorm1d(1)
    average = MovingAverage(module, 0.4)
    expected, decays = 1.0, [0.1, 2 / 11, 0.25, 4 / 13, 5 / 14, 0.4, 0.4]
    for number, decay in enumerate(decays):
        nn.init.constant_(module.weight, float(number))
        module.num_batches_tracked += 1
        average.update()
        expected = decay * expected + (1 - decay) * number
        assert float(average.state["weight"]) == pytest.approx(expected)
    assert average.state["num_batches_tracked"] == len(decays)


def test_the_module_has_the_average_for_a_while():
    module = nn.Linear(2, 2)
    average = MovingAverage(module, 0.9)
    start = module.weight.detach().clone()
    nn.init.constant_(module.weight, 3.0)
    with average.in_place():
        assert module.weight.equal(start)
    assert (module.weight == 3).all()


def test_a_state_is_taken_up():
    module = nn.Linear(2, 2)
    average = MovingAverage(module, 0.9)
    nn.init.constant_(module.weight, 3.0)
    average.update()
    state = {name: value.clone() for name, value in average.state.items()}
    other = MovingAverage(nn.Linear(2, 2), 0.9)
    other.load_state_dict(average.state_dict())
    assert other.updates == 1
    assert all(torch.equal(other.state[name], value) for name, value in state.items())
    with pytest.raises(KeyError):
        other.load_state_dict({"updates": 1})
