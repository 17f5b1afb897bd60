import pytest
import torch

from isp_meta.errors import PipelineOrderError
from isp_meta.frame import Frame
from isp_meta.ops import reference
from isp_meta.samplers import SuperpixelSampler, UniformSampler
from isp_meta.samplers.superpixel import superpixel_features


def textured(height, width, seed=0):
    """Smooth blobs with hard edges, raw a darker power of sRGB."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(3, height + 8, width + 8, generator=generator)
    smooth = torch.nn.functional.avg_pool2d(noise[None], 9, stride=1)[0]
    srgb = ((smooth - 0.5) * 3 + 0.5 + 0.3 * (smooth[:1] > 0.5)).clamp(0, 1)
    return Frame(raw=0.6 * srgb**2.2, srgb=srgb)


def with_line(width, bright_raw=0.8, bright_srgb=0.9):
    """Dark, but for a bright line that the middles of 8x8 cells miss."""
    srgb, raw = torch.full((3, 64, 64), 0.2), torch.full((3, 64, 64), 0.05)
    srgb[:, :, 15 : 15 + width] = bright_srgb
    raw[:, :, 15 : 15 + width] = bright_raw
    return Frame(raw=raw, srgb=srgb)


@pytest.mark.parametrize("alpha", [0.0, 0.2, 1.0])
def test_squared_feature_distance_is_the_summand_of_eq_1(alpha):
    frame, cell, m = textured(11, 13), 4, 10.0
    features = superpixel_features(frame.raw.double(), frame.srgb.double(), cell, alpha, m)
    for (r, c), (s, d) in [((0, 0), (10, 12)), ((3, 7), (4, 7)), ((9, 1), (2, 11))]:
        color = (255 * (frame.srgb[:, r, c] - frame.srgb[:, s, d]).double()).square().sum()
        light = (255 * (frame.raw[:, r, c] - frame.raw[:, s, d]).double()).square().sum()
        place = m**2 / cell**2 * ((r - s) ** 2 + (c - d) ** 2)
        expected = alpha * color + (1 - alpha) * light + place
        got = (features[:, r, c] - features[:, s, d]).square().sum()
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("iterations", [1, 3])
def test_samples_are_those_of_soft_slic_written_in_plain_pytorch(iterations):
    frame, cell = textured(21, 26), 6
    sampler = SuperpixelSampler(cell, iterations)
    shape = (cell, sampler.alpha, sampler.m)
    features = superpixel_features(frame.raw, frame.srgb, *shape)[None].double()
    association = torch.zeros(1, 9, 21, 26, dtype=torch.float64)
    association[:, 4] = 1
    for _ in range(iterations):
        centers = reference.aggregate(features, association, cell)
        association = reference.associate_features(features, centers, cell, sampler.scale)
    expected = reference.argmax_pool(association, cell).flatten().unique()
    double = frame.replace(raw=frame.raw.double(), srgb=frame.srgb.double())
    samples = sampler(double)
    assert samples.index.tolist() == expected.tolist()


@pytest.mark.parametrize("size", [(1, 1), (1, 17), (17, 1), (3, 5), (13, 29), (40, 33)])
@pytest.mark.parametrize("cell", [1, 4, 8, 64])
@pytest.mark.parametrize("content", ["textured", "black", "white"])
def test_keeps_at_most_one_pixel_a_cell_within_its_nine_cells(size, cell, content):
    frame = textured(*size)
    if content != "textured":
        flat = torch.full((3, *size), float(content == "white"))
        frame = Frame(raw=flat, srgb=flat)
    sampler = SuperpixelSampler(cell)
    samples = sampler(frame)
    rows, columns = -(-size[0] // cell), -(-size[1] // cell)
    assert 1 <= len(samples) <= rows * columns
    assert (samples.height, samples.width, samples.cell) == (*size, cell)
    assert torch.equal(samples.value, frame.raw.flatten(1)[:, samples.index].T)
    index = sampler._sample(frame.raw, frame.srgb)
    assert index.shape == (rows, columns)
    row, column = index // size[1] // cell, index % size[1] // cell
    assert bool((row - torch.arange(rows)[:, None]).abs().le(1).all())
    assert bool((column - torch.arange(columns)).abs().le(1).all())


@pytest.mark.parametrize("iterations", [1, 2, 3, 5])
@pytest.mark.parametrize("tile", [1, 17])
def test_tiles_give_the_samples_of_the_whole(iterations, tile, monkeypatch):
    # m / cell is a power of 2, so that positions are exact wherever a tile begins.
    frame = textured(103, 40)
    sampler = SuperpixelSampler(4, iterations, m=8.0, scale=0.01)
    whole = sampler(frame)
    monkeypatch.setattr(SuperpixelSampler, "_TILE", tile)
    assert sampler(frame).index.tolist() == whole.index.tolist()
    assert len(whole) > 200


@pytest.mark.parametrize("width", [1, 2])
def test_a_thin_bright_line_that_the_uniform_sampler_misses_is_kept(width):
    frame = with_line(width)
    assert int((UniformSampler()(frame).value > 0.5).sum()) == 0
    bright = SuperpixelSampler()(frame).value[:, 0] > 0.5
    assert int(bright.sum()) >= 8


def test_alpha_weighs_the_picture_against_raw():
    only_raw = with_line(2, bright_srgb=0.2)
    on_line = SuperpixelSampler(alpha=0.0)(only_raw).value[:, 0] > 0.5
    blind = SuperpixelSampler(alpha=1.0)(only_raw).value[:, 0] > 0.5
    assert int(on_line.sum()) >= 8
    assert int(blind.sum()) == 0


def test_compactness_squares_the_superpixels():
    frame = textured(64, 64)
    middle = UniformSampler()(frame).index.view(8, 8)

    def far(m):
        # A scale at which the association does not saturate to 1 over whole cells.
        index = SuperpixelSampler(m=m, scale=1e-4)._sample(frame.raw, frame.srgb)
        down, across = index // 64 - middle // 64, index % 64 - middle % 64
        return torch.maximum(down.abs(), across.abs())[1:-1, 1:-1]

    assert int(far(300.0).max()) <= 1
    assert int(far(1.0).max()) > 4


@pytest.mark.parametrize("change", [lambda t: t.mT.contiguous().mT, lambda t: t.double()])
def test_strides_and_precision_change_nothing(change):
    frame, sampler = textured(48, 40), SuperpixelSampler(scale=1e-3)
    other = frame.replace(raw=change(frame.raw), srgb=change(frame.srgb))
    assert sampler(other).index.tolist() == sampler(frame).index.tolist()


def test_mixed_precision_is_taken():
    frame = textured(16, 16)
    mixed = frame.replace(srgb=frame.srgb.double())
    assert SuperpixelSampler()(mixed).index.tolist() == SuperpixelSampler()(frame).index.tolist()


def test_needs_no_gradient():
    frame = textured(16, 16)
    frame = frame.replace(raw=frame.raw.requires_grad_(), srgb=frame.srgb.requires_grad_())
    assert not SuperpixelSampler()(frame).value.requires_grad


@pytest.mark.parametrize(
    "argument",
    [{"cell": 0}, {"iterations": 0}, {"alpha": -0.1}, {"alpha": 1.1}, {"m": -1.0}, {"scale": 0.0}],
)
def test_refuses_an_argument_out_of_range(argument):
    with pytest.raises(ValueError, match=next(iter(argument))):
        SuperpixelSampler(**argument)


@pytest.mark.parametrize("missing", ["raw", "srgb"])
def test_asks_for_what_is_missing_by_name(missing):
    with pytest.raises(PipelineOrderError, match=rf"SuperpixelSampler needs frame\.{missing}"):
        SuperpixelSampler()(textured(4, 4).replace(**{missing: None}))


def test_shows_its_arguments():
    shown = repr(SuperpixelSampler(4, 2, 0.5, 1.0, 0.02))
    assert shown == "SuperpixelSampler(cell=4, iterations=2, alpha=0.5, m=1, scale=0.02)"
