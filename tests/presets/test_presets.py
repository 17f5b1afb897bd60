import inspect

import pytest
import torch
from every_stage import hard_pictures

from isp_meta import presets
from isp_meta.camera import Camera
from isp_meta.data import sample_path
from isp_meta.errors import PipelineOrderError
from isp_meta.frame import Frame
from isp_meta.io import known_camera, read_raw
from isp_meta.pipeline import Pipeline
from isp_meta.presets.random_cameras import KNOWN_CAMERAS, camera_between, random_camera
from isp_meta.stages import Demosaic, Jpeg, ToneCurve

CAMERA = Camera(
    black_level=(64.0, 65.0, 66.0, 67.0), white_level=1023.0, as_shot_neutral=(0.5, 1.0, 0.6)
)


def of_neutral(light):
    """Codes of a gray card: every photosite sees ``light`` times its color's share of neutral."""
    share = torch.tensor([[0.5, 1.0], [1.0, 0.6]]).repeat(4, 6)
    black = torch.tensor([[64.0, 65.0], [66.0, 67.0]]).repeat(4, 6)
    codes = light * share * (1023 - black) + black
    return Frame(camera=CAMERA, codes=codes.clamp(max=1023)[None])


def rendered(light):
    return presets.minimal()(of_neutral(light)).srgb


def test_turns_codes_into_everything_else():
    pipeline = presets.minimal()
    assert pipeline.needs == {"codes"}
    assert pipeline.gives == {"mosaic", "raw", "rgb", "srgb"}
    with pytest.raises(PipelineOrderError, match="codes"):
        pipeline(Frame())


def test_the_sample_becomes_a_picture_of_8_bits():
    frame = read_raw(sample_path())
    done = presets.minimal()(frame)
    _, height, width = frame.codes.shape
    for name, channels in (("mosaic", 1), ("raw", 3), ("srgb", 3)):
        picture = getattr(done, name)
        assert picture.shape == (channels, height, width)
        assert float(picture.min()) >= 0
        assert float(picture.max()) <= 1
    levels = done.srgb * 255
    assert float((levels - levels.round()).abs().max()) < 1e-4
    assert len(levels.round().unique()) > 200
    assert 0.2 < float(done.srgb.mean()) < 0.7
    assert torch.equal(presets.minimal()(frame).srgb, done.srgb)
    assert frame.filled == {"codes"}


@pytest.mark.parametrize("light", [0.0, 0.05, 0.18, 0.5])
def test_a_gray_card_is_gray(light):
    srgb = rendered(light)
    assert float((srgb.amax(0) - srgb.amin(0)).max()) < 1.01 / 255
    assert float(srgb.amax() - srgb.amin()) < 1.01 / 255


def test_black_is_black_and_a_saturated_sensor_white():
    assert float(rendered(0.0).max()) == 0
    saturated = Frame(camera=CAMERA, codes=torch.full((1, 8, 12), 1023.0))
    assert float(presets.minimal()(saturated).srgb.min()) == 1


def test_more_light_is_never_darker():
    levels = [float(rendered(light).mean()) for light in torch.linspace(0, 1, 41).tolist()]
    assert levels == sorted(levels)
    assert len(set(levels)) >= 40
    # Film-like: 18 % gray lies well above its linear sRGB level of 0.46.
    assert levels[7] > 0.5


def test_raw_is_the_cameras_own_color_before_white_balance():
    raw = presets.minimal()(of_neutral(0.4)).raw
    expected = 0.4 * torch.tensor(CAMERA.as_shot_neutral)[:, None, None].expand(-1, 8, 12)
    torch.testing.assert_close(raw, expected, rtol=0, atol=1e-6)


def test_every_call_makes_a_camera_of_its_own():
    first, second = presets.minimal(), presets.minimal()
    assert first is not second
    curve = next(stage for stage in first if isinstance(stage, ToneCurve))
    curve.knots.zero_()
    assert float(presets.minimal()(of_neutral(0.5)).srgb.mean()) > 0.1
    assert torch.equal(second(of_neutral(0.5)).srgb, presets.minimal()(of_neutral(0.5)).srgb)


def test_demosaics_as_the_metadata_assumes_by_default():
    assert [s.method for s in presets.minimal() if isinstance(s, Demosaic)] == ["malvar"]


def every_preset(make_frame):
    """The presets as ``isp-meta render --preset`` calls them, and a frame that suits all."""
    makes = [getattr(presets, name) for name in presets.__all__]
    return makes, make_frame(48, 64, noise=(1e-4, 1e-6))


def drawn(seed):
    return presets.random(torch.Generator().manual_seed(seed))


def test_whatever_is_public_here_is_a_preset(make_frame):
    makes, frame = every_preset(make_frame)
    for make in makes:
        assert inspect.signature(make).return_annotation == "Pipeline"
        pipeline = make()
        assert isinstance(pipeline, Pipeline)
        assert pipeline.needs == {"codes"}
        assert {"raw", "srgb"} <= pipeline.gives
        srgb = pipeline(frame).srgb
        assert 0 <= float(srgb.min()) < float(srgb.max()) <= 1
        assert "ToneCurve" in pipeline.to_toml()


@pytest.mark.parametrize("name", ["minimal", "karaimer_brown", "camera"])
def test_a_preset_made_for_a_camera_asks_no_other(name, make_frame):
    frame = make_frame(48, 64, noise=(1e-4, 1e-6))
    bound = getattr(presets, name)(frame.camera)
    other = frame.replace(camera=Camera(cfa="RGGB", white_level=4095.0, noise=(1e-2, 1e-2)))
    true, found = getattr(presets, name)()(frame).srgb, bound(other).srgb
    assert float((true - found).abs().max()) < 1.01 / 255
    assert float((getattr(presets, name)()(other).srgb - true).abs().max()) > 0.1


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (6, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_preset_takes_any_size_and_precision(size, dtype, make_frame):
    makes, frame = every_preset(make_frame)
    frame = frame.replace(codes=frame.codes[:, : size[0], : size[1]].to(dtype))
    for make in makes:
        done = make()(frame)
        assert done.srgb.shape == done.raw.shape == (3, *size)
        assert done.srgb.dtype == done.raw.dtype == dtype


@pytest.mark.parametrize("name", [*presets.__all__, *range(12)])
def test_a_batch_is_a_stack_of_its_pictures(name):
    batch, singles = hard_pictures()
    pipeline = drawn(name) if isinstance(name, int) else getattr(presets, name)()
    together = pipeline(batch)
    for i, one in enumerate(singles):
        alone = pipeline(one)
        torch.testing.assert_close(together.raw[i], alone.raw, rtol=0, atol=1e-6)
        apart = (together.srgb[i] - alone.srgb).abs()
        # Rounding may tip a value to the next of 255 levels.
        assert float(apart.max()) < 1.01 / 255
        assert float((apart > 1e-6).float().mean()) < 2e-3


def test_a_simulated_camera_writes_a_jpeg(make_frame):
    frame = make_frame(48, 64, noise=(1e-4, 1e-6))
    coarse = presets.camera(jpeg_quality=20)
    assert float(coarse.find(Jpeg).quality) == 20
    assert not torch.equal(coarse(frame).srgb, presets.camera()(frame).srgb)
    with pytest.raises(ValueError, match="quality"):
        presets.camera(jpeg_quality=0)


def test_random_cameras_render_alike_for_a_seed_and_differ_between_seeds(make_frame):
    frame = make_frame(48, 64)
    pictures = []
    for seed in range(50):
        pipeline = drawn(seed)
        srgb = pipeline(frame).srgb
        assert bool(torch.isfinite(srgb).all())
        assert 0 <= float(srgb.min()) < float(srgb.max()) <= 1
        _, heights = pipeline.find("ToneCurve").points()
        assert bool((heights.diff() >= 0).all())
        assert (float(heights[0]), float(heights[-1])) == (0, 1)
        pictures.append(srgb)
    assert torch.equal(drawn(7)(frame).srgb, pictures[7])
    assert drawn(7).to_toml() == drawn(7).to_toml()
    flat = torch.stack(pictures).flatten(1)
    apart = (flat[:, None] - flat).abs().mean(2) + torch.eye(50)
    assert float(apart.min()) > 1 / 255


def test_random_cameras_have_tastes_but_none_makes_night_of_day():
    frame = read_raw(sample_path())
    raw = presets.minimal()(frame).raw[:, ::6, ::6]
    start = frame.replace(raw=raw)
    cameras = [drawn(seed).since("WhiteBalance") for seed in range(20)]
    means = [float(camera(start).srgb.mean()) for camera in cameras]
    assert 0.35 < min(means) < 0.5 < 0.65 < max(means) < 0.8


def test_random_cameras_vary_in_every_part():
    pipelines = [drawn(seed) for seed in range(50)]
    names = [[type(stage).__name__ for stage in pipeline] for pipeline in pipelines]
    optional = (
        "HighlightReconstruction",
        "NoiseReduction",
        "LocalToneMapping",
        "Sharpening",
        "Jpeg",
    )
    for name in optional:
        assert 5 <= sum(name in stages for stages in names) <= 45
    assert {p.find("Demosaic").method for p in pipelines} == {"bilinear", "malvar", "menon"}
    assert len({float(p.find("Exposure").stops) for p in pipelines}) == 50


def test_a_random_camera_starts_from_raw_alone(make_frame):
    raw = presets.minimal()(make_frame(48, 64)).raw
    for seed in range(5):
        srgb = drawn(seed).since("WhiteBalance")(Frame(raw=raw)).srgb
        assert srgb.shape == raw.shape
        assert bool(torch.isfinite(srgb).all())


def test_a_random_camera_without_a_generator_follows_torchs_seed():
    state = torch.get_rng_state()
    try:
        torch.manual_seed(3)
        first, second = presets.random().to_toml(), presets.random().to_toml()
        torch.manual_seed(3)
        assert presets.random().to_toml() == first != second
    finally:
        torch.set_rng_state(state)


@pytest.mark.parametrize("jpeg", ["exact", "differentiable"])
def test_a_batch_has_a_random_camera_for_each_picture(jpeg):
    generator = torch.Generator().manual_seed(5)
    together = presets.random(generator, pictures=10, jpeg=jpeg)
    after = generator.get_state()
    generator = torch.Generator().manual_seed(5)
    singles = [presets.random(generator, jpeg=jpeg) for _ in range(10)]
    assert torch.equal(generator.get_state(), after)
    camera = random_camera(generator)
    codes = camera.white_level * torch.rand(10, 1, 24, 34, generator=generator)
    found = together(Frame(camera, codes=codes)).srgb
    alone = torch.stack(
        [s(Frame(camera, codes=c)).srgb for s, c in zip(singles, codes, strict=True)]
    )
    # One level, where rounding tips: behind libjpeg another level may be several.
    off = (found - alone).abs()
    assert float((off > 1e-5).float().mean()) < 1e-3
    assert float(off.max()) < (1.01 if jpeg == "differentiable" else 4.01) / 255


def test_every_camera_that_random_ones_are_mixed_of_is_known():
    matrices = {known_camera(make, model).color_matrix for make, model in KNOWN_CAMERAS}
    assert len(KNOWN_CAMERAS) >= 40
    assert len(matrices) > 0.9 * len(KNOWN_CAMERAS)


def test_random_sensors_are_plausible():
    generator = torch.Generator().manual_seed(0)
    cameras = [random_camera(generator) for _ in range(300)]
    neutrals = torch.tensor([camera.as_shot_neutral for camera in cameras])
    assert bool((neutrals[:, 1] == 1).all())
    # What gains of real cameras are, from lamps to shade: red 1 to 3.5, blue 1 to 5.
    assert 0.2 < float(neutrals[:, 2].min()) < 0.4
    assert 0.6 < float(neutrals[:, 2].max()) < 1.1
    assert 0.28 < float(neutrals[:, 0].min()) < 0.6
    assert 0.6 < float(neutrals[:, 0].max()) < 1.6
    assert {camera.cfa for camera in cameras} == {"RGGB", "BGGR", "GRBG", "GBRG"}
    assert {camera.white_level for camera in cameras} == {1023.0, 4095.0, 16383.0}


def test_a_camera_between_others_has_a_light_between_theirs():
    generator = torch.Generator().manual_seed(0)
    cameras = [random_camera(generator) for _ in range(3)]
    cameras = [camera.replace(color_matrix=cameras[0].color_matrix) for camera in cameras]
    found = [camera_between(cameras, generator) for _ in range(200)]
    for channel in (0, 2):
        range_ = [camera.as_shot_neutral[channel] for camera in cameras]
        drawn = [camera.as_shot_neutral[channel] for camera in found]
        assert min(range_) - 1e-12 <= min(drawn) < max(drawn) <= max(range_) + 1e-12
        assert max(drawn) - min(drawn) > 0.8 * (max(range_) - min(range_))
    assert all(camera.color_matrix == pytest.approx(cameras[0].color_matrix) for camera in found)
    same = [camera_between(cameras, torch.Generator().manual_seed(1)) for _ in range(2)]
    assert same[0] == same[1]
