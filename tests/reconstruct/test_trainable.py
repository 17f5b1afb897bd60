import dataclasses

import pytest
import torch
from smooth_scenes import cubic, smooth
from torch import nn

from isp_meta.errors import PipelineOrderError
from isp_meta.frame import Frame
from isp_meta.networks import UNet, Window
from isp_meta.reconstruct import TrainableReconstructor, UNetReconstructor
from isp_meta.reconstruct import fine_tune as tuning
from isp_meta.reconstruct.planes import sample_planes
from isp_meta.samples import Samples


def frame_of(height, width, step=7):
    srgb = smooth(height, width)
    raw = cubic(srgb)
    return Frame(srgb=srgb, samples=Samples.at(torch.arange(0, height * width, step), raw))


def small(width=2, seed=0):
    torch.manual_seed(seed)
    return UNetReconstructor(UNet(7, 3, width, "sigmoid"))


def error_at_samples(reconstructor, frame):
    """Mean error of the network itself: before the stored samples are pasted back."""
    size = (frame.samples.height, frame.samples.width)
    window = Window(0, size[0], 0, size[1])
    inputs = reconstructor.window_reader(frame.srgb, frame.samples)(window)
    with torch.no_grad():
        raw = reconstructor.network.eval()(inputs[None])[0]
    kept, mask = sample_planes(frame.samples, window)
    return float(((raw - kept).abs() * mask).sum() / (3 * mask.sum()))


def weights(reconstructor):
    return torch.cat([p.detach().flatten() for p in reconstructor.network.state_dict().values()])


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (17, 33), (40, 1)])
def test_fine_tuning_lowers_the_error_at_the_samples(size):
    reconstructor, frame = small(), frame_of(*size)
    before = error_at_samples(reconstructor, frame)
    tuned = reconstructor.fine_tune(frame, 20, 1e-3)
    assert type(tuned) is UNetReconstructor
    assert error_at_samples(tuned, frame) < 0.98 * before


def test_each_step_is_that_of_adam_on_the_loss_of_the_paper():
    """By the book, over the whole picture, the loss divided by all pixels as in its code."""
    frame = frame_of(20, 37)
    value = frame.samples.value.double()
    frame = frame.replace(srgb=frame.srgb.double())
    frame = frame.replace(samples=dataclasses.replace(frame.samples, value=value))
    reconstructor = small().double()
    tuned = reconstructor.fine_tune(frame, 5, 1e-3, held_out=0)
    network = reconstructor.network.eval()
    mask = frame.samples.mask().double()
    kept = torch.zeros(3, 20, 37).double()
    kept.view(3, -1)[:, frame.samples.index] = value.T
    # Adam does not see the scale of the loss, but for what it adds to the root: scaled alike.
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, eps=1e-8 * float(mask.mean()))
    for _ in range(5):
        optimizer.zero_grad()
        raw = network(torch.cat((frame.srgb, kept, mask))[None])[0]
        (mask * (raw - kept).abs()).mean().backward()
        optimizer.step()
    torch.testing.assert_close(weights(tuned), weights(reconstructor), rtol=0, atol=1e-6)
    assert float((weights(tuned) - weights(small().double())).abs().max()) > 4e-3


@pytest.mark.parametrize("arguments", [{}, {"pixels": 800, "tile": 20}, {"held_out": 0.3}])
def test_tuning_changes_a_copy_alone_and_repeats(arguments):
    reconstructor, frame = small(), frame_of(40, 50)
    reconstructor.train()
    before, state = weights(reconstructor), torch.get_rng_state()
    first = reconstructor.fine_tune(frame, 3, 1e-3, **arguments)
    torch.manual_seed(5)
    random = torch.get_rng_state()
    with torch.no_grad():
        second = reconstructor.fine_tune(frame, 3, 1e-3, **arguments)
        assert not torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), random)
    assert not torch.equal(state, random)
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), before)
    assert torch.equal(weights(reconstructor), before)
    assert all(p.grad is None for r in (reconstructor, first) for p in r.parameters())
    assert all(module.training for r in (reconstructor, first) for module in r.modules())


def test_the_seed_draws_the_tiles():
    reconstructor, frame = small(), frame_of(64, 80)
    tuned = [
        weights(reconstructor.fine_tune(frame, 2, 1e-3, seed=seed, pixels=500, tile=16))
        for seed in (1, 2)
    ]
    assert not torch.equal(*tuned)


def test_works_in_inference_mode_with_what_was_made_there():
    reconstructor, frame = small(), frame_of(17, 33)
    expected = weights(reconstructor.fine_tune(frame, 3, 1e-3, held_out=0.2))
    with torch.inference_mode():
        inner = frame_of(17, 33)
        tuned = reconstructor.fine_tune(inner, 3, 1e-3, held_out=0.2)
    assert torch.equal(weights(tuned), expected)
    assert not any(p.is_inference() for p in tuned.parameters())


def test_frozen_parameters_are_tuned_in_the_copy_and_stay_frozen():
    reconstructor, frame = small().requires_grad_(False), frame_of(17, 33)
    tuned = reconstructor.fine_tune(frame, 1, 1e-3)
    assert not torch.equal(weights(tuned), weights(reconstructor))
    assert not any(p.requires_grad for r in (tuned, reconstructor) for p in r.parameters())


def test_batch_norm_keeps_the_statistics_of_training():
    reconstructor, frame = small().train(), frame_of(17, 33)
    tuned = reconstructor.fine_tune(frame, 3, 1e-2)
    for (name, old), new in zip(
        reconstructor.network.named_buffers(), tuned.network.buffers(), strict=True
    ):
        assert torch.equal(old, new), name


class Tiles(nn.Module):
    """Adds a learned number, and remembers the sizes that it was shown with a gradient."""

    halo = 0
    multiple = 1

    def __init__(self):
        super().__init__()
        self.number = nn.Parameter(torch.full((3, 1, 1), 0.5))
        self.shown = []

    def forward(self, x):
        if torch.is_grad_enabled():
            self.shown.append(tuple(x.shape[-2:]))
        return self.number + 0 * x[:, :3]


def test_a_large_picture_is_seen_in_tiles_as_many_as_a_step_may_see():
    frame = frame_of(90, 70)
    tuned = UNetReconstructor(Tiles()).fine_tune(frame, 4, 1e-2, pixels=1300, tile=20)
    assert tuned.network.shown == [(20, 20)] * 12
    tuned = UNetReconstructor(Tiles()).fine_tune(frame, 2, 1e-2, pixels=1500, tile=75)
    assert tuned.network.shown == [(75, 70)] * 2
    tuned = UNetReconstructor(Tiles()).fine_tune(frame, 2, 1e-2, pixels=6300)
    assert tuned.network.shown == [(90, 70)] * 2


def test_random_tiles_reach_every_pixel():
    samples, generator = frame_of(40, 30).samples, torch.Generator().manual_seed(0)
    settings = tuning.FineTuning(pixels=400, tile=10)
    hits = torch.zeros(40, 30)
    for _ in range(300):
        for window in tuning._windows(samples, settings, generator):
            window.of(hits).add_(1)
    assert float(hits.min()) > 0


def test_many_tiles_are_tuned_as_well_as_the_whole():
    reconstructor, frame = small(), frame_of(64, 80)
    before = error_at_samples(reconstructor, frame)
    tiled = reconstructor.fine_tune(frame, 20, 1e-3, pixels=2000, tile=32)
    whole = reconstructor.fine_tune(frame, 20, 1e-3)
    gained = before - error_at_samples(whole, frame)
    assert before - error_at_samples(tiled, frame) > 0.7 * gained > 0.005


def test_tiles_without_samples_change_nothing():
    frame = frame_of(64, 64, step=5000)  # one sample, in the first corner
    reconstructor = UNetReconstructor(Tiles())
    tuned = reconstructor.fine_tune(frame, 5, 1e-2, pixels=1, tile=2)
    assert torch.equal(weights(tuned), weights(reconstructor))


@pytest.mark.parametrize("lr", [1e-3, 0.5])
@pytest.mark.parametrize("arguments", [{}, {"pixels": 800, "tile": 20}])
def test_what_was_held_out_is_never_met_worse(lr, arguments, monkeypatch):
    looks = []
    errors_of = tuning._Best._errors
    monkeypatch.setattr(
        tuning._Best, "_errors", lambda best: looks.append(errors_of(best)) or looks[-1]
    )
    frame = frame_of(40, 50)
    reconstructor = small()
    if lr == 0.5:
        reconstructor = reconstructor.fine_tune(frame, 60, 3e-2, held_out=0)
    tuned = reconstructor.fine_tune(frame, 6, lr, held_out=0.25, **arguments)
    errors = [float(look.mean()) for look in looks]
    best = errors.index(min(errors))
    if lr == 0.5:
        assert best == 0 < errors[0] < errors[-1]
        assert len(looks) == 1 + 3  # and then it ends
    else:
        gain = looks[0] - looks[best]
        assert gain.mean() > 2 * gain.std() / len(gain) ** 0.5
    # As many steps again make the same weights, so those of the best can be made alone.
    steps = reconstructor.fine_tune(frame, best, lr, held_out=0.25, **arguments)
    assert torch.equal(weights(tuned), weights(steps))
    assert torch.equal(weights(tuned), weights(reconstructor)) == (best == 0)


def test_held_out_samples_are_in_no_input_and_no_loss():
    frame = frame_of(40, 50)
    generator = torch.Generator().manual_seed(0)
    windows = [Window(0, 20, 0, 50), Window(30, 40, 10, 20)]
    seen, withheld = tuning._hold_out(frame.samples, windows, 0.25, generator)
    both = torch.cat((seen.index, withheld.index)).sort().values
    assert torch.equal(both, frame.samples.index)
    inside = sum(len(sample_planes(frame.samples, w)[1].nonzero()) for w in windows)
    assert len(withheld) == round(0.25 * inside)
    covered = torch.zeros(40, 50)
    for window in windows:
        window.of(covered).fill_(1)
    assert bool((covered.flatten()[withheld.index] == 1).all())
    raw = cubic(frame.srgb).flatten(1)
    for part in (seen, withheld):
        assert torch.equal(part.value, raw[:, part.index].T)


@pytest.mark.parametrize(("count", "held"), [(1, None), (2, 1), (3, 2)])
def test_something_is_always_left_to_learn_from(count, held):
    frame = frame_of(1, count, step=1)
    generator = torch.Generator().manual_seed(0)
    whole = [Window(0, 1, 0, count)]
    seen, withheld = tuning._hold_out(frame.samples, whole, 0.9, generator)
    assert len(seen) == count - (held or 0)
    assert withheld is None if held is None else len(withheld) == held


def test_steps_in_the_constructor_tune_to_each_frame():
    frame = frame_of(20, 37)
    plain = small()
    torch.manual_seed(0)
    tuning_one = UNetReconstructor(UNet(7, 3, 2, "sigmoid"), 4, 1e-3, held_out=0.1, seed=3)
    before = weights(tuning_one)
    tuned = plain.fine_tune(frame, 4, 1e-3, held_out=0.1, seed=3)
    assert torch.equal(tuning_one(frame), tuned(frame))
    assert not torch.equal(tuning_one(frame), plain(frame))
    assert torch.equal(weights(tuning_one), before)
    again = tuning_one.fine_tune(frame, 4, 1e-3, held_out=0.1, seed=3)
    assert again.fine_tune_steps == 0
    assert torch.equal(again(frame), tuned(frame))


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("steps", -1),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("held_out", 1.0),
        ("held_out", -0.1),
        ("pixels", 0),
        ("tile", 0),
    ],
)
def test_refuses_arguments_out_of_range(name, bad):
    with pytest.raises(ValueError, match=name):
        small().fine_tune(frame_of(5, 5), **{name: bad})
    constructor = {"steps": "fine_tune_steps", "lr": "fine_tune_lr"}.get(name, name)
    if constructor not in ("pixels", "tile"):
        with pytest.raises(ValueError, match=name):
            UNetReconstructor(Tiles(), **{constructor: bad})


def test_asks_for_what_it_needs():
    frame = frame_of(5, 5)
    none = Samples.at(torch.zeros(0, dtype=torch.int64), frame.srgb)
    for ask in (small(), small().fine_tune):
        with pytest.raises(PipelineOrderError, match=r"UNetReconstructor needs frame\.samples"):
            ask(frame.replace(samples=None))
        with pytest.raises(ValueError, match="no samples"):
            ask(frame.replace(samples=none))


def test_a_reconstructor_says_what_its_network_reads():
    with pytest.raises(TypeError, match="inputs"):
        TrainableReconstructor(Tiles())


def test_a_gain_that_could_be_chance_is_none():
    """Of two samples held out one is met far better, the other a little worse."""
    frame = frame_of(1, 40, step=1)
    reconstructor = small()
    whole = [Window(0, 1, 0, 40)]
    seen, withheld = tuning._hold_out(frame.samples, whole, 0.5, torch.Generator().manual_seed(0))
    best = tuning._Best(reconstructor, frame.srgb, seen, withheld, whole)
    untuned = torch.full((20,), 2.0, dtype=torch.float64)
    chance, sure = untuned.clone(), untuned - 0.1
    chance[:10] -= 0.9
    chance[10:] += 0.7
    before = weights(reconstructor)
    best.untuned, best.error = untuned, 2.0
    with torch.no_grad():
        next(reconstructor.network.parameters()).add_(1)
    for errors, kept in [(chance, False), (sure, True)]:
        best._errors = lambda errors=errors: errors
        best.look()
        assert torch.equal(torch.cat([w.flatten() for w in best.weights.values()]), before) != kept
