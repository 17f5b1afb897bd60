import pytest
import torch

from isp_meta import presets
from isp_meta.camera import Camera
from isp_meta.data import sample_path
from isp_meta.errors import PipelineOrderError
from isp_meta.frame import Frame
from isp_meta.io import read_raw
from isp_meta.stages import Demosaic, ToneCurve

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
