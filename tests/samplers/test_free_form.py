import pytest
import torch
from torch import nn

from isp_meta.errors import PipelineOrderError
from isp_meta.frame import Frame
from isp_meta.networks import UNet
from isp_meta.samplers import FreeFormSampler
from isp_meta.samplers.free_form import highest


def pictures(height, width, batch=2):
    srgb = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0))
    return srgb, srgb**2.2


def frame_of(height, width):
    srgb, raw = pictures(height, width, 1)
    return Frame(srgb=srgb[0], raw=raw[0])


@pytest.mark.parametrize("count", [1, 2, 5, 11, 12])
@pytest.mark.parametrize(
    "row",
    [
        [0.0] * 12,
        [3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2],
        [float("nan"), 5, float("inf"), -float("inf"), 5, 5, -0.0, 0.0, 1, 1, 1, 5],
        [float("nan")] * 12,
    ],
)
def test_highest_are_the_first_of_a_stable_sort(row, count):
    score = torch.tensor([row, row[::-1]])
    marked = highest(score, count)
    for got, values in zip(marked, score.where(~score.isnan(), -torch.inf), strict=True):
        order = sorted(range(12), key=lambda at: -float(values[at]))
        assert got.nonzero()[:, 0].tolist() == sorted(order[:count])


@pytest.mark.parametrize(
    ("size", "share", "kept"),
    [((1, 1), 1 / 64, 1), ((5, 3), 1 / 64, 1), ((17, 33), 1 / 64, 9), ((8, 8), 1.0, 64)],
)
def test_keeps_the_share_whatever_the_network_says(size, share, kept, given):
    generator = torch.Generator().manual_seed(0)
    for answer in (torch.randn(2, 1, *size, generator=generator), torch.zeros(2, 1, *size)):
        mask = FreeFormSampler(given(answer), share).choose(*pictures(*size)).mask
        assert mask.shape == (2, 1, *size)
        assert mask.flatten(1).sum(1).tolist() == [kept, kept]
        assert mask.unique().tolist() in ([0, 1], [1])
    samples = FreeFormSampler(nn.Conv2d(6, 1, 1), share)(frame_of(*size))
    assert len(samples) == kept
    assert samples.cell == 0


def test_keeps_the_highest_of_each_picture(given):
    answer = torch.randn(2, 1, 10, 13, generator=torch.Generator().manual_seed(3))
    answer[1] -= 100  # all of one picture are lower than all of the other
    mask = FreeFormSampler(given(answer), 0.1).choose(*pictures(10, 13)).mask
    for picture in range(2):
        kept, left = answer[picture][mask[picture] == 1], answer[picture][mask[picture] == 0]
        assert float(kept.min()) > float(left.max())


def test_gradient_goes_straight_to_the_probability_where_the_mask_is_1_and_nowhere_else(given):
    generator = torch.Generator().manual_seed(0)
    answer, slope = torch.randn(2, 2, 1, 9, 14, generator=generator)
    sampler = FreeFormSampler(given(answer), 0.2)
    choice = sampler.choose(*pictures(9, 14))
    (choice.mask * slope).sum().backward()
    likely = answer.sigmoid()
    expected = choice.mask * slope * likely * (1 - likely)
    torch.testing.assert_close(sampler.network.answer.grad, expected.detach())
    assert int((sampler.network.answer.grad != 0).sum()) == 2 * round(0.2 * 9 * 14)
    assert choice.loss.shape == ()
    assert float(choice.loss) == 0


def test_clip_bounds_the_gradient_of_the_mask(given):
    def gradient(factor, clip):
        generator = torch.Generator().manual_seed(0)
        sampler = FreeFormSampler(given(torch.randn(2, 1, 9, 9, generator=generator)), clip=clip)
        (sampler.choose(*pictures(9, 9)).mask * factor).sum().backward()
        return sampler.network.answer.grad

    torch.testing.assert_close(gradient(50.0, 1.0), gradient(1.0, None))
    torch.testing.assert_close(gradient(50.0, None), 50 * gradient(1.0, None))


def test_choice_needs_no_gradient_where_none_is_asked(given):
    sampler = FreeFormSampler(given(torch.zeros(2, 1, 9, 9)), clip=1.0)
    with torch.no_grad():
        assert not sampler.choose(*pictures(9, 9)).mask.requires_grad


def test_a_frame_gets_the_samples_of_the_batch():
    torch.manual_seed(0)
    sampler = FreeFormSampler(UNet(3, 1, 2), inputs="raw").eval()
    frame = frame_of(50, 70)
    mask = sampler.choose(frame.srgb[None], frame.raw[None]).mask
    samples = sampler(frame)
    assert samples.index.tolist() == mask.flatten().nonzero()[:, 0].tolist()
    assert torch.equal(samples.value, frame.raw.flatten(1)[:, samples.index].T)
    sampler.train()
    assert torch.equal(sampler(frame).index, samples.index)
    assert sampler.network.training


def test_network_sees_srgb_then_raw(given):
    sampler = FreeFormSampler(given(torch.zeros(2, 1, 6, 7)))
    srgb, raw = pictures(6, 7)
    sampler.choose(srgb, raw)
    assert torch.equal(sampler.network.seen, torch.cat((srgb, raw), 1))


@pytest.mark.parametrize(
    "bad",
    [{"share": 0.0}, {"share": 1.1}, {"inputs": "x"}, {"clip": -1.0}, {"share": float("nan")}],
)
def test_refuses_arguments_out_of_range(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        FreeFormSampler(nn.Identity(), **bad)


def test_asks_for_what_it_needs():
    with pytest.raises(PipelineOrderError, match=r"FreeFormSampler needs frame\.raw"):
        FreeFormSampler(UNet(6, 1, 1))(Frame(srgb=torch.zeros(3, 4, 4)))


def test_shows_its_arguments():
    text = repr(FreeFormSampler(nn.Identity(), 0.5, "srgb"))
    assert "share=0.5, inputs='srgb', clip=None" in text
