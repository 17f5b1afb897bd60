from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isp_meta import Frame, Reconstructor
from isp_meta.samplers import LargestErrorSampler
from isp_meta.samplers.largest_error import largest_index


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 9), st.integers(0, 99))
def test_the_largest_of_every_cell(height, width, cell, seed):
    error = torch.rand((height, width), generator=torch.Generator().manual_seed(seed))
    index = largest_index(error, cell)
    for row in range(index.shape[0]):
        for column in range(index.shape[1]):
            part = error[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell]
            assert error.flatten()[index[row, column]] == part.max()
            assert int(index[row, column]) // width // cell == row
            assert int(index[row, column]) % width // cell == column


def test_of_equal_errors_the_first():
    assert largest_index(torch.zeros(2, 5, 7), 4).tolist() == [[[0, 4], [28, 32]]] * 2


class Gray(Reconstructor):
    """Half of everything, whatever the picture."""

    def forward(self, frame):
        assert frame.samples is None
        assert frame.raw is None
        return torch.full_like(frame.srgb, 0.5)


def test_sampler_keeps_what_the_reconstructor_misses():
    raw = torch.full((3, 8, 16), 0.5)
    raw[:, 3, 4], raw[1, 6, 9] = 0.9, 0.1
    samples = LargestErrorSampler(Gray())(Frame(srgb=raw, raw=raw))
    assert samples.index.tolist() == [3 * 16 + 4, 6 * 16 + 9]
    assert torch.equal(samples.value, raw.flatten(1)[:, samples.index].T)


def test_refusal():
    with pytest.raises(ValueError, match="cell"):
        LargestErrorSampler(Gray(), 0)
