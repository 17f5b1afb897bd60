import math

import pytest
import torch
from smooth_scenes import cubic, smooth
from torch.nn.functional import avg_pool2d

from isp_meta.decoder.cubic import apply_polynomial, fit_polynomial
from isp_meta.decoder.guess import GUESSES, FirstGuess, fit_guesses, log_gain, times_gain
from isp_meta.decoder.guide import Guide, clipped
from isp_meta.networks import FeatureNetwork

HEIGHT, WIDTH = 96, 128


def picture(dtype=torch.float32):
    """sRGB, partly clipped, and raw: no cubic of it, and darker beside what is bright."""
    texture = torch.rand(1, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1)) - 0.5
    srgb = (1.1 * smooth(HEIGHT, WIDTH) * torch.exp(0.8 * texture)).clamp(0, 1)
    around = avg_pool2d(srgb[None], 5, 1, 2, count_include_pad=False)[0]
    local = torch.log((around + 0.05) / (srgb + 0.05))
    raw = cubic(srgb) * (0.7 + 0.25 * torch.sin(10 * srgb[:1])) * torch.exp(0.6 * local)
    return srgb.to(dtype), raw.clamp(0, 1)


def network():
    torch.manual_seed(0)
    return FeatureNetwork(4, 8).requires_grad_(False)


def every(step, dtype=torch.float32, features=None):
    """Guesses of a picture of which every nth pixel is known; the picture, raw, index and value."""
    srgb, raw = picture(dtype)
    guide = Guide(srgb)
    index = torch.arange(step // 2, HEIGHT * WIDTH, step)
    value = raw.flatten(1)[:, index].T.contiguous().to(dtype)
    return fit_guesses(guide, index, value, features), guide, raw, index, value


def whole(guess, guide):
    return guess.formula.rows(guide, 0, HEIGHT)


def decibels(estimate, truth):
    return -10 * math.log10(float((estimate - truth).square().mean()))


def test_there_are_all_where_samples_suffice_and_a_cubic_everywhere():
    assert GUESSES == ("cubic", "color", "detail", "learned")
    assert list(every(29)[0]) == list(GUESSES[:3])
    assert list(every(29, features=network())[0]) == list(GUESSES)
    few = every(211)[0]
    assert list(few) == ["cubic"]
    assert few["cubic"].formula.correction is None


def test_the_cubic_is_the_fit_to_the_samples():
    guesses, guide, _, index, value = every(29)
    srgb = guide.srgb
    expected = apply_polynomial(fit_polynomial(srgb.flatten(1)[:, index].T, value), srgb)
    assert torch.equal(whole(guesses["cubic"], guide), expected)
    assert torch.equal(guesses["cubic"].left_out, guesses["cubic"].at_samples)


def test_each_tells_more_than_the_one_before():
    guesses, guide, raw, _, _ = every(17)
    cubic_only, color, detail = (decibels(whole(g, guide), raw) for g in guesses.values())
    assert color > cubic_only + 1
    assert detail > color + 3


@pytest.mark.parametrize("name", GUESSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_at_samples_are_the_rows_there(name, dtype):
    guesses, guide, _, index, _ = every(17, dtype, network())
    guess = guesses[name]
    rows = whole(guess, guide)
    assert rows.shape == (3, HEIGHT, WIDTH)
    for values in (rows, guess.at_samples, guess.left_out):
        assert values.dtype == dtype
        assert bool(((values >= 0) & (values <= 1)).all())
    atol = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(rows.flatten(1)[:, index].T, guess.at_samples, rtol=0, atol=atol)
    pieces = [guess.formula.rows(guide, top, min(HEIGHT, top + 7)) for top in range(0, HEIGHT, 7)]
    torch.testing.assert_close(torch.cat(pieces, 1), rows, rtol=0, atol=atol)


@pytest.mark.parametrize("name", GUESSES[1:])
def test_left_out_tells_the_error_elsewhere_and_hardly_differs_where_samples_are_many(name):
    shift, optimism = {}, {}
    for step in (61, 3):
        guesses, guide, raw, _, value = every(step, features=network())
        guess = guesses[name]
        shift[step] = float((guess.left_out - guess.at_samples).square().mean().sqrt())
        true = decibels(whole(guess, guide), raw)
        optimism[step] = [decibels(g, value) - true for g in (guess.at_samples, guess.left_out)]
    seen, left_out = optimism[61]
    assert seen > 3
    assert abs(left_out) < 0.6 * seen
    assert abs(optimism[3][1]) < 0.5
    assert shift[61] > 1e-3
    assert shift[3] < 0.2 * shift[61]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gain_and_its_inverse(dtype):
    generator = torch.Generator().manual_seed(0)
    raw, guess = torch.rand(2, 3, 500, generator=generator, dtype=dtype)
    raw[:, 0], guess[:, 1] = 0, 0
    gain = log_gain(raw, guess)
    expected = ((raw + 1e-3) / (guess + 1e-3)).log()
    torch.testing.assert_close(gain, expected)
    back = times_gain(guess.clone(), gain.clone())
    assert back.dtype == gain.dtype == dtype
    torch.testing.assert_close(back, raw, rtol=0, atol=1e-6 if dtype == torch.float32 else 1e-12)
    assert float(times_gain(torch.tensor([0.9]), torch.tensor([1.0]))) == 1.0
    assert float(times_gain(torch.tensor([0.0]), torch.tensor([-1.0]))) == 0.0


def test_clipped_is_told_color_by_color_and_of_all():
    codes = torch.tensor([[254, 255, 253, 255], [253, 254, 254, 0], [255, 254, 0, 255]])
    wanted = [[1, 1, 0, 1], [0, 1, 1, 0], [1, 1, 0, 1], [0, 1, 0, 0]]
    assert clipped(codes / 255).tolist() == wanted


def test_a_jump_where_colors_are_clipped_is_followed():
    tint = torch.tensor([1.5, 1.4, 1.3])[:, None, None]
    srgb = (tint * smooth(HEIGHT, WIDTH)[:1]).clamp(max=1)
    white = (srgb >= 254 / 255).all(0)
    index = torch.arange(0, HEIGHT * WIDTH, 5)
    assert 20 < int(white.flatten()[index].sum()) < 0.5 * len(index)
    raw = cubic(srgb)
    raw = torch.where(white, 1.0, 0.6 * raw)
    guide = Guide(srgb)
    guesses = fit_guesses(guide, index, raw.flatten(1)[:, index].T.contiguous())
    missed = {n: float((whole(g, guide) - raw)[:, white].abs().mean()) for n, g in guesses.items()}
    assert missed["cubic"] > 0.1
    assert missed["color"] < 0.3 * missed["cubic"]


def test_a_guess_is_worked_out_once_and_formulas_that_say_the_same_share_it(monkeypatch):
    guesses, guide, _, _, _ = every(17, features=network())
    formula = guesses["learned"].formula
    made = guide.guess(formula)
    assert torch.equal(made, whole(guesses["learned"], guide))
    monkeypatch.setattr(FirstGuess, "rows", None)
    same = FirstGuess(formula.cubic.clone(), formula.correction, formula.network)
    assert guide.guess(same) is made
    for other in (FirstGuess(formula.cubic), FirstGuess(2 * formula.cubic, formula.correction)):
        assert not other.equals(formula)


def test_what_is_told_is_that_of_the_network_that_is_asked_for():
    guide, one, other = Guide(picture()[0]), network(), FeatureNetwork(5, 8).requires_grad_(False)
    assert guide.beside(one) is guide.beside(one)
    for each in (one, other, one):
        assert torch.equal(guide.beside(each).layers.first, each.at_full.weight)
