from __future__ import annotations

import pytest
import torch

from isp_meta import Frame, Reconstructor
from isp_meta.samplers import TypicalErrorSampler


class Gray(Reconstructor):
    """Half of everything, whatever the picture."""

    def forward(self, frame):
        assert frame.samples is None
        assert frame.raw is None
        return torch.full_like(frame.srgb, 0.5)


def test_pixels_that_stand_out_are_not_kept():
    generator = torch.Generator().manual_seed(0)
    raw = 0.6 + 0.001 * torch.randn((3, 33, 41), generator=generator)
    odd = torch.rand((33, 41), generator=generator) < 0.5
    raw[:, odd] += 0.2 * torch.randn((3, int(odd.sum())), generator=generator)
    samples = TypicalErrorSampler(Gray())(Frame(srgb=raw, raw=raw))
    assert len(samples) == 5 * 6
    spread = (samples.value - 0.6).square().mean()
    assert spread < 0.2 * (raw - 0.6).square().mean()
    assert torch.equal(samples.value, raw.flatten(1)[:, samples.index].T)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 2)])
def test_any_size(size):
    raw = torch.rand((3, *size), generator=torch.Generator().manual_seed(0))
    samples = TypicalErrorSampler(Gray())(Frame(srgb=raw, raw=raw))
    assert len(samples) == -(-size[0] // 8) * -(-size[1] // 8)


def test_an_even_picture():
    raw = torch.full((3, 8, 16), 0.25)
    samples = TypicalErrorSampler(Gray())(Frame(srgb=raw, raw=raw))
    assert samples.index.tolist() == [0, 8]


def test_refusal():
    with pytest.raises(ValueError, match="cell"):
        TypicalErrorSampler(Gray(), 0)
