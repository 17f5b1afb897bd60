import pytest
import torch

from isp_meta.camera import Camera
from isp_meta.frame import Frame
from isp_meta.stages import BlackLevel, black_level

LEVELS = (100.0, 200.0, 300.0, 400.0)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 4), (5, 1), (4, 6), (5, 7)])
def test_each_position_of_the_pattern_has_its_own_black(height, width):
    generator = torch.Generator().manual_seed(0)
    codes = torch.rand(1, height, width, generator=generator, dtype=torch.float64) * 1100
    mosaic = black_level(codes, LEVELS, 1000.0, clip=False)
    for y in range(height):
        for x in range(width):
            black = LEVELS[2 * (y % 2) + x % 2]
            expected = (codes[0, y, x].item() - black) / (1000.0 - black)
            assert mosaic[0, y, x].item() == pytest.approx(expected, abs=1e-15)


def test_black_is_zero_and_saturation_one_exactly():
    codes = torch.tensor([[[100.0, 200.0], [300.0, 400.0]]])
    assert torch.equal(black_level(codes, LEVELS, 1000.0), torch.zeros(1, 2, 2))
    assert torch.equal(
        black_level(torch.full((1, 2, 2), 1000.0), LEVELS, 1000.0), torch.ones(1, 2, 2)
    )


def test_clip_confines_and_its_absence_keeps_noise_below_black():
    codes = torch.tensor([[[0.0, 1200.0]]])
    assert black_level(codes, LEVELS, 1000.0).tolist() == [[[0.0, 1.0]]]
    unclipped = black_level(codes, LEVELS, 1000.0, clip=False)
    assert unclipped[0, 0, 0] < 0
    assert unclipped[0, 0, 1] > 1


def test_gradient():
    codes = torch.rand(2, 1, 3, 5, dtype=torch.float64) * 500 + 450
    assert torch.autograd.gradcheck(
        lambda c: black_level(c, LEVELS, 1000.0), codes.requires_grad_()
    )


def test_stage_reads_the_camera_and_leaves_the_codes():
    codes = torch.full((1, 2, 2), 550.0)
    frame = Frame(Camera(black_level=LEVELS, white_level=1000.0), codes=codes)
    out = BlackLevel()(frame)
    assert torch.equal(out.mosaic, black_level(codes, LEVELS, 1000.0))
    assert out.codes is codes
    assert frame.mosaic is None
    assert torch.equal(codes, torch.full((1, 2, 2), 550.0))


def test_refusals_and_repr():
    with pytest.raises(TypeError, match="int16"):
        black_level(torch.zeros(1, 2, 2, dtype=torch.int16), LEVELS, 1000.0)
    with pytest.raises(ValueError, match=r"below white 300\.0"):
        black_level(torch.zeros(1, 2, 2), LEVELS, 300.0)
    with pytest.raises(ValueError, match="4 levels"):
        black_level(torch.zeros(1, 2, 2), LEVELS[:3], 1000.0)
    assert repr(BlackLevel(clip=False)) == "BlackLevel(clip=False)"
