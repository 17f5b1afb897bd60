"""The adaptive filter against its definition."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from isp_meta.ops import adaptive_filter, filter_features, reference

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
TOLERANCE = {torch.float32: 2e-6, torch.float64: 1e-13}
# One pixel, one line, an odd width, one more than a tile, more rows than a thread takes.
SIZES = [(1, 1), (1, 13), (5, 7), (9, 65), (70, 18), (21, 150)]
LIMITS = (1.0, 0.6)
native = torch.ops.isp_meta


def case(
    height: int, width: int, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> tuple[Tensor, Tensor, Tensor]:
    """Raw, a picture of which some is clipped and some is even, weights."""
    generator = torch.Generator().manual_seed(100 * height + width)
    raw, picture = torch.rand(2, 3, height, width, generator=generator, dtype=torch.float64) ** 2
    picture[:, : height // 3] = 0.3
    picture[:, :, width // 2 :] *= 0.9
    weights = torch.randn(4, 6, 3, 72, generator=generator, dtype=torch.float64) / 16
    return raw.to(device, dtype), picture.to(device, dtype), weights.to(device, dtype)


@pytest.mark.parametrize("device", DEVICES)
class TestAdaptiveFilter:
    @pytest.mark.parametrize("dtype", TOLERANCE)
    @pytest.mark.parametrize("size", SIZES, ids=str)
    def test_values(self, size: tuple[int, int], dtype: torch.dtype, device: str) -> None:
        raw, picture, weights = case(*size, dtype, device)
        found = adaptive_filter(raw, picture, weights, *LIMITS)
        expected = reference.adaptive_filter(raw, picture, weights, *LIMITS)
        torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE[dtype])
        assert min(size) == 1 or float((found - raw).abs().max()) > 0.05

    @pytest.mark.parametrize("dtype", TOLERANCE)
    @pytest.mark.parametrize("size", SIZES, ids=str)
    def test_features(self, size: tuple[int, int], dtype: torch.dtype, device: str) -> None:
        raw, picture, _ = case(*size, dtype, device)
        index = torch.arange(size[0] * size[1], device=device)[1::3]
        found, kinds = filter_features(raw, picture, index, *LIMITS)
        expected, true_kinds = reference.filter_features(raw, picture, index, *LIMITS)
        torch.testing.assert_close(found, expected, rtol=0, atol=10 * TOLERANCE[dtype])
        assert torch.equal(kinds, true_kinds)

    def test_all_kinds_and_phases_are_told_apart(self, device: str) -> None:
        raw = case(16, 60, device=device)[0].clamp(0.2, 0.8)
        # Bands: dark, bright, dark and uneven, the same brighter, clipped, clipped and uneven.
        uneven = torch.rand(1, 16, 10, generator=torch.Generator().manual_seed(0)).sub(0.5) / 2
        level = torch.tensor([0.2, 0.6, 0.2, 0.6, 1.0, 1.0]).repeat_interleave(10)
        picture = level.expand(3, 16, 60).clone()
        for band in (2, 3, 5):
            picture[:, :, 10 * band : 10 * band + 10] += uneven
        picture = picture.clamp(0, 1).to(device)
        kinds = filter_features(raw, picture, torch.arange(960, device=device), *LIMITS)[1]
        assert kinds.unique().tolist() == [0, 1, 2, 3, 4, 5]
        for phase in range(4):
            for kind in range(6):
                weights = torch.zeros(4, 6, 3, 72, device=device)
                weights[phase, kind] = 0.3
                changed = (adaptive_filter(raw, picture, weights, *LIMITS) - raw).abs() > 1e-6
                y, x = changed.any(0).nonzero().T
                assert len(y) > 0
                assert set((2 * (y % 2) + x % 2).tolist()) == {phase}
                assert set(kinds[60 * y + x].tolist()) == {kind}

    def test_a_gain_is_limited(self, device: str) -> None:
        raw, picture, weights = case(20, 30, device=device)
        found = adaptive_filter(raw, picture, 1e6 * weights, *LIMITS)
        low, high = ((raw + 1e-3) * factor - 1e-3 for factor in (0.5, 2))
        ends = torch.stack([low.clamp(min=0), high.clamp(max=1)])
        assert float((found - ends).abs().amin(0).max()) < 1e-6

    def test_threads_change_no_bit(self, device: str) -> None:
        raw, picture, weights = case(200, 90, device=device)
        count, seen = torch.get_num_threads(), []
        try:
            for threads in (1, 3):
                torch.set_num_threads(threads)
                seen.append(adaptive_filter(raw, picture, weights, *LIMITS))
        finally:
            torch.set_num_threads(count)
        assert torch.equal(*seen)

    def test_is_a_good_citizen(self, device: str) -> None:
        raw, picture, weights = case(6, 9, device=device)
        torch.library.opcheck(native.adaptive_filter.default, (raw, picture, weights, *LIMITS))
        index = torch.arange(0, 54, 5, device=device)
        torch.library.opcheck(native.filter_features.default, (raw, picture, index, *LIMITS))
        raw.requires_grad_()
        with pytest.raises(NotImplementedError, match="no gradient"):
            adaptive_filter(raw, picture, weights, *LIMITS).sum().backward()


def test_layouts_do_not_matter() -> None:
    raw, picture, weights = case(20, 30)
    crossed = [t.transpose(1, 2).contiguous().transpose(1, 2) for t in (raw, picture)]
    assert torch.equal(
        adaptive_filter(*crossed, weights, *LIMITS), adaptive_filter(raw, picture, weights, *LIMITS)
    )


def test_edges_go_on_as_they_are() -> None:
    raw, picture, weights = case(12, 10)
    wide = [torch.nn.functional.pad(t[None], (4,) * 4, mode="replicate")[0] for t in (raw, picture)]
    whole = adaptive_filter(*wide, weights, *LIMITS)[:, 4:-4, 4:-4]
    torch.testing.assert_close(adaptive_filter(raw, picture, weights, *LIMITS), whole)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda raw, picture, weights: (raw[:, 1:], picture, weights), ValueError, "raw must"),
        (lambda raw, picture, weights: (raw, picture[:2], weights), ValueError, "picture must"),
        (lambda raw, picture, weights: (raw, picture, weights[1:]), ValueError, "weights must"),
        (lambda raw, picture, weights: (raw.double(), picture, weights), TypeError, "raw is"),
        (lambda raw, picture, weights: (raw, picture, weights.double()), TypeError, "weights is"),
        (lambda raw, picture, weights: (raw, picture[0], weights), ValueError, "picture must"),
    ],
)
def test_wrong_arguments_are_refused(change, error, text) -> None:
    raw, picture, weights = case(4, 5)
    with pytest.raises(error, match=text):
        adaptive_filter(*change(raw, picture, weights), *LIMITS)


@pytest.mark.parametrize("index", [[3, 1], [-1, 2], [0, 20]])
def test_a_wrong_index_is_refused(index) -> None:
    raw, picture, _ = case(4, 5)
    with pytest.raises(RuntimeError, match="index must"):
        filter_features(raw, picture, torch.tensor(index), *LIMITS)
