import math
from dataclasses import replace

import pytest
import torch

from isp_meta.capture.loop import moves as module
from isp_meta.capture.loop.fit import fit_model
from isp_meta.capture.loop.moves import moved_samples
from isp_meta.decoder import Decoder, Guide, block_side
from isp_meta.reconstruct import LocalRBFReconstructor
from isp_meta.samplers import RandomSampler, SuperpixelSampler


@pytest.fixture(autouse=True)
def every_sample_is_tried(monkeypatch):
    monkeypatch.setattr(module, "_SHARE", 1.0)


def decoder_of(frame):
    guide = Guide(frame.srgb)
    model = fit_model(guide, frame.raw, frame.samples, 16)
    return Decoder.of(guide, replace(frame.samples, model=model))


def moved(frame, kinds=("worst",), counts=None, room=math.inf):
    """The samples with their model, and as they are moved step by step, with what is missed."""
    decoder = decoder_of(frame)
    missed = decoder.missed(frame.raw, counts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_KINDS", kinds)
        return decoder.samples, list(moved_samples(decoder, frame.raw, missed, counts, room))


def blocks(samples, side=8):
    y, x = samples.index // samples.width // side, samples.index % samples.width // side
    return (y * -(-samples.width // side) + x).sort().values


def missed_of(frame, samples):
    estimate = LocalRBFReconstructor()(frame.replace(samples=replace(samples, control=True)))
    return float((estimate - frame.raw).square().sum())


def test_moves_pay_and_stay_inside_their_blocks(scene):
    frame = scene(131, 158)
    before, steps = moved(frame, kinds=("worst", "more"))
    after, missed = steps[-1]
    assert missed < 0.9 * missed_of(frame, before)
    assert missed == pytest.approx(missed_of(frame, after), rel=0.02)
    assert [m for _, m in steps] == sorted((m for _, m in steps), reverse=True)
    assert set(blocks(after).tolist()) == set(blocks(before).tolist())
    assert block_side(after) == block_side(before)
    assert torch.equal(after.value, frame.raw.reshape(3, -1)[:, after.index].T)


def test_what_gains_little_is_not_worth_its_place(scene, monkeypatch):
    def share_moved(price):
        monkeypatch.setattr(module, "PRICE", price)
        before, steps = moved(scene())
        after = steps[-1][0].index if steps else before.index
        return float((~torch.isin(before.index, after)).float().mean())

    shares = [share_moved(price) for price in (0.0, 10.0, 1e6)]
    assert shares[0] > 1.2 * shares[1] > shares[2] == 0


def test_samples_are_only_moved_in_the_first_pass(scene):
    before, steps = moved(scene())
    assert torch.equal(blocks(steps[-1][0]), blocks(before))


def test_the_same_each_time(scene):
    one, other = (moved(scene(64, 96), kinds=("worst", "more"))[1][-1] for _ in range(2))
    assert torch.equal(one[0].index, other[0].index)
    assert one[1] == other[1]


@pytest.mark.parametrize("sampler", [SuperpixelSampler(8), RandomSampler(0)], ids=repr)
def test_any_samples_may_be_moved(scene, sampler):
    frame = scene(96, 112)
    frame = frame.replace(samples=sampler(frame))
    before, steps = moved(frame)
    after, missed = steps[-1]
    assert missed < missed_of(frame, before)
    assert len(before) <= len(after) < 1.3 * len(before)


def test_what_does_not_count_attracts_no_sample(scene):
    frame = scene()
    counts = torch.ones(frame.raw.shape[1:], dtype=torch.bool)
    counts[:, :48] = False
    before, steps = moved(frame, counts=counts)
    gone = set(before.index.tolist()) - set(steps[-1][0].index.tolist())
    come = set(steps[-1][0].index.tolist()) - set(before.index.tolist())
    assert come
    assert all(index % 160 >= 48 for index in gone | come)


def test_a_picture_that_is_met_is_left_alone(scene):
    frame = scene(64, 64)
    frame = frame.replace(raw=frame.srgb.square())
    frame = frame.replace(
        samples=replace(frame.samples, value=frame.raw.reshape(3, -1)[:, frame.samples.index].T)
    )
    before, steps = moved(frame)
    assert all(missed <= missed_of(frame, before) for _, missed in steps)


def test_only_so_many_bits_may_be_spent(scene):
    frame = scene()
    both = ("worst", "more")
    steps = [moved(frame, both, room=room)[1] for room in (0, 500, 1e9)]
    assert len(steps[0]) == 0
    assert len(steps[1]) < len(steps[2])


def test_a_picture_of_one_block_will_do(scene):
    before, steps = moved(scene(11, 9), kinds=("worst", "more"))
    assert all(len(samples) >= len(before) for samples, _ in steps)
