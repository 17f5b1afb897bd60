import numpy as np
import pytest
import torch
from torch import nn

from isp_meta.camera import Camera
from isp_meta.frame import Frame
from isp_meta.stages import ColorMatrix, camera_to_srgb, color_matrix

# ColorMatrix2 (D65) of a GoPro HERO6.
HERO6 = (1.0344, -0.4210, -0.0620, -0.2315, 1.0625, 0.1948, 0.0093, 0.1058, 0.5541)


def test_srgb_as_the_camera_needs_no_conversion():
    torch.testing.assert_close(
        camera_to_srgb(Camera().color_matrix), torch.eye(3).double(), rtol=0, atol=1e-3
    )


def test_agrees_with_the_chain_of_conversions_for_d65_light():
    """Camera color of an sRGB color under D65, white-balanced by D65's own camera color."""
    xyz_of = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    srgb = np.random.default_rng(0).random((3, 20))
    camera_of = np.array(HERO6).reshape(3, 3)
    camera = camera_of @ xyz_of @ srgb
    balanced = camera / (camera_of @ xyz_of @ np.ones((3, 1)))
    found = camera_to_srgb(HERO6).numpy() @ balanced
    np.testing.assert_allclose(found, srgb, atol=1e-12)


def test_white_and_grays_stay():
    gray = torch.linspace(0, 1, 12).view(1, 3, 4).expand(3, 3, 4)
    rgb = ColorMatrix()(Frame(Camera(color_matrix=HERO6), rgb=gray)).rgb
    torch.testing.assert_close(rgb, gray)


def test_scale_of_the_tag_does_not_matter():
    scaled = tuple(3.0 * value for value in HERO6)
    torch.testing.assert_close(camera_to_srgb(scaled), camera_to_srgb(HERO6))


def test_pixels_are_multiplied_one_by_one():
    rgb = torch.rand(2, 3, 3, 5, dtype=torch.float64)
    matrix = camera_to_srgb(HERO6)
    found = color_matrix(rgb, matrix, clip=False)
    torch.testing.assert_close(found, torch.einsum("ij,bjyx->biyx", matrix, rgb))
    assert torch.equal(color_matrix(rgb, matrix), found.clamp(0, 1))
    transposed = color_matrix(rgb.transpose(-1, -2), matrix, clip=False)
    torch.testing.assert_close(transposed, found.transpose(-1, -2))


def test_a_given_matrix_replaces_the_camera_s():
    swap = [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    rgb = torch.rand(3, 2, 2)
    stage = ColorMatrix(swap)
    assert torch.equal(stage(Frame(Camera(color_matrix=HERO6), rgb=rgb)).rgb, rgb.flip(0))
    assert list(stage.state_dict()) == ["matrix"]


def test_gradient_and_learning():
    rgb = torch.rand(3, 2, 3, dtype=torch.float64, requires_grad=True)
    matrix = camera_to_srgb(HERO6).requires_grad_()
    assert torch.autograd.gradcheck(lambda r, m: color_matrix(r, m, clip=False), (rgb, matrix))
    (learned,) = ColorMatrix(nn.Parameter(torch.eye(3))).parameters()
    assert learned.shape == (3, 3)


@pytest.mark.parametrize("bad", [(0.0,) * 9, (1.0,) * 9, tuple(-value for value in HERO6)])
def test_refuses_what_is_no_calibration(bad):
    with pytest.raises(ValueError, match="no camera calibration"):
        camera_to_srgb(bad)


def test_refuses_shapes_and_shows_itself():
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        ColorMatrix([[1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(ValueError, match=r"\(1, 2, 2\)"):
        color_matrix(torch.zeros(1, 2, 2), torch.eye(3))
    assert repr(ColorMatrix()) == "ColorMatrix(matrix=camera, clip=True)"
    assert "[1.0, 0.0, 0.0]" in repr(ColorMatrix(torch.eye(3), clip=False))


def test_bound_to_a_camera():
    frame = Frame(Camera(color_matrix=HERO6), rgb=torch.rand(3, 4, 5))
    bound = ColorMatrix().bind(frame.camera)
    assert torch.equal(bound(frame.replace(camera=Camera())).rgb, ColorMatrix()(frame).rgb)
    assert bound.learn().matrix.requires_grad
