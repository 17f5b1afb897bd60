import pytest
import torch
from torch import nn

from isp_meta.errors import PipelineOrderError
from isp_meta.frame import Frame
from isp_meta.networks import UNet
from isp_meta.ops import reference
from isp_meta.samplers import LearnedSampler


def pictures(height, width, batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    srgb = torch.rand(batch, 3, height, width, generator=generator)
    return srgb, srgb**2.2


def frame_of(height, width, seed=0):
    srgb, raw = pictures(height, width, 1, seed)
    return Frame(srgb=srgb[0], raw=raw[0])


def logits_of(height, width, seed=0, batch=2):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 9, height, width, generator=generator)


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (17, 33)])
def test_gradient_goes_straight_to_the_probability_where_the_mask_is_1_and_nowhere_else(
    size, given
):
    cell = 4
    logits = logits_of(*size)
    sampler = LearnedSampler(given(logits.clone()), cell)
    slope = torch.randn(2, 1, *size, generator=torch.Generator().manual_seed(1))
    choice = sampler.choose(*pictures(*size))
    (choice.mask * slope).sum().backward()
    got = sampler.network.answer.grad

    # Eq. 5 by the book: dL/dq of cell c is dL/dm at its sample, and q is a softmax.
    likely = reference.associate(logits.requires_grad_(), cell)
    index = reference.argmax_pool(likely, cell)
    cells = reference.neighbor_cells(logits, cell).flatten(1)
    total, expected = 0, torch.zeros(2, 1, *size)
    for picture in range(2):
        for number, pixel in enumerate(index[picture].flatten().tolist()):
            entry = cells[:, pixel].tolist().index(number)
            total += likely[picture, entry].flatten()[pixel] * slope[picture, 0].flatten()[pixel]
            expected[picture, 0].view(-1)[pixel] = 1
    total.backward()
    assert torch.equal(choice.mask, expected)
    torch.testing.assert_close(got, logits.grad)
    touched = got.abs().sum(1, keepdim=True) > 0
    assert not bool((touched & (choice.mask == 0)).any())
    if size == (17, 33):
        assert bool(touched[choice.mask == 1].all())


def test_clip_bounds_the_gradient_of_the_mask(given):
    def gradient(factor, clip):
        sampler = LearnedSampler(given(logits_of(9, 9)), 4, clip=clip)
        (sampler.choose(*pictures(9, 9)).mask * factor).sum().backward()
        return sampler.network.answer.grad

    torch.testing.assert_close(gradient(50.0, 1.0), gradient(1.0, None))
    torch.testing.assert_close(gradient(50.0, None), 50 * gradient(1.0, None))


@pytest.mark.parametrize(("alpha", "m"), [(0.2, 10.0), (1.0, 30.0), (0.0, 0.0)])
def test_loss_is_the_superpixel_loss_and_pushes_the_network(alpha, m, given):
    logits = logits_of(13, 18)
    sampler = LearnedSampler(given(logits), 5, "raw", alpha, m)
    srgb, raw = pictures(13, 18)
    loss = sampler.choose(srgb, raw).loss
    expected = reference.superpixel_loss(logits.double(), srgb.double(), raw.double(), 5, alpha, m)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=0)
    loss.backward()
    assert float(sampler.network.answer.grad.abs().sum()) > 0


def test_cells_outside_take_part_in_the_choice_alone_where_wished(given):
    logits, (srgb, raw) = logits_of(13, 18), pictures(13, 18)
    choices = []
    for mask_outside in (True, False):
        sampler = LearnedSampler(given(logits), 4, mask_outside=mask_outside)
        expected = reference.associate(logits, 4, mask_outside)
        index = reference.argmax_pool(expected, 4)
        assert torch.equal(sampler.cells(srgb, raw), index)
        choices.append(sampler.choose(srgb, raw))
        assert torch.equal(choices[-1].mask, reference.sample_mask(expected, 4))
    assert not torch.equal(choices[0].mask, choices[1].mask)
    assert torch.equal(choices[0].loss, choices[1].loss)


def test_network_sees_srgb_then_raw_or_one_of_them(given):
    srgb, raw = pictures(6, 7)
    for inputs, expected in {
        "both": torch.cat((srgb, raw), 1),
        "srgb": srgb,
        "raw": raw,
    }.items():
        sampler = LearnedSampler(given(logits_of(6, 7)), inputs=inputs)
        sampler.choose(srgb, raw)
        assert torch.equal(sampler.network.seen, expected), inputs


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (17, 33), (1, 40)])
@pytest.mark.parametrize("cell", [1, 8, 64])
def test_a_frame_gets_the_samples_of_the_batch(size, cell):
    torch.manual_seed(0)
    sampler = LearnedSampler(UNet(6, 9, 2), cell).eval()
    frame = frame_of(*size)
    samples = sampler(frame)
    mask = sampler.choose(frame.srgb[None], frame.raw[None]).mask
    assert samples.index.tolist() == mask.flatten().nonzero()[:, 0].tolist()
    assert 1 <= len(samples) <= -(-size[0] // cell) * -(-size[1] // cell)
    assert (samples.height, samples.width, samples.cell) == (*size, cell)
    assert torch.equal(samples.value, frame.raw.flatten(1)[:, samples.index].T)


@pytest.mark.parametrize("cell", [1, 4, 7])
@pytest.mark.parametrize("tile", [20, 45])
@pytest.mark.parametrize("mask_outside", [True, False])
def test_tiles_give_the_samples_of_the_whole(cell, tile, mask_outside, whole, monkeypatch):
    network = whole(6, 9)
    frame = frame_of(83, 101)
    sampler = LearnedSampler(network, cell, mask_outside=mask_outside)
    at_once = sampler(frame)
    assert len(at_once) > 100
    monkeypatch.setattr(LearnedSampler, "_TILE", tile)
    network.largest = 0
    assert sampler(frame).index.tolist() == at_once.index.tolist()
    assert network.largest <= max(tile, 5 * cell) + 2 * network.halo


def test_every_cell_of_a_tiled_unet_is_decided_once(monkeypatch):
    torch.manual_seed(0)
    sampler = LearnedSampler(UNet(6, 9, 2))
    frame = frame_of(75, 141)
    at_once = sampler(frame)
    monkeypatch.setattr(LearnedSampler, "_TILE", 64)
    tiled = sampler(frame)
    # Rounding may decide between two pixels that are as likely; it must stay rare.
    differ = set(tiled.index.tolist()) ^ set(at_once.index.tolist())
    assert len(differ) <= 2
    assert len(at_once) > 150


def test_a_frame_needs_no_gradient_and_leaves_the_network_as_it_was():
    torch.manual_seed(0)
    sampler = LearnedSampler(UNet(6, 9, 2)).train()
    before = {name: value.clone() for name, value in sampler.state_dict().items()}
    frame = frame_of(40, 40)
    frame = frame.replace(srgb=frame.srgb.requires_grad_())
    samples = sampler(frame)
    assert not samples.value.requires_grad
    assert all(module.training for module in sampler.modules())
    for name, value in sampler.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert torch.equal(sampler(frame).index, samples.index)


def test_runs_in_bfloat16_on_a_frame_and_chooses_nearly_the_same():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(6, 8, 3, padding=1), nn.Conv2d(8, 9, 3, padding=1))
    made = []
    network[0].register_forward_hook(lambda _m, _x, out: made.append(out.dtype))
    frame = frame_of(64, 64)
    exact = LearnedSampler(network)(frame)
    rough = LearnedSampler(network, dtype=torch.bfloat16)(frame)
    assert made == [torch.float32, torch.bfloat16]
    assert torch.isin(rough.index, exact.index).sum() > 32


def test_trains_under_autocast():
    torch.manual_seed(0)
    network = UNet(6, 9, 2)
    with torch.autocast("cpu", torch.bfloat16):
        choice = LearnedSampler(network).choose(*pictures(32, 32))
    assert choice.mask.dtype == choice.loss.dtype == torch.float32
    (choice.loss + choice.mask.sum()).backward()
    assert float(network.encoder1[0].weight.grad.abs().sum()) > 0


def test_a_network_that_knows_nothing_still_keeps_one_pixel_a_cell():
    network = nn.Conv2d(6, 9, 1)
    nn.init.zeros_(network.weight)
    nn.init.zeros_(network.bias)
    samples = LearnedSampler(network)(frame_of(64, 64))
    assert 1 <= len(samples) <= 64


@pytest.mark.parametrize(
    "bad",
    [
        {"cell": 0},
        {"inputs": "rgb"},
        {"alpha": -0.1},
        {"alpha": 1.1},
        {"m": -1.0},
        {"m": float("inf")},
        {"clip": 0.0},
        {"clip": float("nan")},
    ],
)
def test_refuses_arguments_out_of_range(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        LearnedSampler(nn.Identity(), **bad)


def test_asks_for_what_it_needs():
    frame = frame_of(9, 9)
    sampler = LearnedSampler(UNet(6, 9, 1))
    with pytest.raises(PipelineOrderError, match=r"LearnedSampler needs frame\.raw"):
        sampler(frame.replace(raw=None))
    with pytest.raises(PipelineOrderError, match=r"LearnedSampler needs frame\.srgb"):
        sampler(frame.replace(srgb=None))
    with pytest.raises(ValueError, match="agree"):
        sampler(frame.replace(srgb=frame.srgb[:, :5]))


def test_shows_its_arguments():
    text = repr(LearnedSampler(nn.Identity(), 4, "raw", clip=1.0))
    assert "cell=4, inputs='raw', alpha=0.2, m=10, clip=1.0" in text
