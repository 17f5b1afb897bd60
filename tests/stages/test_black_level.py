import pytest
import torch
from torch import nn

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


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 5), (12, 18), (13, 20)])
@pytest.mark.parametrize("side", [1, 3, 4, 6, 8])
def test_of_any_period(side, height, width):
    codes = torch.rand(2, 1, height, width, dtype=torch.float64) * 1100
    black = torch.arange(side**2, dtype=torch.float64).view(side, side)
    rows, columns = torch.arange(height) % side, torch.arange(width) % side
    here = black[rows][:, columns]
    expected = (codes - here) / (1000.0 - here)
    levels = black.flatten().tolist()
    torch.testing.assert_close(
        black_level(codes, levels, 1000.0, clip=False), expected, rtol=0, atol=1e-15
    )


def test_of_a_level_for_each_color():
    codes = torch.rand(3, 5, 7, dtype=torch.float64) * 500 + 450
    camera = Camera(cfa="RGB", black_level=(10.0, 20.0, 30.0), white_level=1000.0)
    out = BlackLevel()(Frame(camera, codes=codes))
    for color, black in enumerate(camera.black_level):
        expected = (codes[color] - black) / (1000.0 - black)
        torch.testing.assert_close(out.mosaic[color], expected, rtol=0, atol=1e-15)
    torch.testing.assert_close(BlackLevel().invert(out).codes, codes, rtol=0, atol=1e-9)
    with pytest.raises(ValueError, match="3 black levels"):
        black_level(codes[:1], camera.black_level, 1000.0)


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


@pytest.mark.parametrize("size", [(3, 5), (4, 6)])
def test_gradient_of_all_arguments(size):
    codes = torch.rand(2, 1, *size, dtype=torch.float64) * 500 + 450
    black = torch.tensor(LEVELS, dtype=torch.float64)
    white = torch.tensor(1000.0, dtype=torch.float64)
    arguments = [value.requires_grad_() for value in (codes, black, white)]
    assert torch.autograd.gradcheck(black_level, arguments)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (3, 2), (4, 6)])
def test_inverse_and_batches(size):
    codes = torch.rand(2, 1, *size, dtype=torch.float64) * 500 + 450
    frame = Frame(Camera(black_level=LEVELS, white_level=1000.0), codes=codes)
    stage = BlackLevel()
    out = stage(frame)
    back = stage.invert(out.replace(codes=None)).codes
    torch.testing.assert_close(back, codes, rtol=0, atol=1e-9)
    assert torch.equal(out.mosaic[1], black_level(codes[1], LEVELS, 1000.0))


def test_given_levels_replace_the_camera_s_and_are_learned():
    frame = Frame(Camera(black_level=LEVELS, white_level=1000.0), codes=torch.full((1, 2, 2), 60.0))
    stage = BlackLevel(black=[10.0] * 4, white=110.0)
    assert torch.equal(stage(frame).mosaic, torch.full((1, 2, 2), 0.5))
    assert stage.arguments() == {"black": [10.0] * 4, "white": 110.0, "clip": True}
    learned = BlackLevel(black=nn.Parameter(torch.full((4,), 10.0)), white=110.0)
    learned(frame).mosaic.sum().backward()
    torch.testing.assert_close(learned.black.grad, torch.full((4,), -0.005))


def test_bound_stage_no_longer_asks():
    camera = Camera(black_level=LEVELS, white_level=1000.0)
    codes = torch.arange(16.0).view(1, 4, 4) * 60
    stage = BlackLevel(white=2000.0).bind(camera)
    assert stage.arguments() == {"black": list(LEVELS), "white": 2000.0, "clip": True}
    assert torch.equal(stage(Frame(codes=codes)).mosaic, black_level(codes, LEVELS, 2000.0))


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
    for levels in ((), LEVELS[:2], LEVELS[:3]):
        with pytest.raises(ValueError, match=f"{len(levels)} black levels"):
            black_level(torch.zeros(1, 2, 2), levels, 1000.0)
    for wrong in ({"black": 3.0}, {"white": [1.0, 2.0]}, {"black": LEVELS, "white": 300.0}):
        with pytest.raises(ValueError, match="BlackLevel"):
            BlackLevel(**wrong)
    assert repr(BlackLevel(clip=False)) == "BlackLevel(clip=False)"
    assert repr(BlackLevel(white=9.0)) == "BlackLevel(white=9.0, clip=True)"
