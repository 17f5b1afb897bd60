import sys

import pytest
import torch
from torch import nn

from isp_meta.frame import Frame
from isp_meta.stages import Linearize, linearize

TABLE = (3.0, 4.0, 9.0, 30.0)


@pytest.mark.parametrize("size", [(1, 1), (1, 3), (3, 2)])
def test_whole_codes_give_entries_and_others_lie_between(size):
    table = torch.tensor(TABLE)
    for code, expected in (
        (0, 3),
        (1, 4),
        (2, 9),
        (3, 30),
        (7, 30),
        (-1, 3),
        (1.5, 6.5),
        (2.25, 14.25),
    ):
        codes = torch.full((2, 1, *size), float(code))
        assert torch.equal(linearize(codes, table), torch.full_like(codes, expected))


def test_every_code_of_a_large_table_over_several_bands(monkeypatch):
    monkeypatch.setattr(sys.modules[linearize.__module__], "_BAND", 1000)
    table = torch.arange(4096, dtype=torch.float64) ** 2 / 1000
    codes = torch.randperm(4096).view(1, 64, 64).double()
    assert torch.equal(linearize(codes, table), codes**2 / 1000)


def test_a_single_entry():
    assert torch.equal(
        linearize(torch.tensor([[[0.0, 5.0]]]), torch.tensor([7.0])), torch.full((1, 1, 2), 7.0)
    )


def test_gradient_of_codes_and_table():
    generator = torch.Generator().manual_seed(0)
    codes = torch.rand(1, 4, 5, generator=generator, dtype=torch.float64) * 5 - 1
    table = torch.tensor(TABLE, dtype=torch.float64)
    assert torch.autograd.gradcheck(linearize, (codes.requires_grad_(), table.requires_grad_()))


def test_a_table_is_learned():
    stage = Linearize(nn.Parameter(torch.tensor(TABLE)))
    stage(Frame(codes=torch.tensor([[[0.0, 1.5, 9.0]]]))).codes.sum().backward()
    assert stage.table.grad.tolist() == [1.0, 0.5, 0.5, 1.0]


def test_refusals_arguments_and_repr():
    with pytest.raises(TypeError, match="int16"):
        linearize(torch.zeros(1, 2, 2, dtype=torch.int16), torch.ones(2))
    for table in ([], [[1.0, 2.0]]):
        with pytest.raises(ValueError, match=r"\(K,\)"):
            Linearize(table)
    with pytest.raises(ValueError, match="finite"):
        Linearize([0.0, float("nan")])
    assert Linearize(TABLE).arguments() == {"table": list(TABLE)}
    assert repr(Linearize(TABLE)) == "Linearize(4 entries)"
