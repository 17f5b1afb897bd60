import math

import pytest
import torch
from small_crops import SmallCrops, small_config

from isp_meta import ops
from isp_meta.training.config import LossConfig
from isp_meta.training.losses import Objective, distance, seed_of
from isp_meta.training.systems import build


def batch(count=4):
    items = [SmallCrops()[number] for number in range(count)]
    return [torch.stack([item[name] for item in items]) for name in ("srgb", "raw")]


def objective(**sections):
    config = small_config(**sections)
    return Objective(*build(config), config)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("l1", 0.35),
        ("l2", 0.145),
        ("charbonnier", (math.hypot(0.5, 1e-3) + math.hypot(0.2, 1e-3)) / 2),
    ],
)
def test_distances(kind, expected):
    prediction, truth = torch.tensor([0.5, 0.1]), torch.tensor([0.0, 0.3])
    found = distance(prediction, truth, LossConfig(distance=kind))
    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_seeds_differ_and_repeat():
    seeds = [seed_of(*numbers) for numbers in [(0,), (0, 0), (0, 1), (1, 0), (1,), (0, 0, 0, 1)]]
    assert len(set(seeds)) == len(seeds)
    assert seed_of(0, 1) == seeds[2]
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_loss_is_the_weighted_sum_of_the_papers_three():
    srgb, raw = batch()
    model = objective(loss={"superpixel": 0.03, "meta": 0.2}).eval()
    losses = model(srgb, raw, 0)
    assert set(losses) == {"loss", "reconstruction", "superpixel", "meta"}
    with torch.no_grad():
        logits = model.sampler.network(torch.cat((srgb, raw), 1))
        superpixel = ops.superpixel_loss(logits, srgb, raw, 8, 0.2, 10.0)
        mask = ops.sample_mask(ops.associate(logits, 8), 8)
        inputs = torch.cat((srgb, mask * raw, mask), 1)
        reconstruction = (model.reconstructor.network(inputs) - raw).abs().mean()
    assert torch.isclose(losses["superpixel"], superpixel)
    assert torch.isclose(losses["reconstruction"], reconstruction)
    total = reconstruction + 0.03 * superpixel + 0.2 * losses["meta"]
    assert torch.isclose(losses["loss"], total)
    assert 0.01 < losses["meta"] < 1


def test_one_backward_pass_reaches_both_networks():
    model = objective()
    model(*batch(), 0)["loss"].backward()
    assert all(p.grad is not None and p.grad.any() for p in model.sampler.network.parameters())
    assert all(p.grad is not None for p in model.reconstructor.network.parameters())


def test_the_reconstruction_loss_alone_pushes_the_sampler():
    model = objective(loss={"superpixel": 0.0, "meta": 0.0})
    model(*batch(), 0)["loss"].backward()
    assert any(p.grad.any() for p in model.sampler.network.parameters())


def test_the_meta_gradient_adds_to_that_of_the_rest():
    grads = {}
    for weight in (0.0, 1.0, 2.0):
        # The statistics of training, so that the parts share nothing but the weights.
        model = objective(loss={"meta": weight, "superpixel": 0.0}).eval()
        model(*batch(), 0)["loss"].backward()
        grads[weight] = model.reconstructor.network.conv.weight.grad
    assert not torch.allclose(grads[1.0], grads[0.0])
    assert torch.allclose(grads[2.0] - grads[0.0], 2 * (grads[1.0] - grads[0.0]), atol=1e-6)


@pytest.mark.parametrize("task", ["batch", "picture"])
def test_the_meta_loss_sees_the_first_pictures_of_a_batch(task):
    srgb, raw = batch()
    model = objective(meta={"pictures": 2, "task": task}, samples={"kind": "uniform"}).eval()
    before = model(srgb, raw, 0)
    after = model(srgb, torch.cat((raw[:3], 1 - raw[3:])), 0)
    assert before["meta"].equal(after["meta"])
    assert not before["reconstruction"].equal(after["reconstruction"])
    changed = model(srgb, torch.cat((1 - raw[:1], raw[1:])), 0)
    assert not before["meta"].equal(changed["meta"])


PARTS = [slice(0, 3), slice(3, 4)]


@pytest.mark.parametrize("kind", ["learned", "free_form", "random", "largest_error"])
@pytest.mark.parametrize(
    "meta",
    [
        {"task": "batch"},
        {"task": "batch", "pictures": 2},
        {"task": "picture"},
        {"task": "picture", "pictures": 2},
    ],
    ids=lambda meta: "-".join(map(str, meta.values())),
)
def test_parts_of_a_batch_have_the_losses_and_gradients_of_the_whole(kind, meta):
    """In double precision, and without the statistics of a batch, which are a part's own."""
    model = objective(
        samples={"kind": kind}, meta={"rate": 0.1, **meta}, loss={"superpixel": 0.1, "meta": 0.5}
    )
    model = model.double().eval()
    srgb, raw = (part.double() for part in batch())
    whole = model(srgb, raw, 3)
    whole["loss"].backward()
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    adapted = model.adapt(srgb, raw, 3, PARTS)
    assert (adapted is None) == (meta["task"] == "picture")
    sums = dict.fromkeys(whole, 0.0)
    for part in PARTS:
        losses = model(srgb, raw, 3, part, adapted)
        losses["loss"].backward()
        sums = {name: sums[name] + float(losses[name].detach()) for name in sums}
    for name, value in whole.items():
        assert sums[name] == pytest.approx(float(value.detach()), rel=1e-12), name
    again = [p.grad for p in model.parameters() if p.grad is not None]
    for left, right in zip(gradients, again, strict=True):
        assert torch.allclose(left, right, rtol=1e-9, atol=1e-12)


def test_what_a_reconstructor_draws_does_not_depend_on_the_parts():
    model = objective(
        reconstructor={"kind": "depth-unet"}, samples={"kind": "varied"}, meta={"rate": 0.1}
    )
    model, (srgb, raw) = model.double().eval(), (part.double() for part in batch())
    whole, parted = model.adapt(srgb, raw, 3), model.adapt(srgb, raw, 3, PARTS)
    assert all(torch.allclose(whole[name], parted[name], atol=1e-12) for name in whole)


def test_a_task_a_picture_adapts_to_each_alone():
    srgb, raw = batch(2)
    sections = {"samples": {"kind": "uniform"}, "run": {"batch": 2}}
    apart = objective(meta={"task": "picture", "rate": 1.0}, **sections).eval()
    together = objective(meta={"task": "batch", "rate": 1.0}, **sections).eval()
    assert not torch.isclose(apart(srgb, raw, 0)["meta"], together(srgb, raw, 0)["meta"])
    one = objective(meta={"task": "batch", "rate": 1.0, "pictures": 1}, **sections).eval()
    single = objective(meta={"task": "picture", "rate": 1.0, "pictures": 1}, **sections).eval()
    assert torch.isclose(one(srgb, raw, 0)["meta"], single(srgb, raw, 0)["meta"])


@pytest.mark.parametrize(
    ("kind", "count"),
    [("learned", None), ("free_form", 16), ("uniform", 16), ("random", 16), ("none", 0)],
)
def test_kinds_of_samples(kind, count, monkeypatch):
    model = objective(samples={"kind": kind}, loss={"meta": 0.0})
    srgb, raw = batch()
    seen = []
    read = model.reconstructor.inputs

    def inputs(srgb, kept, mask):
        seen.append((kept.detach(), mask.detach()))
        return read(srgb, kept, mask)

    monkeypatch.setattr(model.reconstructor, "inputs", inputs)
    losses = model(srgb, raw, 0)
    ((kept, mask),) = seen
    assert kept.equal(mask * raw)
    counts = mask.sum((1, 2, 3))
    assert ((counts > 4) & (counts <= 16)).all() if count is None else (counts == count).all()
    assert (losses["superpixel"] > 0) == (kind == "learned")
    assert (model.sampler is None) == (kind in ("uniform", "random", "none"))


def test_mixed_samples_take_turns_by_step_alone():
    model = objective(samples={"kind": "mixed"}, loss={"meta": 0.0}).eval()
    srgb, raw = batch()
    with torch.no_grad():
        found = [model(srgb, raw, step) for step in range(12)]
        again = [model(srgb, raw, step) for step in range(12)]
    assert all(a["loss"].equal(b["loss"]) for a, b in zip(found, again, strict=True))
    learned = [bool(losses["superpixel"] > 0) for losses in found]
    assert any(learned)
    assert not all(learned)
    others = {float(losses["loss"]) for losses in found if not losses["superpixel"]}
    assert len(others) > 2  # that of the uniform ones, and another each time of the random ones


def test_leaving_the_meta_loss_out_saves_its_passes():
    model = objective(loss={"meta": 0.0})
    passes = []
    model.reconstructor.network.register_forward_hook(lambda *_: passes.append(1))
    model(*batch(), 0)
    assert len(passes) == 1
    model = objective()
    model.reconstructor.network.register_forward_hook(lambda *_: passes.append(1))
    model(*batch(), 0)
    assert len(passes) == 1 + 2 + model.config.meta.steps
