import math
import sys

import pytest
import torch

from isp_meta.data import sample_path
from isp_meta.frame import Frame
from isp_meta.io import decode_image, encode_jpeg, read_raw
from isp_meta.presets import minimal
from isp_meta.stages import Jpeg, jpeg

SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
MODES = ("differentiable", "exact")


@pytest.fixture(scope="module")
def picture():
    frame = read_raw(sample_path())
    detail = frame.replace(codes=frame.codes[:, 400:533, 600:745])
    return minimal()(detail).srgb


def noise(*shape, dtype=torch.float64):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def psnr(a, b):
    return -10 * math.log10(float((a - b).square().mean()))


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("quality", [1, 50, 95, 100])
def test_exact_is_what_a_file_gives(picture, quality, subsampling):
    data = encode_jpeg(picture, quality=quality, subsampling=subsampling)
    expected = decode_image(data, "memory").float() / 255
    assert torch.equal(jpeg(picture, quality, subsampling, "exact"), expected)


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("quality", [30, 75, 95, 100])
def test_differentiable_is_near_libjpeg(picture, quality, subsampling):
    near = jpeg(picture, quality, subsampling)
    exact = jpeg(picture, quality, subsampling, "exact")
    assert psnr(near, exact) > (41 if quality == 30 else 43)
    assert quality == 100 or psnr(near, exact) > psnr(picture, exact) + 6


def test_a_coarser_quality_loses_more(picture):
    losses = [psnr(jpeg(picture, quality), picture) for quality in (5, 20, 50, 80, 95)]
    assert losses == sorted(losses)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (8, 16), (17, 19)])
def test_any_size_and_batch(size, subsampling, mode):
    pictures = noise(2, 2, 3, *size)
    before = pictures.clone()
    coded = jpeg(pictures, 90, subsampling, mode)
    assert coded.shape == pictures.shape
    assert coded.dtype == pictures.dtype
    assert coded.min() >= 0
    assert coded.max() <= 1
    torch.testing.assert_close(coded[1, 0], jpeg(pictures[1, 0], 90, subsampling, mode))
    assert torch.equal(pictures, before)


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_bands_join_without_a_seam(monkeypatch, subsampling):
    picture = noise(2, 3, 75, 40)
    whole = jpeg(picture, 60, subsampling)
    monkeypatch.setattr(sys.modules["isp_meta.stages.rows"], "_BAND", 1)
    monkeypatch.setattr(sys.modules["isp_meta.stages.jpeg"], "_ROWS", 16)
    torch.testing.assert_close(jpeg(picture, 60, subsampling), whole, rtol=0, atol=1e-9)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_a_gray_field_stays(mode, subsampling):
    gray = torch.full((3, 11, 13), 128 / 255, dtype=torch.float64)
    torch.testing.assert_close(jpeg(gray, 75, subsampling, mode), gray, rtol=0, atol=1e-12)


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_gradient_to_the_picture(subsampling):
    srgb = (0.3 + 0.4 * noise(1, 3, 5, 6)).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: jpeg(s, 80.0, subsampling), srgb)


def test_exact_gradient_goes_straight_through():
    srgb, weight = noise(3, 9, 9).requires_grad_(), noise(3, 9, 9)
    (jpeg(srgb, 80, mode="exact") * weight).sum().backward()
    assert torch.equal(srgb.grad, weight)


def test_the_gradient_to_quality_is_that_of_the_loss_over_a_wide_step(picture):
    def loss(quality):
        return (jpeg(picture, quality) - picture).square().mean()

    quality = torch.tensor(60.0, requires_grad=True)
    loss(quality).backward()
    slope = float(loss(65.0) - loss(55.0)) / 10
    assert slope < 0
    assert 0.3 * slope > float(quality.grad) > 3 * slope


def test_learned_quality_is_a_parameter_within_its_range():
    stage = Jpeg(50.0).learn()
    stage(Frame(srgb=noise(3, 16, 16).float())).srgb.sum().backward()
    assert torch.isfinite(stage.quality.grad)
    for quality in (0.5, 101, float("nan")):
        with pytest.raises(ValueError, match="Jpeg: quality must be"):
            Jpeg(quality)


def test_the_differentiable_mode_traces():
    traced = torch.compile(jpeg, fullgraph=True, backend="eager")
    srgb = noise(3, 20, 23).float()
    torch.testing.assert_close(traced(srgb, 90.0, "4:2:0"), jpeg(srgb, 90.0, "4:2:0"))


def test_refusals_and_repr():
    with pytest.raises(TypeError, match="uint8"):
        jpeg(torch.zeros(3, 4, 4, dtype=torch.uint8))
    for shape in ((4, 4), (1, 4, 4), (3, 0, 4)):
        with pytest.raises(ValueError, match=r"srgb must be \(\.\.\., 3, H, W\)"):
            jpeg(torch.zeros(shape))
    with pytest.raises(ValueError, match="'4:1:1'"):
        Jpeg(subsampling="4:1:1")
    with pytest.raises(ValueError, match="'fast'"):
        Jpeg(mode="fast")
    with pytest.raises(ValueError, match="1 to 100, not 0"):
        jpeg(torch.zeros(3, 4, 4), 0, mode="exact")
    with pytest.raises(ValueError, match="at most 65500"):
        jpeg(torch.zeros(3, 1, 65501), mode="exact")
    with pytest.raises(ValueError, match="no gradient to quality"):
        Jpeg(90.0, mode="exact").learn()(Frame(srgb=torch.zeros(3, 4, 4)))
    assert repr(Jpeg(90)) == "Jpeg(quality=90, subsampling='4:4:4', mode='differentiable')"
