import math

import pytest
import torch
from smooth_scenes import smooth

from isp_meta.baselines import ParametricReconstructor, fit_parametric
from isp_meta.baselines.parametric import influence
from isp_meta.camera import Camera
from isp_meta.errors import PipelineOrderError
from isp_meta.frame import Frame
from isp_meta.samples import ParametricModel, Samples
from isp_meta.stages.inverse_tone_curve import apply_curves, fit_curves

CAMERA = Camera(as_shot_neutral=(0.5, 1.0, 0.7))
# Rows sum to 1, as those of every camera's matrix after white balance.
MATRIX = torch.tensor([[1.7, -0.6, -0.1], [-0.2, 1.5, -0.3], [0.0, -0.5, 1.5]])
EXPONENTS = torch.tensor([1 / 2.2, 1 / 2.0, 1 / 1.8]).view(3, 1, 1)


def rendered(height=96, width=128, seed=0):
    """Raw within the gamut and its picture by a known matrix and curves, nothing clipped."""
    display = 0.1 + 0.7 * smooth(height, width, seed)
    balanced = torch.einsum("ij,jhw->ihw", torch.linalg.inv(MATRIX), display)
    raw = balanced * torch.tensor(CAMERA.as_shot_neutral).view(3, 1, 1)
    assert float(raw.min()) > 0
    assert float(raw.max()) < 0.99
    return raw, display**EXPONENTS


def decibels(estimate, truth):
    return -10 * math.log10(max(float((estimate - truth).square().mean()), 1e-20))


def recovered(raw, srgb, camera=CAMERA, points=1000):
    model = fit_parametric(raw, srgb, camera, points=points)
    return model, ParametricReconstructor(model)(Frame(srgb=srgb))


def without_gamut_mapping(model):
    return ParametricModel(
        model.gains,
        model.matrix,
        model.curves,
        model.points[:0],
        model.weights[:0],
        model.radius,
    )


def evaluated(model, color):
    """The formula as ParametricModel states it, pixel by pixel, for (3, N) colors in float64."""
    color = color.double()
    position = color.clamp(0, 1) * 255
    below = position.long().clamp(max=254)
    curve = model.curves.double()
    low, high = curve.gather(1, below), curve.gather(1, below + 1)
    linear = low + (position - below) * (high - low)
    distance = (color.T[:, None] - model.points.double()).norm(dim=2)
    kernel = (1 - distance / model.radius).clamp(min=0) ** 2
    mapped = (kernel @ model.weights.double()).T
    balanced = model.matrix.double() @ linear + mapped
    return (balanced / model.gains.double()[:, None]).clamp(0, 1)


def test_a_known_matrix_and_curve_are_recovered():
    raw, srgb = rendered()
    model, result = recovered(raw, srgb)
    assert decibels(result, raw) > 70
    # They explain it almost alone: the control points have hardly anything left to do.
    alone = ParametricReconstructor(without_gamut_mapping(model))(Frame(srgb=srgb))
    assert decibels(alone, raw) > 55
    torch.testing.assert_close(model.matrix, torch.linalg.inv(MATRIX), rtol=0, atol=0.05)
    level = torch.linspace(0.4, 0.85, 46).repeat(3, 1)
    linear = level.double() ** (1 / EXPONENTS.view(3, 1))
    got = apply_curves(level, model.curves)
    torch.testing.assert_close(got.double(), linear, rtol=0, atol=0.02)


def test_another_picture_rendered_alike_is_recovered_too():
    model, _ = recovered(*rendered())
    raw, srgb = rendered(seed=1)
    assert decibels(ParametricReconstructor(model)(Frame(srgb=srgb)), raw) > 40


def test_control_points_undo_what_matrix_and_curves_cannot():
    raw, display = rendered()
    # Colors move toward gray the more saturated they are, as gamut mappings have it.
    gray = display.mean(0)
    srgb = gray + (display - gray) * (1 - 0.5 * (display.amax(0) - display.amin(0)))
    model, result = recovered(raw, srgb)
    alone = ParametricReconstructor(without_gamut_mapping(model))(Frame(srgb=srgb))
    assert decibels(result, raw) > decibels(alone, raw) + 10
    few = recovered(raw, srgb, points=100)[1]
    assert decibels(few, raw) < decibels(result, raw) - 3


def test_8_bits_cost_what_their_rounding_costs():
    raw, srgb = rendered()
    coarse = (srgb * 255).round() / 255
    noise = (raw - recovered(raw, coarse)[1]).square().mean().sqrt()
    assert 1e-4 < float(noise) < 3e-3


def test_every_pixel_is_the_formula_of_its_color():
    raw, srgb = rendered(40, 50)
    coarse = (srgb * 255).round() / 255
    model, result = recovered(raw, coarse)
    truth = evaluated(model, coarse.flatten(1))
    torch.testing.assert_close(result.flatten(1).double(), truth, rtol=0, atol=3e-5)
    between = ParametricReconstructor(model)(Frame(srgb=srgb)).flatten(1).double()
    error = (between - evaluated(model, srgb.flatten(1))).abs()
    assert float(error.mean()) < 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_dtype_and_the_picture_given(dtype):
    raw, srgb = rendered(20, 24)
    srgb = srgb.to(dtype).mT.contiguous().mT
    before = srgb.clone()
    model, result = recovered(raw, srgb)
    assert result.dtype == dtype
    assert result.is_contiguous()
    assert torch.equal(srgb, before)
    assert decibels(result, raw) > 60
    assert model.curves.dtype == torch.float32


def test_samples_are_not_asked_for_and_not_looked_at():
    raw, srgb = rendered(20, 24)
    model, result = recovered(raw, srgb)
    assert ParametricReconstructor.needs == {"srgb"}
    samples = Samples.at(torch.arange(0, 480, 7), 1 - raw)
    again = ParametricReconstructor(model)(Frame(srgb=srgb, samples=samples))
    assert torch.equal(again, result)


def test_the_same_comes_out_each_time():
    raw, srgb = rendered(60, 80)
    (first, one), (second, two) = recovered(raw, srgb), recovered(raw, srgb)
    assert torch.equal(one, two)
    for name in ("gains", "matrix", "curves", "points", "weights"):
        assert torch.equal(getattr(first, name), getattr(second, name))


def test_a_fitted_model_is_as_metadata_keep_it():
    model, _ = recovered(*rendered(60, 80))
    again = model.rounded()
    assert torch.equal(again.points, model.points)
    assert torch.equal(again.weights, model.weights)
    assert again.radius == model.radius


def test_larger_pictures_than_the_fit_looks_at(monkeypatch):
    from isp_meta.baselines import parametric_fit

    monkeypatch.setattr(parametric_fit, "_PIXELS", 6000)
    raw, srgb = rendered()
    first, result = recovered(raw, srgb)
    assert torch.equal(recovered(raw, srgb)[0].weights, first.weights)
    assert decibels(result, raw) > 55


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (12, 1), (9, 14)])
@pytest.mark.parametrize("content", ["black", "white", "color", "gray ramp", "clipped", "noise"])
def test_no_picture_breaks_it(size, content):
    raw = smooth(*size)
    srgb = raw.clone()
    if content in ("black", "white"):
        raw = srgb = torch.full_like(raw, float(content == "white"))
    elif content == "color":
        raw = torch.tensor([0.2, 0.5, 0.1]).view(3, 1, 1).expand(3, *size)
        srgb = torch.tensor([0.9, 0.4, 0.6]).view(3, 1, 1).expand(3, *size)
    elif content == "gray ramp":
        srgb = torch.linspace(0, 1, raw[0].numel()).view(1, *size).expand(3, *size)
        raw = srgb.square() * torch.tensor(CAMERA.as_shot_neutral).view(3, 1, 1)
    elif content == "clipped":
        srgb = torch.ones_like(raw)
    elif content == "noise":
        srgb = torch.rand(raw.shape, generator=torch.Generator().manual_seed(3))
    before = raw.clone(), srgb.clone()
    model, result = recovered(raw, srgb)
    assert torch.equal(raw, before[0])
    assert torch.equal(srgb, before[1])
    assert result.shape == raw.shape
    assert bool(((result >= 0) & (result <= 1)).all())
    assert bool((model.curves.diff() >= 0).all())
    if content in ("black", "white", "color", "gray ramp"):
        assert decibels(result, raw) > 55
    elif content == "clipped":
        mean = raw.mean((1, 2), keepdim=True).expand_as(raw)
        torch.testing.assert_close(result, mean, rtol=0, atol=2e-3)


@pytest.mark.parametrize("neutral", [(1e-300, 1.0, 1e300), (1.0, 1e-5, 1.0)])
def test_no_white_balance_breaks_it(neutral):
    raw, srgb = rendered(20, 24)
    result = recovered(raw, srgb, Camera(as_shot_neutral=neutral))[1]
    assert bool(((result >= 0) & (result <= 1)).all())


def test_the_picture_may_lie_outside_of_the_range():
    model, _ = recovered(*rendered(20, 24))
    srgb = torch.tensor([-0.5, 1.5, 3.0]).view(3, 1, 1)
    at_the_end = ParametricReconstructor(model)(Frame(srgb=srgb.clamp(0, 1)))
    assert torch.equal(ParametricReconstructor(model)(Frame(srgb=srgb)), at_the_end)


def test_curves_are_the_best_monotone_ones_where_pixels_tell():
    level = torch.rand(3, 5000, generator=torch.Generator().manual_seed(0))
    curves = fit_curves(level, level**3)
    truth = torch.linspace(0, 1, 256, dtype=torch.float64) ** 3
    torch.testing.assert_close(curves, truth.expand(3, 256), rtol=0, atol=1e-4)


def test_curves_never_fall_even_where_the_picture_does():
    level = torch.rand(3, 500, generator=torch.Generator().manual_seed(0))
    curves = fit_curves(level, torch.sin(9 * level))
    assert bool((curves.diff() >= 0).all())
    assert float(curves.max() - curves.min()) > 0.1


def test_influence_is_positive_definite_and_ends_at_its_radius():
    points = torch.rand(300, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    kernel = influence(points, points, 0.7)
    assert float(torch.linalg.eigvalsh(kernel)[0]) > 0
    distance = torch.cdist(points, points)
    assert bool((kernel[distance >= 0.7] == 0).all())
    torch.testing.assert_close(kernel, (1 - distance / 0.7).clamp(min=0) ** 2)


@pytest.mark.parametrize(
    ("raw", "srgb", "options", "text"),
    [
        ((3, 4, 5), (3, 4, 6), {}, r"must be \(3, H, W\)"),
        ((1, 4, 5), (1, 4, 5), {}, r"must be \(3, H, W\)"),
        ((3, 0, 5), (3, 0, 5), {}, r"must be \(3, H, W\)"),
        ((3, 4, 5), (3, 4, 5), {"points": 0}, "points must be 1 to 5000"),
        ((3, 4, 5), (3, 4, 5), {"points": 5001}, "points must be 1 to 5000"),
    ],
)
def test_refuses_arguments_that_do_not_fit(raw, srgb, options, text):
    with pytest.raises(ValueError, match=text):
        fit_parametric(torch.zeros(raw), torch.zeros(srgb), CAMERA, **options)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_refuses_values_that_are_not_finite(value):
    raw, srgb = rendered(4, 5)
    raw[1, 2, 3] = value
    with pytest.raises(ValueError, match="must be finite"):
        fit_parametric(raw, srgb, CAMERA)


def test_asks_for_a_picture():
    model, _ = recovered(*rendered(4, 5))
    with pytest.raises(PipelineOrderError, match=r"ParametricReconstructor needs frame\.srgb"):
        ParametricReconstructor(model)(Frame())
    with pytest.raises(ValueError, match="must be"):
        ParametricReconstructor(model)(Frame(srgb=torch.zeros(1, 4, 5)))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"gains": torch.tensor([1.0, 0.0, 1.0])}, "gains must be finite"),
        ({"gains": torch.ones(4)}, "gains must be"),
        ({"matrix": torch.full((3, 3), math.nan)}, "matrix must be finite"),
        ({"matrix": torch.eye(3).double()}, "matrix must be .* float32"),
        ({"curves": torch.linspace(1, 0, 256).repeat(3, 1)}, "never fall"),
        ({"points": torch.full((2, 3), 1.1)}, "points must be finite"),
        ({"weights": torch.full((2, 3), math.inf)}, "weights must be finite"),
        ({"weights": torch.zeros(3, 3)}, "weights must be"),
        ({"points": torch.zeros(5001, 3), "weights": torch.zeros(5001, 3)}, "too many"),
        ({"radius": 0.0}, "radius must be"),
        ({"radius": math.nan}, "radius must be"),
    ],
)
def test_a_model_refuses_what_no_model_has(changes, text):
    curves = torch.linspace(0, 1, 256).repeat(3, 1)
    some = {"points": torch.zeros(2, 3), "weights": torch.zeros(2, 3), "radius": 0.1}
    right = {"gains": torch.ones(3), "matrix": torch.eye(3), "curves": curves, **some}
    ParametricModel(**right)
    with pytest.raises(ValueError, match=text):
        ParametricModel(**{**right, **changes})


def test_shows_its_size():
    model, _ = recovered(*rendered(4, 5))
    assert repr(ParametricReconstructor(model)).startswith("ParametricReconstructor(points=20")
