from itertools import pairwise

import pytest
import torch

from isp_meta.decoder.specks import lift_specks


def lifted(raw, *ends):
    found = raw.clone()
    bounds = [0, *ends, raw.shape[1]]
    lift_specks(found, list(pairwise(bounds)))
    return found


def test_a_dark_speck_is_lifted_and_nothing_else():
    raw = torch.full((3, 20, 24), 0.01)
    raw[1, 7, 9] = 0
    found = lifted(raw)
    mean = 0.01 * 24 / 25
    assert float(found[1, 7, 9]) == pytest.approx(0.4 * mean)
    assert int((found != raw).sum()) == 1


@pytest.mark.parametrize(("level", "least"), [(0.02, 0.4 * 0.02), (0.03, 0.4 * 0.01), (0.04, 0.0)])
def test_in_the_light_what_is_dark_stays(level, least):
    raw = torch.full((3, 9, 9), level)
    raw[:, 4, 4] = 0
    mean = level * 24 / 25
    expected = max(0.0, 0.4 * min(mean, 0.04 - mean))
    assert lifted(raw)[:, 4, 4].tolist() == pytest.approx([expected] * 3, abs=1e-7)
    assert expected == pytest.approx(least, abs=0.001)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (31, 17)])
def test_strips_change_nothing_and_edges_go_on(size):
    raw = 0.03 * torch.rand(3, *size, generator=torch.Generator().manual_seed(0)).pow(4)
    wide = torch.nn.functional.pad(raw[None], (2, 2, 2, 2), mode="replicate")[0]
    mean = wide.unfold(1, 5, 1).unfold(2, 5, 1).double().mean((3, 4))
    expected = torch.maximum(raw.double(), 0.4 * torch.minimum(mean, 0.04 - mean)).float()
    whole = lifted(raw)
    torch.testing.assert_close(whole, expected)
    assert int((whole != raw).sum()) > 0 or raw.numel() < 9
    for ends in ((), (1,), (1, 2), (16, 17)):
        if all(end < size[0] for end in ends):
            assert torch.equal(lifted(raw, *ends), whole)
