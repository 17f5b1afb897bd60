import itertools

import pytest
import torch
from torch import nn

from isp_meta import Fit, Frame, Pipeline, Stage, fit
from isp_meta.errors import PictureMismatch, PipelineOrderError
from isp_meta.presets import camera, minimal
from isp_meta.stages import (
    ColorMatrix,
    Gamma,
    LocalToneMapping,
    Quantize,
    Sharpening,
    ToneCurve,
    Vignette,
    WhiteBalance,
)

MIX = [[1.5, -0.4, -0.1], [-0.2, 1.4, -0.2], [0.05, -0.5, 1.45]]


@pytest.fixture(scope="module")
def scene():
    """A raw of patches of all colors and brightnesses, so that every parameter shows in it."""
    generator = torch.Generator().manual_seed(5)
    light = torch.rand(3, 12, 16, generator=generator) * torch.rand(1, 12, 16, generator=generator)
    raw = light.repeat_interleave(16, 1).repeat_interleave(16, 2)
    grain = 1 + 0.02 * torch.rand(raw.shape, generator=generator)
    return Frame(raw=(0.9 * raw * grain).clamp(0, 1))


def finished(stages, frame):
    return Pipeline(stages)(frame).srgb


def a_camera(matrix=None, knots=None):
    return Pipeline(
        [
            WhiteBalance([1.0, 1.0, 1.0], clip=False),
            ColorMatrix(torch.eye(3) if matrix is None else matrix),
            ToneCurve([0.0, 1.0] if knots is None else knots),
            Gamma(),
        ]
    )


def test_finds_the_matrix(scene):
    # With colors pulled toward gray nothing is clipped, and all of the matrix shows.
    true = 0.5 * torch.tensor(MIX) + 0.5 / 3
    picture = a_camera(true)(scene).srgb
    found = fit(a_camera(), scene, picture, learn=["ColorMatrix"], steps=300)
    assert isinstance(found, Fit)
    assert float((found.pipeline[1].matrix - true).abs().max()) < 0.005
    assert found.before < 30
    assert found.after > 50
    assert found.loss[-1] < found.loss[0] / 20
    assert len(found.loss) == 300


def test_finds_the_tone_curve_and_keeps_it_rising(scene):
    true = ToneCurve.filmic(2.0)
    picture = a_camera(knots=true.knots)(scene).srgb
    found = fit(a_camera(), scene, picture, learn=["ToneCurve.knots"], steps=300)
    curve = found.pipeline.find("ToneCurve")
    x, y = curve.points()
    assert bool((y.diff() >= 0).all())
    shown = (x > 0.02) & (x < 0.8)
    rgb = x.float().expand(3, 1, -1)
    wanted = true(Frame(rgb=rgb)).rgb[0, 0]
    assert float((y - wanted)[shown].abs().max()) < 0.02
    assert found.after > max(40, found.before + 15)


def test_finds_how_strong_local_tone_mapping_was(scene):
    def mapped(strength):
        return a_camera()[:2], LocalToneMapping(strength), a_camera()[2:]

    picture = finished(mapped(0.5), scene)
    found = fit(Pipeline(mapped(0.1)), scene, picture, learn=["LocalToneMapping.strength"], side=99)
    assert float(found.pipeline.find("LocalToneMapping").strength) == pytest.approx(0.5, abs=0.05)
    assert found.after > found.before + 10


def test_finds_a_vignette(scene):
    stages = [WhiteBalance(), Vignette(field="rgb"), Gamma()]
    dark = (-0.6, 0.1, 0.0, 0.0, 0.0)
    picture = finished([WhiteBalance(), Vignette(dark, field="rgb"), Gamma()], scene)
    found = fit(Pipeline(stages), scene, picture, learn=["Vignette.coefficients"])
    assert found.after > max(38, found.before + 15)


def test_a_whole_camera_is_fitted_and_can_be_written(make_frame, tmp_path):
    frame = make_frame()
    other = [ColorMatrix(MIX), ToneCurve([0.0, 0.6, 0.8, 1.0])]
    taste = minimal().replace("ColorMatrix", other[0]).replace("ToneCurve", other[1])
    given = minimal()
    found = fit(given, frame, taste(frame).srgb, side=64)
    assert found.after > found.before + 12
    assert given.to_toml() == minimal().to_toml()
    assert not list(found.pipeline.parameters())
    path = tmp_path / "camera.toml"
    path.write_text(found.pipeline.to_toml())
    again = Pipeline.from_toml(path)
    stranger = frame.replace(camera=frame.camera.replace(as_shot_neutral=(1.0, 1.0, 1.0)))
    assert torch.equal(again(stranger).srgb, found.pipeline(frame).srgb)


def test_a_camera_of_every_kind_of_stage_is_fitted(make_frame):
    frame = make_frame()
    frame = frame.replace(camera=frame.camera.replace(noise=(1e-4, 1e-6)))
    picture = minimal()(frame).srgb
    found = fit(camera(), frame, picture, steps=60, side=64)
    assert found.after > found.before + 3
    sharpening = found.pipeline.find("Sharpening")
    assert sharpening.arguments() == Sharpening().arguments()


def test_the_same_input_gives_the_same_result(scene):
    picture = a_camera(MIX)(scene).srgb
    first, again = (fit(a_camera(), scene, picture, steps=5) for _ in range(2))
    assert first.loss == again.loss
    assert first.pipeline.to_toml() == again.pipeline.to_toml()


def test_only_what_is_named_is_fitted_even_if_more_is_learned(scene):
    given = Pipeline([a_camera()[:3].learn("ToneCurve"), a_camera()[3:]])
    picture = a_camera(MIX)(scene).srgb
    found = fit(given, scene, picture, learn=["ColorMatrix"], steps=5).pipeline
    assert [type(stage) for stage in found] == [WhiteBalance, ColorMatrix, ToneCurve, Gamma]
    assert found.find("ToneCurve").knots.tolist() == [0.0, 1.0]
    assert isinstance(given[0].find("ToneCurve").knots, nn.Parameter)


def test_progress_is_told(scene):
    told = []
    picture = a_camera(MIX)(scene).srgb
    found = fit(a_camera(), scene, picture, steps=3, progress=lambda *step: told.append(step))
    assert told == list(zip((1, 2, 3), found.loss, strict=True))


@pytest.mark.parametrize(("top", "left", "bottom", "right"), [(0, 0, 5, 3), (7, 40, 2, 24)])
def test_a_picture_that_lacks_borders_is_found(make_frame, top, left, bottom, right):
    frame = make_frame()
    whole = minimal()(frame).srgb
    part = whole[:, top : whole.shape[1] - bottom, left : whole.shape[2] - right]
    assert fit(minimal(), frame, part, steps=1).before == float("inf")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_upright_picture_is_turned_back(make_frame, orientation):
    frame = make_frame(orientation=orientation)
    stored = minimal()(frame).srgb
    # EXIF: where the stored picture's first row and first column are when it is upright.
    flips = {1: (), 2: (2,), 3: (1, 2), 4: (1,), 5: (), 6: (2,), 7: (1, 2), 8: (1,)}
    upright = (stored.transpose(1, 2) if orientation > 4 else stored).flip(flips[orientation])
    for picture in (stored, upright):
        assert fit(minimal(), frame, picture[:, 1:, 2:], steps=1).before == float("inf")


def test_a_picture_without_detail_is_taken_as_it_lies():
    frame = Frame(raw=torch.full((3, 20, 30), 0.25))
    picture = a_camera(knots=[0.0, 0.6, 1.0])(frame).srgb
    found = fit(a_camera(), frame, picture[:, 2:], steps=50)
    assert found.loss[-1] < found.loss[0]


def test_another_picture_is_refused(make_frame):
    frame = make_frame()
    srgb = minimal()(frame).srgb
    for wrong in (srgb[:, :20], srgb.repeat(1, 2, 2), srgb[:, :, : srgb.shape[2] - 65]):
        with pytest.raises(PictureMismatch, match=f"{wrong.shape[2]}x{wrong.shape[1]}.*128x96"):
            fit(minimal(), frame, wrong)
    other = torch.rand(srgb.shape, generator=torch.Generator().manual_seed(0))
    for wrong in (srgb.flip(2), 1 - srgb, other):
        with pytest.raises(PictureMismatch, match="does not show"):
            fit(minimal(), frame, wrong)


def test_nothing_to_fit_is_refused(scene):
    bare = Pipeline([ColorMatrix(torch.eye(3)), Gamma()])
    frame = scene.replace(rgb=scene.raw)
    picture = bare(frame).srgb
    with pytest.raises(ValueError, match="no parameter to fit"):
        fit(bare[1:], frame, picture)
    with pytest.raises(ValueError, match="there is no ToneCurve"):
        fit(bare, frame, picture, learn=["ToneCurve"])
    with pytest.raises(ValueError, match="no parameter gamma"):
        fit(bare, frame, picture, learn=["ColorMatrix.gamma"])


def test_what_acts_on_detail_alone_cannot_be_named(scene):
    sharp = Pipeline([*a_camera(), Sharpening()])
    with pytest.raises(ValueError, match="there is no Sharpening"):
        fit(sharp, scene, sharp(scene).srgb, learn=["Sharpening"])


@pytest.mark.parametrize(
    ("change", "options", "text"),
    [
        (lambda srgb: srgb, {"steps": 0}, "positive"),
        (lambda srgb: srgb, {"side": 0}, "positive"),
        (lambda srgb: srgb, {"rate": -1.0}, "positive"),
        (lambda srgb: srgb[0], {}, r"\(3, H, W\)"),
        (lambda srgb: (255 * srgb).to(torch.uint8), {}, "floating point"),
        (lambda srgb: srgb * torch.nan, {}, "finite"),
    ],
)
def test_wrong_arguments_are_refused(scene, change, options, text):
    with pytest.raises(ValueError, match=text):
        fit(a_camera(), scene, change(a_camera()(scene).srgb), **options)


def test_a_pipeline_that_does_not_fit_the_frame_is_refused(scene):
    picture = a_camera()(scene).srgb
    with pytest.raises(PipelineOrderError, match="needs codes"):
        fit(minimal(), scene, picture)
    with pytest.raises(PipelineOrderError, match="srgb"):
        fit(a_camera()[:3], scene, picture)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (70, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_size_and_precision(size, dtype):
    raw = torch.rand(3, *size, dtype=dtype, generator=torch.Generator().manual_seed(0))
    frame = Frame(raw=raw)
    picture = a_camera(knots=[0.0, 0.6, 1.0])(frame).srgb
    assert picture.dtype == dtype
    found = fit(a_camera(), frame, picture, steps=20)
    assert found.loss[-1] < found.loss[0]


def test_all_that_is_pointwise_takes_part(scene):
    class Lift(Stage):
        needs = gives = frozenset({"rgb"})
        pointwise = True

        def forward(self, frame):
            return frame.replace(rgb=frame.rgb * 0.5)

    halved = Pipeline([a_camera()[:2], Lift(), a_camera()[2:], Quantize(8)])
    found = fit(halved, scene, halved(scene).srgb, steps=20, rate=1e-3)
    assert found.before == float("inf")
    assert found.loss[0] < 0.5 / 255
    assert all(a <= b for a, b in itertools.pairwise(found.pipeline[3].points()[1].tolist()))
