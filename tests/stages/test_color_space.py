import pytest
import torch
from torch import nn

from isp_meta.camera import Camera, ColorProfile
from isp_meta.frame import Frame
from isp_meta.stages import CameraToWorking, WhiteBalance, WorkingToDisplay, compress_gamut
from isp_meta.stages.color_space import camera_to_working, luminance, working_to_display

TUNGSTEN = (1.8331, -0.8166, -0.2478, 0.1391, 0.8961, -0.0367, 0.0822, 0.0662, 0.2597)
DAYLIGHT = (1.0344, -0.4210, -0.0620, -0.2315, 1.0625, 0.1948, 0.0093, 0.1058, 0.5541)
CAMERA = Camera(
    as_shot_neutral=(0.522449, 1.0, 0.571429),
    profile=ColorProfile(illuminants=(3, 23), color_matrices=(TUNGSTEN, DAYLIGHT)),
)
SPACES = ["srgb", "display-p3", "rec2020"]


def picture(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gray(level=0.4):
    return torch.full((3, 2, 3), level, dtype=torch.float64)


@pytest.mark.parametrize("working", ["prophoto", "srgb", "rec2020", "display-p3"])
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("gamut", ["clip", "compress", "keep"])
def test_white_and_gray_stay_all_the_way(working, space, gamut):
    for level in (0.0, 0.4, 1.0):
        frame = CameraToWorking(working)(Frame(CAMERA, rgb=gray(level)))
        torch.testing.assert_close(frame.rgb, gray(level), rtol=0, atol=1e-9)
        done = WorkingToDisplay(space, working, gamut)(frame)
        torch.testing.assert_close(done.rgb, gray(level), rtol=0, atol=1e-9)
        assert done.space == space


def test_xyz_as_the_working_space():
    frame = CameraToWorking("xyz", clip=False)(Frame(CAMERA, rgb=gray(1.0)))
    assert frame.rgb[:, 0, 0].tolist() == pytest.approx([0.9642, 1.0, 0.8249])
    done = WorkingToDisplay("srgb", "xyz")(frame)
    torch.testing.assert_close(done.rgb, gray(1.0), rtol=0, atol=1e-9)


def test_the_way_over_a_wide_space_is_the_direct_one():
    frame = Frame(CAMERA, rgb=0.3 + 0.2 * picture(3, 5, 6))
    direct = CameraToWorking("srgb", clip=False)(frame).rgb
    over = WorkingToDisplay(gamut="keep")(CameraToWorking(clip=False)(frame)).rgb
    torch.testing.assert_close(over, direct, rtol=0, atol=1e-12)


def test_a_chosen_light_changes_the_matrix():
    raw = Frame(CAMERA, raw=0.2 + 0.3 * picture(3, 4, 4))
    warm = WhiteBalance(kelvin=3000.0)(raw)
    assert warm.camera.neutral is not None
    assert not torch.allclose(camera_to_working(warm.camera), camera_to_working(CAMERA), atol=1e-3)
    expected = CameraToWorking(matrix=camera_to_working(warm.camera))(warm).rgb
    torch.testing.assert_close(CameraToWorking()(warm).rgb, expected)


def test_bound_stages_ask_no_camera():
    frame = Frame(CAMERA, rgb=picture(3, 4, 4))
    for stage in (CameraToWorking(), WorkingToDisplay("rec2020", gamut="compress")):
        bound = stage.bind(CAMERA)
        assert torch.equal(bound(frame.replace(camera=Camera())).rgb, stage(frame).rgb)
        again = type(stage)(**bound.arguments())
        torch.testing.assert_close(again(frame).rgb, stage(frame).rgb)
        bound.learn("matrix")
        assert [name for name, _ in bound.named_parameters()] == ["matrix"]


def test_matrix_is_learned():
    stage = CameraToWorking(matrix=nn.Parameter(torch.eye(3)), clip=False)
    stage(Frame(rgb=torch.ones(3, 2, 2))).rgb.sum().backward()
    assert stage.matrix.grad.flatten().tolist() == [4.0] * 9


def test_compression_keeps_what_is_inside_luminance_and_hue():
    weights = luminance("srgb")
    inside = picture(3, 6, 6)
    torch.testing.assert_close(compress_gamut(inside, weights), inside, rtol=0, atol=1e-12)
    outside = 3 * picture(2, 3, 20, 20, seed=1) - 1
    found = compress_gamut(outside, weights)
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    before, after = (torch.einsum("c,bchw->bhw", weights, rgb) for rgb in (outside, found))
    torch.testing.assert_close(after, before.clamp(0, 1), rtol=0, atol=1e-12)
    between = (before > 0) & (before < 1)
    chroma, kept = outside - before[:, None], found - after[:, None]
    parallel = torch.cosine_similarity(chroma, kept, dim=1)[between & (kept.norm(dim=1) > 1e-6)]
    assert len(parallel) > 300
    torch.testing.assert_close(parallel, torch.ones_like(parallel), rtol=0, atol=1e-9)


def test_gradients_are_right_and_finite_at_gray_and_beyond():
    weights, matrix = luminance("srgb"), picture(3, 3).requires_grad_()
    rgb = (2 * picture(3, 2, 3, seed=2) - 0.5).requires_grad_()
    for gamut in ("compress", "keep"):
        assert torch.autograd.gradcheck(
            lambda r, m, g=gamut: working_to_display(r, m, weights, g), (rgb, matrix)
        )
    edge = torch.tensor([0.0, 0.5, 1.0, 2.0, -1.0]).expand(3, 1, 5).clone().requires_grad_()
    compress_gamut(edge, weights).sum().backward()
    assert edge.grad.isfinite().all()


def test_refusals():
    with pytest.raises(ValueError, match="'adobe'"):
        CameraToWorking("adobe")
    with pytest.raises(ValueError, match="'prophoto'"):
        WorkingToDisplay("prophoto")
    with pytest.raises(ValueError, match="'lab'"):
        WorkingToDisplay(working="lab")
    with pytest.raises(ValueError, match="'squeeze'"):
        WorkingToDisplay(gamut="squeeze")
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        CameraToWorking(matrix=[[1.0, 0.0], [0.0, 1.0]])


def test_repr():
    assert repr(CameraToWorking()) == (
        "CameraToWorking(space='prophoto', matrix=camera, clip=True)"
    )
    assert "gamut='clip'" in repr(WorkingToDisplay())
