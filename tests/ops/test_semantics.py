"""What the ops promise beyond agreeing with the reference: borders, ties, NaN, gradients."""

from __future__ import annotations

import importlib
import math
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from isp_meta import ops
from isp_meta.ops import _native, reference
from isp_meta.ops.grid import grid_shape

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
NAN = float("nan")


def outside(height: int, width: int, cell: int, device: str) -> Tensor:
    cells = reference.neighbor_cells(torch.empty(height, width, device=device), cell)
    return cells == math.prod(grid_shape(height, width, cell))


@pytest.mark.parametrize("device", DEVICES)
class TestBorder:
    def test_sums_to_one_with_nothing_outside(self, device: str) -> None:
        q = ops.associate(torch.randn(2, 9, 21, 35, device=device), 8)
        torch.testing.assert_close(q.sum(1), torch.ones(2, 21, 35, device=device))
        assert bool((q[:, outside(21, 35, 8, device)] == 0).all())

    def test_unmasked_loses_mass_at_the_border(self, device: str) -> None:
        q = ops.associate(torch.zeros(1, 9, 16, 16, device=device), 8, mask_outside=False)
        torch.testing.assert_close(q, torch.full_like(q, 1 / 9))
        ones = torch.ones(1, 1, 2, 2, device=device)
        rebuilt = ops.distribute(ones, q, 8)
        torch.testing.assert_close(rebuilt, torch.full_like(rebuilt, 4 / 9))

    def test_nan_outside_is_never_read(self, device: str) -> None:
        nowhere = outside(21, 35, 8, device)
        z, f = torch.randn(1, 9, 21, 35, device=device), torch.randn(1, 2, 21, 35, device=device)
        q = ops.associate(z, 8)
        poisoned = q.masked_fill(nowhere, NAN)
        u = ops.aggregate(f, q, 8)
        assert torch.equal(ops.associate(z.masked_fill(nowhere, NAN), 8), q)
        assert torch.equal(ops.aggregate(f, poisoned, 8), u)
        assert torch.equal(ops.distribute(u, poisoned, 8), ops.distribute(u, q, 8))
        assert torch.equal(ops.argmax_pool(poisoned, 8), ops.argmax_pool(q, 8))

    def test_nan_inside_stays_with_its_pixel(self, device: str) -> None:
        z = torch.zeros(1, 9, 8, 8, device=device)
        z[0, 4, 3, 5] = NAN
        q = ops.associate(z, 4)
        nowhere = outside(8, 8, 4, device)[:, 3, 5]
        assert bool(q[0, ~nowhere, 3, 5].isnan().all())
        assert bool((q[0, nowhere, 3, 5] == 0).all())
        assert int(q.isnan().any(1).sum()) == 1

    def test_far_apart_logits(self, device: str) -> None:
        for dtype in (torch.float32, torch.float64):
            z = torch.zeros(1, 9, 1, 1, device=device, dtype=dtype)
            for low in (-0.0, -1e-6, -1.0, -50.0, -86.9, -87.1, -1e4, -1e30, -torch.inf):
                z[0, 4], z[0, 0] = 3.0, 3.0 + low
                q = ops.associate(z, 1, mask_outside=False)
                torch.testing.assert_close(q, z.softmax(1), rtol=4e-7, atol=1e-37)


@pytest.mark.parametrize("device", DEVICES)
class TestAggregate:
    def test_empty_cell_is_zero_with_finite_gradients(self, device: str) -> None:
        f = torch.randn(1, 2, 8, 8, device=device, requires_grad=True)
        q = torch.zeros(1, 9, 8, 8, device=device, requires_grad=True)
        u = ops.aggregate(f, q, 4)
        assert torch.equal(u, torch.zeros_like(u))
        for gradient in torch.autograd.grad(u.sum(), (f, q)):
            assert torch.equal(gradient, torch.zeros_like(gradient))

    def test_is_the_adjoint_of_distribute(self, device: str) -> None:
        q = torch.rand(1, 9, 21, 35, dtype=torch.float64, device=device)
        f = torch.randn(1, 2, 21, 35, dtype=torch.float64, device=device)
        u = torch.randn(1, 2, 3, 5, dtype=torch.float64, device=device)
        sums = torch.ops.isp_meta.accumulate(f, q, 8)
        torch.testing.assert_close((sums[:, :2] * u).sum(), (ops.distribute(u, q, 8) * f).sum())

    def test_long_sums_keep_their_precision(self, device: str) -> None:
        f = torch.rand(1, 1, 600, 600, device=device) + 1000
        q = torch.rand(1, 9, 600, 600, device=device)
        expected = reference.aggregate(f.double(), q.double(), 200)
        torch.testing.assert_close(ops.aggregate(f, q, 200).double(), expected, rtol=2e-6, atol=0)


@pytest.mark.parametrize("device", DEVICES)
class TestArgmaxPool:
    def test_ties_go_to_the_lowest_index(self, device: str) -> None:
        q = torch.full((1, 9, 12, 12), 0.5, device=device)
        assert ops.argmax_pool(q, 4).tolist() == [[[0, 0, 4], [0, 0, 4], [48, 48, 52]]]

    def test_nan_never_wins(self, device: str) -> None:
        q = torch.full((1, 9, 4, 4), NAN, device=device)
        assert ops.argmax_pool(q, 4).tolist() == [[[-1]]]
        q[0, 4, 2, 1] = 1e-30
        assert ops.argmax_pool(q, 4).tolist() == [[[9]]]

    def test_only_positive_values_win(self, device: str) -> None:
        q = torch.zeros(1, 9, 4, 8, device=device)
        q[0, 4, 1, 6] = -1.0
        assert ops.argmax_pool(q, 4).tolist() == [[[-1, -1]]]
        q[0, 4, 3, 7] = torch.inf
        assert ops.argmax_pool(q, 4).tolist() == [[[-1, 31]]]

    def test_random_ties_and_nan_as_the_reference(self, device: str) -> None:
        generator = torch.Generator().manual_seed(0)
        for shape in ((21, 35), (1, 9), (3, 2)):
            q = torch.randint(-1, 3, (2, 9, *shape), generator=generator).double()
            q = q.masked_fill(torch.rand(q.shape, generator=generator) < 0.2, NAN).to(device)
            assert torch.equal(ops.argmax_pool(q, 4), reference.argmax_pool(q, 4))


class Called(TorchDispatchMode):
    """Names of the operators that PyTorch calls."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("device", DEVICES)
class TestSampleMask:
    def association(self, device: str) -> Tensor:
        q = torch.rand(2, 9, 21, 35, generator=torch.Generator().manual_seed(1)).double()
        q[0, :, :8] = NAN
        q[1, :, 9, 9] = 2.0  # one pixel, chosen by all cells around it
        return q.to(device)

    @pytest.mark.parametrize("clip", [None, 1.0])
    def test_gradient_goes_straight_to_the_choice(self, clip: float | None, device: str) -> None:
        weight = 3 * torch.randn(2, 1, 21, 35, dtype=torch.float64, device=device)
        gradients = []
        for sample_mask in (ops.sample_mask, reference.sample_mask):
            q = self.association(device).requires_grad_()
            gradients += torch.autograd.grad(sample_mask(q, 8, clip), q, weight)
        assert torch.equal(*gradients)
        assert int((gradients[0] != 0).sum()) == int(
            (ops.argmax_pool(self.association(device), 8) >= 0).sum()
        )

    def test_second_order_is_the_transpose(self, device: str) -> None:
        q = self.association(device).requires_grad_()
        weight = torch.randn(2, 1, 21, 35, dtype=torch.float64, device=device, requires_grad=True)
        (first,) = torch.autograd.grad(ops.sample_mask(q, 8), q, weight, create_graph=True)
        v = torch.randn_like(first)
        (second,) = torch.autograd.grad((first * v).sum(), weight)
        torch.testing.assert_close(second, (v * (first != 0)).sum(1, keepdim=True))

    def test_nothing_is_added_in_the_order_of_threads(self, device: str) -> None:
        q = self.association(device).requires_grad_()
        weight = torch.randn(2, 1, 21, 35, dtype=torch.float64, device=device, requires_grad=True)
        with Called() as called:
            (first,) = torch.autograd.grad(ops.sample_mask(q, 8), q, weight, create_graph=True)
            torch.autograd.grad(first.square().sum(), weight)
        assert "sample_mask" in called.names
        # On CUDA these add by atomics.
        assert not {"scatter_add", "index_add", "index_put", "put"} & {
            name.strip("_") for name in called.names
        }

    def test_marks_the_samples(self, device: str) -> None:
        q = self.association(device)
        mask, index = ops.sample_mask(q, 8), ops.argmax_pool(q, 8)
        assert set(mask.unique().tolist()) == {0.0, 1.0}
        for b in range(2):
            marked = mask[b].flatten().nonzero().flatten()
            assert torch.equal(marked, index[b][index[b] >= 0].unique())


def given_to_all(device: str) -> tuple[Tensor, ...]:
    """Logits, pixels, and samples: points, values, the nearest of each cell."""
    z, f = torch.randn(1, 9, 61, 77, device=device), torch.rand(1, 3, 61, 77, device=device)
    points = torch.rand(40, 5, device=device) * torch.tensor([61, 77, 1, 1, 1], device=device)
    neighbors = torch.rand(1, 8, 10, 40, device=device).argsort(-1)[..., :6]
    return z, f, points, torch.rand(40, 2, device=device), neighbors.contiguous()


def through_all(z: Tensor, f: Tensor, points: Tensor, values: Tensor, neighbors: Tensor) -> Tensor:
    """One picture of what every kernel gives, gradients among them."""
    z = z.detach().requires_grad_()
    q = ops.associate(z, 8)
    u = ops.aggregate(f, q, 8)
    k = ops.associate_features(f, u, 8, 1.0)
    rebuilt = ops.distribute(u, k, 8) + ops.sample_mask(k, 8)
    loss = ops.superpixel_loss(z, f, f.flip(1), 8)
    (slopes,) = torch.autograd.grad(loss + rebuilt.square().mean(), z)
    filled = ops.local_rbf(f, points, values, neighbors, 8, ops.RadialBasis(8, 0.3))
    rows = neighbors.flatten(0, 2)
    left_out = ops.local_rbf_leave_one_out(points, values, rows, ops.RadialBasis(8, 0.3))
    return torch.cat([rebuilt.detach(), slopes, filled + left_out.mean(), loss.detach() + f], 1)


def at_the_far_end(side: int, dtype: torch.dtype, device: str) -> None:
    """The last cell of a large square picture, where indices are largest."""
    z = torch.zeros(1, 9, side, side, dtype=dtype, device=device)
    z[0, 4, -3, -5] = 4
    assert int(ops.argmax_pool(ops.associate(z, 8), 8)[0, -1, -1]) == (side - 3) * side + side - 5

    # Nothing is lost but there: four blocks hold all that has a part in it.
    picture = torch.zeros(1, 3, side, side, device=device)
    picture[0, :, -3:, -3:] = 1
    leaf = z.requires_grad_()
    loss = ops.superpixel_loss(leaf, picture, picture, 8, m=0.0, reduction="sum")
    (slopes,) = torch.autograd.grad(loss, leaf)
    small = z.detach()[..., -32:, -32:].float().requires_grad_()
    part = picture[..., -32:, -32:]
    expected = ops.superpixel_loss(small, part, part, 8, m=0.0, reduction="sum")
    (by,) = torch.autograd.grad(expected, small)
    torch.testing.assert_close(loss, expected)
    assert not slopes[..., :-24, :].any()
    torch.testing.assert_close(slopes[..., -32:, -32:].float(), by, rtol=1e-2, atol=1e-3)
    del slopes, picture

    guide = z.detach()
    guide[..., -1, -1] = 2
    points = torch.zeros(2, 11, device=device)
    points[1, :2], points[1, 2:] = side - 1, 2
    neighbors = torch.zeros(1, -(-side // 8), -(-side // 8), 1, dtype=torch.int64, device=device)
    neighbors[0, -1, -1] = 1
    values = torch.tensor([[2.0], [5.0]], device=device)
    filled = ops.local_rbf(guide, points, values, neighbors, 8, ops.RadialBasis(8, 0.3, ridge=0.25))
    assert float(filled[0, 0, 0, 0]) == pytest.approx(2 / 1.25)
    assert float(filled[0, 0, -1, -1]) == pytest.approx(5 / 1.25)


def test_the_far_end_of_a_picture() -> None:
    at_the_far_end(80, torch.float32, "cpu")


def test_all_ops_in_turn() -> None:
    assert through_all(*given_to_all("cpu")).isfinite().all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
class TestCuda:
    """What only a GPU has: streams, graphs, devices, and tensors past 2^31 elements."""

    def test_runs_on_the_current_stream(self) -> None:
        z, *rest = given_to_all("cuda")
        expected = through_all(z, *rest)
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            # Work for a while, so that an op on another stream would read before this is written.
            torch.cuda._sleep(100_000_000)
            late = z.clone()
            result = through_all(late, *rest)
        stream.synchronize()
        assert torch.equal(result, expected)

    def test_waits_for_nothing(self) -> None:
        given = given_to_all("cuda")
        through_all(*given)
        with warnings.catch_warnings():
            # That the mode is a prototype. Left on, it would fail every test after this one.
            warnings.simplefilter("ignore", UserWarning)
            try:
                torch.cuda.set_sync_debug_mode("error")
                through_all(*given)
            finally:
                torch.cuda.set_sync_debug_mode("default")

    def test_is_captured_by_a_graph(self) -> None:
        z, *rest = given_to_all("cuda")
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            through_all(z, *rest)
        side.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = through_all(z, *rest)
        other = torch.randn_like(z)
        z.copy_(other)
        graph.replay()
        assert torch.equal(result, through_all(other, *rest))

    @pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
    def test_runs_where_its_tensors_lie(self) -> None:
        given = given_to_all("cuda:0")
        second = through_all(*(t.to("cuda:1") for t in given))
        assert second.device.index == 1
        assert torch.cuda.current_device() == 0
        assert torch.equal(second.to("cuda:0"), through_all(*given))

    def test_counts_past_32_bits(self) -> None:
        if torch.cuda.mem_get_info()[0] < 40 << 30:
            pytest.skip("needs 40 GiB of free memory on the GPU")
        at_the_far_end(16400, torch.half, "cuda")  # 9 * side^2 > 2^31, 4.8 GB


def test_missing_native_module_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "isp_meta._ops", None)
    with pytest.raises(ImportError, match=r"native operators do not load.*pip install"):
        importlib.reload(_native)


def test_what_sanitizers_look_at_is_every_op(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    small_shapes = importlib.import_module("small_shapes")
    shape = (*small_shapes.SHAPES[2], "cpu")
    cases = (*small_shapes.superpixels(*shape), *small_shapes.samples(*shape))
    every = {name for name in ops.__all__ if not isinstance(getattr(ops, name), type)}
    assert {name for name, *_ in cases} == every
