import sys

import pytest
import torch
from torch import nn
from torch.nn import functional

from isp_meta.camera import BAYER_PATTERNS, XTRANS, Camera
from isp_meta.data import sample_path
from isp_meta.frame import Frame
from isp_meta.io import read_raw
from isp_meta.stages import (
    BlackLevel,
    Demosaic,
    MosaicNoiseReduction,
    NoiseReduction,
    add_noise,
    mosaic_noise_reduction,
    noise_reduction,
)
from isp_meta.stages.noise_reduction import destabilize, stabilize, wavelet_shrinkage

ISO_100, ISO_800, ISO_6400 = (1.5e-4, 5e-8), (1e-3, 1e-6), (1e-2, 1e-4)


@pytest.fixture(scope="module")
def clean():
    """A photograph at half its size, hence nearly without noise: (3, 256, 384)."""
    frame = Demosaic("bilinear")(BlackLevel()(read_raw(sample_path())))
    return functional.avg_pool2d(frame.raw, 2)[:, 64:320, :384]


def mosaic_of(rgb, cfa="RGGB"):
    mosaic = torch.empty_like(rgb[..., :1, :, :])
    for place, color in enumerate(cfa):
        here = (..., slice(place // 2, None, 2), slice(place % 2, None, 2))
        mosaic[here] = rgb[..., "RGB".index(color), :, :].unsqueeze(-3)[here]
    return mosaic


def psnr(one, other):
    return -10 * (one - other).square().mean().log10().item()


def noisy_of(mosaic, noise):
    return add_noise(mosaic, *noise, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("noise", "gain", "left_alone"), [(ISO_100, 3.5, 50), (ISO_800, 5.5, 44), (ISO_6400, 7.5, 35)]
)
def test_gain_on_a_photograph_and_what_is_lost_without_noise(clean, noise, gain, left_alone):
    mosaic = mosaic_of(clean)
    noisy = noisy_of(mosaic, noise)
    out = mosaic_noise_reduction(noisy, *noise)
    assert psnr(out, mosaic) > psnr(noisy, mosaic) + gain
    assert psnr(mosaic_noise_reduction(mosaic, *noise), mosaic) > left_alone


@pytest.mark.parametrize("cfa", BAYER_PATTERNS)
def test_every_bayer_order_gains_as_much(clean, cfa):
    mosaic = mosaic_of(clean, cfa)
    noisy = noisy_of(mosaic, ISO_800)
    assert psnr(mosaic_noise_reduction(noisy, *ISO_800), mosaic) > psnr(noisy, mosaic) + 5.5


@pytest.mark.parametrize(("cfa", "channels"), [("W", 1), ("RGB", 3)])
def test_pictures_without_a_mosaic_gain_too(clean, cfa, channels):
    picture = clean[:channels]
    noisy = noisy_of(picture, ISO_800)
    stage = MosaicNoiseReduction()
    out = stage(Frame(Camera(cfa=cfa, noise=ISO_800), mosaic=noisy)).mosaic
    assert psnr(out, picture) > psnr(noisy, picture) + 4


def test_other_mosaics_are_refused_by_name():
    camera = Camera(cfa=XTRANS, noise=ISO_800)
    with pytest.raises(ValueError, match=f"MosaicNoiseReduction .* not {XTRANS}"):
        MosaicNoiseReduction()(Frame(camera, mosaic=torch.rand(1, 12, 12)))
    with pytest.raises(ValueError, match=r"\(\.\.\., 3, H, W\)"):
        mosaic_noise_reduction(torch.rand(1, 12, 12), *ISO_800, cfa="RGB")


@pytest.mark.parametrize("light", [0.0, 0.02, 0.1, 0.5])
@pytest.mark.parametrize("noise", [ISO_800, ISO_6400])
def test_flat_light_keeps_its_mean(light, noise):
    flat = torch.full((1, 256, 256), light, dtype=torch.float64)
    out = mosaic_noise_reduction(noisy_of(flat, noise), *noise)
    deviation = (noise[0] * light + noise[1]) ** 0.5
    assert out.std() < 0.25 * deviation
    # A tenth of the shot noise's quantum; its own square root would be off by a quarter.
    assert out.mean().item() == pytest.approx(light, abs=0.1 * noise[0])


def test_stabilized_noise_has_variance_one_and_the_inverse_is_exact():
    for shot, read in ((1e-3, 1e-6), (1e-2, 1e-4), (0.0, 1e-4)):
        shot, read = torch.tensor([shot, read], dtype=torch.float64)
        for light in (0.1, 0.3, 0.9):
            flat = torch.full((1, 300, 300), light, dtype=torch.float64)
            noisy = add_noise(flat, shot, read, torch.Generator().manual_seed(0))
            assert stabilize(noisy, shot, read).std().item() == pytest.approx(1, abs=0.06)
        light = torch.linspace(-0.5, 1.5, 101, dtype=torch.float64)
        back = destabilize(stabilize(light, shot, read), shot, read)
        torch.testing.assert_close(back, light, rtol=0, atol=1e-9)


def test_shrinkage_of_one_level_is_its_definition():
    plane = torch.rand(2, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    out = wavelet_shrinkage(plane, [0.1])
    signs = torch.tensor([[1, 1], [1, -1]], dtype=torch.float64)
    haar = torch.stack([torch.outer(a, b) for a in signs for b in signs]) / 2
    for y in range(3):
        for x in range(4):
            values = []
            for dy in (0, 1):  # The four 2x2 blocks that hold the pixel.
                for dx in (0, 1):
                    block = plane[:, y + dy : y + dy + 2, x + dx : x + dx + 2]
                    found = torch.einsum("kij,nij->nk", haar, block)
                    kept = found * (1 - (0.1 / found) ** 2).clamp(min=0)
                    kept[:, 0] = found[:, 0]
                    back = torch.einsum("kij,nk->nij", haar, kept)
                    values.append(back[:, 1 - dy, 1 - dx])
            torch.testing.assert_close(out[:, y, x], torch.stack(values).mean(0))


def test_no_strength_changes_nothing():
    mosaic, rgb = torch.rand(1, 40, 50), torch.rand(3, 40, 50)
    out = mosaic_noise_reduction(mosaic, 1e-3, 1e-6, strength=0.0)
    torch.testing.assert_close(out, mosaic, rtol=0, atol=2e-6)
    torch.testing.assert_close(noise_reduction(rgb, 0.0, 0.0), rgb, rtol=0, atol=1e-6)
    out = mosaic_noise_reduction(mosaic, 0.0, 0.0)
    torch.testing.assert_close(out, mosaic, rtol=0, atol=1e-5)


def test_tiles_show_no_seam(monkeypatch):
    module = sys.modules[noise_reduction.__module__]
    rgb = torch.rand(2, 3, 70, 90, dtype=torch.float64)
    mosaic = rgb[:, :1].contiguous()
    whole = noise_reduction(rgb, 0.1, 0.2), mosaic_noise_reduction(mosaic, *ISO_6400)
    monkeypatch.setattr(module, "_TILE", (16, 22))
    for dtype, error in ((torch.float64, 1e-9), (torch.float32, 1e-4)):
        parts = (
            noise_reduction(rgb.to(dtype), 0.1, 0.2),
            mosaic_noise_reduction(mosaic.to(dtype), *ISO_6400),
        )
        for part, all_of_it in zip(parts, whole, strict=True):
            assert part.dtype == dtype
            torch.testing.assert_close(part.double(), all_of_it, rtol=0, atol=error)


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (5, 4)])
def test_small_pictures_and_batches(size):
    mosaic, rgb = torch.rand(2, 1, *size), torch.rand(2, 3, *size)
    kept = mosaic.clone(), rgb.clone()
    out = mosaic_noise_reduction(mosaic, *ISO_800), noise_reduction(rgb, 0.02, 0.05)
    assert (out[0].shape, out[1].shape) == (mosaic.shape, rgb.shape)
    torch.testing.assert_close(out[0][1], mosaic_noise_reduction(mosaic[1], *ISO_800))
    torch.testing.assert_close(out[1][1], noise_reduction(rgb[1], 0.02, 0.05))
    assert torch.equal(mosaic, kept[0])
    assert torch.equal(rgb, kept[1])
    flat = torch.full((1, *size), 0.3)
    torch.testing.assert_close(mosaic_noise_reduction(flat, *ISO_800), flat)


@pytest.mark.parametrize("size", [(1, 1), (3, 4)])
def test_gradients(size):
    generator = torch.Generator().manual_seed(0)
    mosaic = torch.rand(1, *size, dtype=torch.float64, generator=generator) + 0.1
    rgb = torch.rand(3, *size, dtype=torch.float64, generator=generator)
    numbers = [torch.tensor(v, dtype=torch.float64) for v in (1e-2, 1e-3, 0.7)]
    arguments = [value.requires_grad_() for value in (mosaic, *numbers)]
    assert torch.autograd.gradcheck(mosaic_noise_reduction, arguments)
    strengths = [torch.tensor(v, dtype=torch.float64) for v in (0.05, 0.1)]
    arguments = [value.requires_grad_() for value in (rgb, *strengths)]
    assert torch.autograd.gradcheck(noise_reduction, arguments)


def test_gradient_is_finite_where_all_is_flat_and_dark():
    mosaic = torch.zeros(1, 8, 8, requires_grad=True)
    shot, read = torch.zeros((), requires_grad=True), torch.zeros((), requires_grad=True)
    mosaic_noise_reduction(mosaic, shot, read).sum().backward()
    rgb = torch.zeros(3, 8, 8, requires_grad=True)
    noise_reduction(rgb, 0.1, 0.1).sum().backward()
    assert all(bool(v.grad.isfinite().all()) for v in (mosaic, shot, read, rgb))


def test_luma_and_chroma_are_apart(clean):
    noise = 0.03 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    gray = noise.mean(0, keepdim=True).expand_as(noise)
    for kind, luma, chroma in ((gray, 0.05, 0.0), (noise - gray, 0.0, 0.03)):
        noisy = clean + kind
        assert psnr(noise_reduction(noisy, luma, chroma), clean) > psnr(noisy, clean) + 4
        # The other strength leaves such noise exactly where it is.
        left, without = (noise_reduction(p, chroma, luma) for p in (noisy, clean))
        torch.testing.assert_close(left - without, kind, rtol=0, atol=1e-5)
    saturated = clean.new_zeros(3, 32, 32)
    saturated[0, :, 16:] = 1.0
    out = NoiseReduction(0.02, 0.02)(Frame(rgb=saturated)).rgb
    assert (out - saturated).abs().max() < 0.01


def test_gain_on_a_demosaiced_picture(clean):
    mosaic = mosaic_of(clean)
    frames = [Demosaic()(Frame(mosaic=m)).raw.sqrt() for m in (mosaic, noisy_of(mosaic, ISO_800))]
    out = NoiseReduction(luma=0.025, chroma=0.02)(Frame(rgb=frames[1])).rgb
    assert psnr(out, frames[0]) > psnr(frames[1], frames[0]) + 3


def test_under_inference_mode_and_learning():
    mosaic = torch.rand(1, 20, 20)
    stage = MosaicNoiseReduction(shot=1e-3, read=1e-6)
    expected = stage(Frame(mosaic=mosaic)).mosaic
    with torch.inference_mode():
        assert torch.equal(stage(Frame(mosaic=mosaic)).mosaic, expected)
    learned = MosaicNoiseReduction(nn.Parameter(torch.tensor(1.0)), 1e-3, 1e-6)
    out = learned(Frame(mosaic=mosaic)).mosaic
    torch.testing.assert_close(out, expected)
    out.square().sum().backward()
    assert learned.strength.grad != 0


def test_noise_is_the_camera_s_unless_given():
    frame = Frame(Camera(noise=ISO_800), mosaic=torch.rand(1, 20, 20))
    out = MosaicNoiseReduction(0.5)(frame).mosaic
    assert torch.equal(out, mosaic_noise_reduction(frame.mosaic, *ISO_800, 0.5))
    bound = MosaicNoiseReduction(0.5).bind(frame.camera)
    assert bound.arguments() == pytest.approx({"strength": 0.5, "shot": 1e-3, "read": 1e-6})
    unknown = frame.replace(camera=Camera())
    torch.testing.assert_close(bound(unknown).mosaic, out)
    with pytest.raises(ValueError, match="MosaicNoiseReduction: the camera states no noise"):
        MosaicNoiseReduction()(unknown)


def test_refusals_and_repr():
    with pytest.raises(ValueError, match=r"\(3, 4, 4\)"):
        mosaic_noise_reduction(torch.zeros(3, 4, 4), *ISO_800)
    with pytest.raises(ValueError, match=r"\(1, 4, 4\)"):
        noise_reduction(torch.zeros(1, 4, 4), 0.1, 0.1)
    with pytest.raises(ValueError, match="strength must be 0 to 4"):
        MosaicNoiseReduction(5.0)
    with pytest.raises(ValueError, match="chroma must be 0 to 1"):
        NoiseReduction(chroma=-1.0)
    assert repr(MosaicNoiseReduction()) == "MosaicNoiseReduction(strength=1.0)"
    assert repr(NoiseReduction(0.25, 0.5)) == "NoiseReduction(luma=0.25, chroma=0.5)"
