import pytest
import torch

from isp_meta.errors import PipelineOrderError
from isp_meta.frame import Frame
from isp_meta.samplers import RandomSampler

RAW = torch.rand(3, 40, 32, generator=torch.Generator().manual_seed(0))
FRAME = Frame(raw=RAW, srgb=RAW)


@pytest.mark.parametrize(
    ("size", "fraction", "kept"),
    [
        ((1, 1), 1 / 64, 1),
        ((1, 7), 1 / 64, 1),
        ((40, 32), 1 / 64, 20),
        ((40, 32), 0.5, 640),
        ((40, 32), 1.0, 1280),
        ((9, 1), 0.5, 4),
    ],
)
def test_keeps_the_fraction_and_never_nothing(size, fraction, kept):
    raw = RAW[:, : size[0], : size[1]]
    samples = RandomSampler(fraction=fraction)(Frame(raw=raw, srgb=raw))
    assert len(samples) == kept
    assert (samples.height, samples.width, samples.cell) == (*size, 0)
    assert torch.equal(samples.value, raw.flatten(1)[:, samples.index].T)


def test_the_seed_alone_decides_and_the_global_generator_is_left_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = RandomSampler(seed=3)(FRAME)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(RandomSampler(seed=3)(FRAME).index, first.index)
    assert not torch.equal(RandomSampler(seed=4)(FRAME).index, first.index)


def test_every_pixel_is_as_likely():
    hits = sum(RandomSampler(seed, fraction=0.25)(FRAME).mask() for seed in range(400))
    # Binomial with mean 100, deviation 8.7: six of them are not left by chance in 1280 pixels.
    assert float((hits - 100).abs().max()) < 52
    rows, columns = hits[0].mean(1), hits[0].mean(0)
    assert float((rows - 100).abs().max()) < 10
    assert float((columns - 100).abs().max()) < 10


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.01, float("nan")])
def test_refuses_a_fraction_out_of_range(fraction):
    with pytest.raises(ValueError, match="fraction"):
        RandomSampler(fraction=fraction)


def test_asks_for_raw_by_name():
    with pytest.raises(PipelineOrderError, match=r"RandomSampler needs frame\.raw"):
        RandomSampler()(Frame(srgb=RAW))


def test_shows_its_arguments():
    assert repr(RandomSampler(7, 0.5)) == "RandomSampler(seed=7, fraction=0.5)"
