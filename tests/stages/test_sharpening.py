import pytest
import torch
from torch import nn
from torch.export import Dim, export

from isp_meta.frame import Frame
from isp_meta.stages import Sharpening, sharpen


def step(low=0.3, high=0.6, width=40):
    """A vertical edge, blurred over a few pixels."""
    place = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    return (low + (high - low) * torch.sigmoid(1.5 * place)).expand(3, 20, width)


def test_amount_zero_is_the_identity():
    picture = torch.rand(2, 3, 50, 60)
    assert torch.equal(sharpen(picture, 0.0), picture)
    assert torch.equal(Sharpening(amount=0.0)(Frame(srgb=picture)).srgb, picture)


def test_an_even_picture_stays():
    picture = torch.full((3, 9, 9), 0.4, dtype=torch.float64)
    torch.testing.assert_close(sharpen(picture, 3.0), picture, rtol=0, atol=1e-12)


def test_the_formula_without_limits():
    torch.manual_seed(0)
    picture = 0.5 + 0.1 * torch.rand(3, 30, 30, dtype=torch.float64)
    sharp = sharpen(picture, 1.5, radius=1.1, threshold=0.03, overshoot=1.0)
    luma = torch.tensordot(torch.tensor([0.2126, 0.7152, 0.0722]).double(), picture, 1)
    place = torch.arange(-5, 6, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (place / 1.1) ** 2)
    kernel = torch.outer(kernel, kernel) / kernel.sum() ** 2
    inner = luma[10:21, 10:21]
    blurred = (luma[5:26, 5:26].unfold(0, 11, 1).unfold(1, 11, 1) * kernel).sum((-1, -2))
    difference = inner - blurred
    delta = 1.5 * difference**3 / (difference**2 + 0.03**2)
    torch.testing.assert_close(
        sharp[:, 10:21, 10:21], picture[:, 10:21, 10:21] + delta, rtol=0, atol=1e-5
    )


def test_edges_get_steeper_and_halos_stay_within_their_limit():
    picture = step()
    for overshoot in (0.0, 0.02):
        sharp = sharpen(picture, 4.0, radius=1.0, overshoot=overshoot)
        assert float(sharp.diff().max()) > 1.3 * float(picture.diff().max())
        assert float(sharp.max()) <= 0.6 + overshoot + 1e-9
        assert float(sharp.min()) >= 0.3 - overshoot - 1e-9
    free = sharpen(picture, 4.0, radius=1.0, overshoot=1.0)
    assert float(free.max()) > 0.63


def test_the_threshold_spares_noise():
    torch.manual_seed(1)
    noise = 0.5 + 0.004 * torch.randn(3, 64, 64)
    louder = float(sharpen(noise, 1.0, overshoot=1.0).std() / noise.std())
    spared = float(sharpen(noise, 1.0, threshold=0.02, overshoot=1.0).std() / noise.std())
    assert louder > 1.3
    assert spared < 1.05


def test_color_differences_stay():
    torch.manual_seed(2)
    picture = torch.rand(3, 20, 20, dtype=torch.float64)
    sharp = sharpen(picture, 2.0, clip=False)
    torch.testing.assert_close(sharp - sharp[1], picture - picture[1])
    assert not torch.allclose(sharp, picture, atol=0.01)


def test_the_border_is_repeated():
    picture = torch.rand(3, 12, 12, dtype=torch.float64)
    larger = torch.nn.functional.pad(picture[None], (7,) * 4, mode="replicate")[0]
    inside = sharpen(larger, 1.0)[:, 7:-7, 7:-7]
    torch.testing.assert_close(sharpen(picture, 1.0), inside)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_size_dtype_and_batch(size, dtype):
    picture = torch.rand(2, 3, *size, dtype=dtype)
    kept = picture.clone()
    sharp = sharpen(picture, 2.0, radius=1.5)
    assert sharp.shape == picture.shape
    assert sharp.dtype == dtype
    assert 0 <= float(sharp.min()) <= float(sharp.max()) <= 1
    assert torch.equal(picture, kept)
    torch.testing.assert_close(sharp[1], sharpen(picture[1], 2.0, radius=1.5))


def test_bands_give_what_the_whole_picture_gives():
    picture = torch.rand(3, 400, 350, dtype=torch.float64)
    whole = sharpen(picture.requires_grad_(), 1.0).detach()
    with torch.no_grad():
        banded = sharpen(picture, 1.0)
    torch.testing.assert_close(banded, whole, rtol=0, atol=1e-14)


def test_gradient_of_picture_and_every_number():
    torch.manual_seed(3)
    picture = (0.2 + 0.6 * torch.rand(1, 3, 4, 5, dtype=torch.float64)).requires_grad_()
    numbers = [0.7, 0.9, 0.05, 0.04]
    leaves = [torch.tensor(n, dtype=torch.float64, requires_grad=True) for n in numbers]
    assert torch.autograd.gradcheck(lambda p, *n: sharpen(p, *n, clip=False), (picture, *leaves))


def test_an_even_picture_has_a_finite_gradient():
    picture = torch.full((3, 8, 8), 0.5, requires_grad=True)
    threshold = torch.zeros((), requires_grad=True)
    sharpen(picture, 1.0, threshold=threshold).sum().backward()
    assert bool(torch.isfinite(picture.grad).all())
    assert bool(torch.isfinite(threshold.grad))


def test_the_stage_is_learned_and_made_again():
    torch.manual_seed(4)
    stage = Sharpening(field="rgb")
    stage.learn()
    rgb = torch.rand(3, 20, 20) * 2
    stage(Frame(rgb=rgb)).rgb.square().sum().backward()
    assert all(float(n.grad) != 0 for n in stage.parameters())
    assert len(list(stage.parameters())) == 4
    again = Sharpening(**stage.arguments())
    sharp = again(Frame(rgb=rgb)).rgb
    assert torch.equal(sharp, stage(Frame(rgb=rgb)).rgb.detach())
    assert float(sharp.max()) > 1


def test_the_exported_graph_takes_other_sizes():
    class Function(nn.Module):
        def forward(self, picture):
            return sharpen(picture, 1.0, threshold=0.02)

    sizes = {1: Dim("height", min=2), 2: Dim("width", min=2)}
    graph = export(Function(), (torch.rand(3, 20, 30),), dynamic_shapes=(sizes,)).module()
    picture = torch.rand(3, 41, 17)
    torch.testing.assert_close(graph(picture), sharpen(picture, 1.0, threshold=0.02))


def test_refusals_and_repr():
    with pytest.raises(ValueError, match=r"not \(1, 2, 2\)"):
        sharpen(torch.zeros(1, 2, 2), 1.0)
    with pytest.raises(ValueError, match=r"radius must be 0\.3 to 2 pixels"):
        Sharpening(radius=9.0)
    with pytest.raises(ValueError, match="not 'raw'"):
        Sharpening(field="raw")
    assert Sharpening().needs == Sharpening().gives == {"srgb"}
    assert repr(Sharpening()) == (
        "Sharpening(amount=1, radius=0.8, threshold=0.02, overshoot=0.03, field='srgb')"
    )
