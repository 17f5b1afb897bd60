import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from smooth_scenes import cubic, smooth
from torch.nn.functional import avg_pool2d

from isp_meta.baselines import RBFReconstructor
from isp_meta.decoder import Guide, LocalRBFSetting
from isp_meta.decoder import decoder as decoder_module
from isp_meta.decoder import guide as guide_module
from isp_meta.decoder.cubic import apply_polynomial, fit_polynomial
from isp_meta.decoder.guess import GUESSES, fit_guesses
from isp_meta.decoder.search import LeftOut, settings
from isp_meta.decoder.systems import NearestSamples
from isp_meta.frame import Frame
from isp_meta.processors.workers import workers
from isp_meta.reconstruct import LocalRBFReconstructor
from isp_meta.samples import Samples
from isp_meta.stages import Sharpening

SETTINGS = [
    LocalRBFSetting(target, kernel, 12.0, 0.2)
    for target, kernel in itertools.product(("log_gain", "value"), ("exponential", "rational"))
]
FLOOR = 1e-3


def sampled(srgb, raw, cell=8):
    """The middle pixel of every cell is known."""
    height, width = raw.shape[1:]
    rows = torch.arange(cell // 2, height, cell)
    columns = torch.arange(cell // 2, width, cell)
    index = (rows[:, None] * width + columns).flatten()
    return Frame(srgb=srgb, samples=Samples.at(index, raw, cell))


def varied(height, width, seed=0):
    """A scene whose tones were mapped locally: color alone cannot tell raw."""
    srgb = smooth(height, width, seed)
    rows = torch.linspace(0, 5, height)[:, None]
    columns = torch.linspace(0, 6, width)
    return srgb, cubic(srgb) * (0.5 + 0.4 * rows.cos() * columns.sin())


def global_estimate(frame):
    color = frame.srgb.reshape(3, -1)[:, frame.samples.index].T
    return apply_polynomial(fit_polynomial(color, frame.samples.value.to(color)), frame.srgb)


def decibels(estimate, truth):
    return -10 * math.log10(float((estimate - truth).square().mean()))


def left_out_of(frame, neighbors=9, trials=10**6):
    """Samples to leave out: every one, or a few."""
    guide, samples = Guide(frame.srgb), frame.samples
    value = samples.value.to(frame.srgb)
    with workers() as pool:
        return LeftOut.of(
            guide.points(samples.index),
            value,
            fit_guesses(guide, samples.index, value),
            NearestSamples(samples.index, samples.width),
            neighbors,
            trials,
            pool,
        )


def known(left_out, guess="cubic"):
    """Points and values of the samples, and what the guess is there."""
    at_samples = left_out.guesses[guess].at_samples
    return (t.numpy() for t in (left_out.points, left_out.value, at_samples))


@pytest.fixture
def only_cubic(monkeypatch):
    """Lets the reconstructor know no first guess but the cubic, from the moment it is called."""

    def cubic_of(*arguments):
        return {"cubic": fit_guesses(*arguments)["cubic"]}

    return lambda: monkeypatch.setattr(decoder_module, "fit_guesses", cubic_of)


class Oracle:
    """The interpolation as the docstrings state it, one system at a time, in NumPy."""

    def __init__(self, setting, points, value, guess):
        self.setting, self.origin = setting, points.mean(0)
        self.points = self.scale(points)
        log_gain = setting.target == "log_gain"
        target = np.log((value + FLOOR) / (guess + FLOOR)) if log_gain else value
        system = self.kernel(self.points, self.points) + setting.ridge * np.eye(len(points))
        self.weights = np.linalg.solve(system, target)

    def scale(self, points):
        sizes = [self.setting.position_scale] * 2 + [self.setting.color_scale] * 5
        return (points - self.origin) / np.array(sizes)

    def kernel(self, left, right):
        distance = np.linalg.norm(left[:, None] - right[None], axis=-1)
        rational = self.setting.kernel == "rational"
        kernel = 1 / (1 + distance**2) if rational else np.exp(-distance)
        return kernel + (1 + left @ right.T if self.setting.target == "value" else 0)

    def __call__(self, points, guess):
        target = self.kernel(self.scale(points), self.points) @ self.weights
        if self.setting.target == "log_gain":
            target = (guess + FLOOR) * np.exp(target) - FLOOR
        return target.clip(0, 1)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: f"{s.target}-{s.kernel}")
def test_error_left_out_is_that_of_fitting_again_without_the_sample(setting):
    srgb, raw = varied(40, 56)
    weight = torch.rand(63, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for dtype, exactness in ((torch.float64, 1e-9), (torch.float32, 1e-3)):
        every = left_out_of(sampled(srgb.to(dtype), raw, cell=6))
        every = replace(every, weight=weight.to(dtype))
        assert sorted(every.around[:, 0].tolist()) == list(range(63))
        points, value, guess = known(every)
        errors = []
        for left_out, *others in every.around.tolist():
            fit = Oracle(setting, points[others], value[others], guess[others])
            one = slice(left_out, left_out + 1)
            errors.append(fit(points[one], guess[one]) - value[one])
        squares = np.square(errors).mean((1, 2))
        got = every.error(setting, 1)
        assert got == pytest.approx(np.average(squares, weights=weight), rel=exactness)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: f"{s.target}-{s.kernel}")
def test_pixels_are_the_interpolation_of_their_blocks_nearest_samples(setting):
    srgb, raw = varied(21, 27)
    index = torch.randperm(21 * 27, generator=torch.Generator().manual_seed(0))[:24]
    frame = Frame(srgb=srgb.double(), samples=Samples.at(index, raw))
    height, width, block, neighbors = 21, 27, 5, 7
    assert round(math.sqrt(height * width / len(frame.samples))) == block
    got = LocalRBFReconstructor(neighbors, setting=setting)(frame)
    points, value, guess = known(left_out_of(frame))
    guide, estimate = Guide(frame.srgb).rows(0, height).numpy(), global_estimate(frame).numpy()
    expected = np.full((3, height, width), np.nan)
    for top, left in itertools.product(range(0, height, block), range(0, width, block)):
        rows, columns = np.mgrid[top : top + block, left : left + block].reshape(2, -1)
        inside = (rows < height) & (columns < width)
        center = [rows.mean(), columns.mean()]
        distance = np.linalg.norm(points[:, :2] - center, axis=1)
        nearest, following = np.split(distance.argsort(), [neighbors])
        if np.isclose(distance[nearest[-1]], distance[following[0]]):
            continue  # Either may be the last neighbor.
        fit = Oracle(setting, points[nearest], value[nearest], guess[nearest])
        rows, columns = rows[inside], columns[inside]
        pixels = np.concatenate([[rows, columns], guide[:, rows, columns]]).T
        expected[:, rows, columns] = fit(pixels, estimate[:, rows, columns].T).T
    expected.reshape(3, -1)[:, frame.samples.index] = frame.samples.value.T
    judged = np.isfinite(expected)
    assert judged.mean() > 0.7
    got, expected = got.numpy()[judged], expected[judged]
    # In the dark below, specks are lifted.
    bright = expected >= 0.4 * 0.02
    assert bright.mean() > 0.6
    np.testing.assert_allclose(got[bright], expected[bright], rtol=0, atol=1e-7)
    assert (got[~bright] >= expected[~bright] - 1e-7).all()
    assert got[~bright].max() <= 0.4 * 0.02


@pytest.mark.parametrize("size", [(8, 16), (21, 27), (3, 2)])
def test_guide_is_color_and_the_brightness_and_clipped_share_around(size):
    height, width = size
    srgb = (1.3 * smooth(height, width)).clamp(max=1).double()
    frame = sampled(srgb, srgb, cell=2)
    picture = Guide(srgb)
    guide = picture.rows(0, height)
    assert torch.equal(guide[:3], srgb)
    rows, columns = (np.minimum(np.arange(-(-n // 4) * 4), n - 1) for n in size)
    padded = srgb.numpy()[:, rows][:, :, columns]
    for plane, weight, number in ((padded, 0.25, 3), (padded >= 254 / 255, 0.2, 4)):
        means = plane.mean(0).reshape(len(rows) // 4, 4, -1, 4).mean((1, 3))
        at = np.stack(np.mgrid[:height, :width]) / 4 + 0.125 - 0.5
        wanted = weight * map_coordinates(means, at, order=1, mode="nearest")
        np.testing.assert_allclose(guide[number], wanted, rtol=0, atol=1e-12)
    at_samples = guide.flatten(1)[:, frame.samples.index].T
    points = picture.points(frame.samples.index)
    torch.testing.assert_close(points[:, 2:], at_samples, rtol=0, atol=1e-12)
    parts = [picture.rows(top, min(height, top + 5)) for top in range(0, height, 5)]
    torch.testing.assert_close(torch.cat(parts, 1), guide, rtol=0, atol=1e-12)


def test_where_the_picture_is_clipped_the_surroundings_tell():
    noise = torch.rand(1, 96 + 12, 128 + 12, generator=torch.Generator().manual_seed(0))
    light = avg_pool2d(avg_pool2d(noise, 7, 1), 7, 1)[0]
    light = 0.05 + 0.95 * ((light - light.min()) / (light.max() - light.min())) ** 2
    raw = light * torch.tensor([0.5, 1.0, 0.7])[:, None, None]
    srgb = (raw * torch.tensor([4.4, 2.2, 3.1])[:, None, None]).clamp(max=1).sqrt()
    frame = sampled(srgb, raw)
    assert 0.05 < float((srgb == 1).all(0).float().mean()) < 0.3
    got = LocalRBFReconstructor()(frame)
    every = left_out_of(frame, 36)
    blind = torch.cat([every.points[:, :5], torch.zeros(len(every.points), 2)], 1)
    chosen = LocalRBFSetting("log_gain", "exponential", 64.0, 0.1)
    errors = [replace(every, points=p).error(chosen, 1) for p in (every.points, blind)]
    assert errors[0] < 0.6 * errors[1]
    assert decibels(got, raw) > 30


def test_trials_are_drawn_evenly_from_what_is_clipped_and_what_is_not():
    srgb = smooth(96, 128)
    srgb[:, :20, :30] = 1
    frame = sampled(srgb, srgb, cell=4)
    some = left_out_of(frame, trials=60)
    burnt = some.points[:, -1] > 0
    chosen, weight = some.around[:, 0], some.weight
    assert len(chosen.unique()) == len(chosen) == 60
    assert int(burnt[chosen].sum()) == 30
    total = [float(weight[burnt[chosen] == side].sum()) for side in (True, False)]
    assert total == pytest.approx([int(burnt.sum()), int((~burnt).sum())])
    every = left_out_of(frame)
    assert sorted(every.around[:, 0].tolist()) == list(range(len(burnt)))
    assert bool((every.weight == 1).all())


@pytest.mark.parametrize("setting", [None, *SETTINGS], ids=str)
def test_no_frame_breaks_it(hard_frame, setting):
    reconstructor = LocalRBFReconstructor(setting=setting)
    raw = reconstructor(hard_frame)
    samples = hard_frame.samples
    assert raw.shape == hard_frame.srgb.shape
    assert raw.dtype == hard_frame.srgb.dtype
    assert bool(((raw >= 0) & (raw <= 1)).all())
    assert torch.equal(raw.flatten(1)[:, samples.index], samples.value.T.to(raw))
    assert torch.equal(LocalRBFReconstructor(setting=setting)(hard_frame), raw)


def test_far_from_all_samples_systems_stay_positive_definite():
    # Up to 200 distances from a dense corner, where float32 rounds products by more than RIDGE.
    srgb = smooth(16, 1800)
    index = (torch.arange(16)[:, None] * 1800 + torch.arange(50)).flatten()
    frame = Frame(srgb=srgb, samples=Samples.at(index, cubic(srgb)))
    setting = LocalRBFSetting("value", "rational", 9.0, 0.4)
    assert bool(LocalRBFReconstructor(setting=setting)(frame).isfinite().all())


def test_is_exact_where_raw_is_a_cubic_of_the_picture():
    srgb = smooth(96, 128)
    got = LocalRBFReconstructor()(sampled(srgb, cubic(srgb)))
    assert float((got - cubic(srgb)).abs().max()) < 5e-4
    assert decibels(got, cubic(srgb)) > 95


def test_beats_one_polynomial_and_the_global_interpolation_where_tones_are_local():
    srgb, raw = varied(96, 128)
    frame = sampled(srgb, raw)
    got = decibels(LocalRBFReconstructor()(frame), raw)
    assert got > decibels(global_estimate(frame), raw) + 12
    assert got > decibels(RBFReconstructor()(frame), raw) + 4


@pytest.mark.parametrize("size", [(61, 45), (40, 64)])
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: f"{s.target}-{s.kernel}")
def test_strips_change_nothing(size, setting, monkeypatch):
    srgb, raw = varied(*size)
    frame = sampled(srgb.double(), raw)
    reconstructor = LocalRBFReconstructor(setting=setting)
    whole = reconstructor(frame)
    monkeypatch.setattr(guide_module, "_STRIP_PIXELS", 1)
    torch.testing.assert_close(reconstructor(frame), whole, rtol=0, atol=1e-10)


def test_what_is_chosen_does_not_depend_on_strips(monkeypatch):
    srgb, raw = varied(64, 64)
    frame, first, second = sampled(srgb, raw), LocalRBFReconstructor(), LocalRBFReconstructor()
    whole = first(frame)
    monkeypatch.setattr(guide_module, "_STRIP_PIXELS", 1)
    torch.testing.assert_close(second(frame), whole, rtol=0, atol=1e-4)
    assert first.chosen == second.chosen


@pytest.mark.parametrize("scene", ["local", "by color", "by position"])
def test_the_setting_chosen_is_nearly_the_best_of_all(scene, monkeypatch):
    srgb, raw = varied(80, 80)
    if scene == "by color":
        raw = 0.5 + 0.4 * torch.sin(12 * srgb)
    elif scene == "by position":
        raw = smooth(80, 80, seed=5)
    frame = sampled(srgb, raw, cell=4)
    reconstructor = LocalRBFReconstructor()
    chosen = decibels(reconstructor(frame), raw)
    # Every candidate starts from the same guesses: fitting them once is enough.
    guesses = left_out_of(frame).guesses
    monkeypatch.setattr(decoder_module, "fit_guesses", lambda *_: guesses)
    candidates = [*settings(4.0, GUESSES[:3])]
    candidates += [replace(c, target="value") for c in settings(4.0, GUESSES[:1])]
    every = {c: decibels(LocalRBFReconstructor(setting=c)(frame), raw) for c in candidates}
    assert reconstructor.chosen in every
    assert len(every) == 160
    assert chosen == pytest.approx(every[reconstructor.chosen], abs=1e-9)
    assert chosen > max(every.values()) - 1.0
    assert chosen > np.median(list(every.values())) + 0.5


def test_what_is_chosen_follows_the_picture(only_cubic):
    srgb = smooth(96, 128)
    columns = torch.linspace(0, 1, 128)
    fine = cubic(srgb) * (0.6 + 0.35 * torch.sin(40 * columns))
    of_color = 0.5 + 0.4 * torch.sin(12 * srgb)
    reconstructor = LocalRBFReconstructor()

    def chosen(raw):
        reconstructor(sampled(srgb, raw))
        return reconstructor.chosen

    assert chosen(fine).guess == "cubic"
    assert chosen(of_color).guess == "color"
    only_cubic()
    assert chosen(fine).position_scale < chosen(of_color).position_scale


def sharpened(height, width):
    """Blobs under texture, developed with a gamma and sharpened; and their raw."""
    noise = torch.rand(1, 1, height + 2, width + 2, generator=torch.Generator().manual_seed(1))
    texture = avg_pool2d(noise, 3, 1)[0] - 0.5
    raw = (smooth(height, width) * torch.exp(1.5 * texture)).clamp(0, 1)
    return Sharpening(1.5)(Frame(srgb=raw ** (1 / 2.2))).srgb, raw


def test_detail_takes_sharpening_back(only_cubic):
    srgb, raw = sharpened(128, 192)
    frame, reconstructor = sampled(srgb, raw), LocalRBFReconstructor()
    got = decibels(reconstructor(frame), raw)
    assert reconstructor.chosen.guess == "detail"
    only_cubic()
    assert got > decibels(reconstructor(frame), raw) + 1
    assert reconstructor.chosen.guess == "cubic"


def test_few_samples_leave_the_cubic():
    srgb, raw = sharpened(64, 80)
    frame, reconstructor = sampled(srgb, raw), LocalRBFReconstructor()
    assert len(frame.samples) == 80
    assert decibels(reconstructor(frame), raw) > 25
    assert reconstructor.chosen.guess == "cubic"
    asked = LocalRBFReconstructor(setting=replace(SETTINGS[0], guess="detail"))
    assert torch.equal(asked(frame), LocalRBFReconstructor(setting=SETTINGS[0])(frame))
    assert asked.chosen == SETTINGS[0]


@pytest.mark.parametrize("guess", GUESSES[:3])
def test_the_error_left_out_is_against_the_guess_left_out(guess):
    frame = sampled(*(t.double() for t in sharpened(64, 80)), cell=5)
    setting = replace(SETTINGS[0], guess=guess)
    every = left_out_of(frame)
    points, value, at_samples = known(every, guess)
    left_out = every.guesses[guess].left_out.numpy()
    squares = []
    for one, *others in every.around.tolist():
        fit = Oracle(setting, points[others], value[others], at_samples[others])
        squares.append(np.square(fit(points[[one]], left_out[[one]]) - value[one]).mean())
    got = every.error(setting, 1)
    assert got == pytest.approx(np.mean(squares), rel=1e-8)


def test_a_setting_that_is_given_is_used_and_without_trials_the_first_is():
    frame = sampled(*varied(32, 40))
    assert LocalRBFReconstructor().chosen is None
    given = LocalRBFReconstructor(setting=SETTINGS[3])
    given(frame)
    assert given.chosen == SETTINGS[3]
    untried = LocalRBFReconstructor(trials=0)
    untried(frame)
    assert untried.chosen == next(settings(8.0, ["cubic"]))


def test_the_picture_given_is_left_as_it_was():
    frame = sampled(*varied(32, 40))
    before = frame.srgb.clone(), frame.samples.value.clone()
    LocalRBFReconstructor()(frame)
    assert torch.equal(frame.srgb, before[0])
    assert torch.equal(frame.samples.value, before[1])


@pytest.mark.parametrize("argument", [{"neighbors": 0}, {"neighbors": 97}, {"trials": -1}])
def test_refuses_an_argument_out_of_range(argument):
    with pytest.raises(ValueError, match=next(iter(argument))):
        LocalRBFReconstructor(**argument)


def test_shows_its_arguments():
    assert repr(LocalRBFReconstructor(9, 64)) == "LocalRBFReconstructor(neighbors=9, trials=64)"
    assert "rational" in repr(LocalRBFReconstructor(setting=SETTINGS[1]))
