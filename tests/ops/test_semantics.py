"""What the ops promise beyond agreeing with the reference: borders, ties, NaN, gradients."""

from __future__ import annotations

import importlib
import math
import sys

import pytest
import torch
from torch import Tensor

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

    def test_marks_the_samples(self, device: str) -> None:
        q = self.association(device)
        mask, index = ops.sample_mask(q, 8), ops.argmax_pool(q, 8)
        assert set(mask.unique().tolist()) == {0.0, 1.0}
        for b in range(2):
            marked = mask[b].flatten().nonzero().flatten()
            assert torch.equal(marked, index[b][index[b] >= 0].unique())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
class TestCuda:
    """What only a GPU has: streams, graphs, devices, and tensors past 2^31 elements."""

    def run(self, z: Tensor, f: Tensor) -> Tensor:
        q = ops.associate(z, 8)
        u = ops.aggregate(f, q, 8)
        k = ops.associate_features(f, u, 8, 1.0)
        return ops.distribute(u, k, 8) + ops.sample_mask(k, 8)

    def given(self, device: str = "cuda") -> tuple[Tensor, Tensor]:
        return torch.randn(1, 9, 61, 77, device=device), torch.rand(1, 3, 61, 77, device=device)

    def test_runs_on_the_current_stream(self) -> None:
        z, f = self.given()
        expected = self.run(z, f)
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            # Work for a while, so that an op on another stream would read before this is written.
            torch.cuda._sleep(100_000_000)
            late = z.clone()
            result = self.run(late, f)
        stream.synchronize()
        assert torch.equal(result, expected)

    def test_waits_for_nothing(self) -> None:
        z, f = self.given()
        z.requires_grad_()
        self.run(z, f).sum().backward()
        torch.cuda.set_sync_debug_mode("error")
        try:
            self.run(z, f).sum().backward()
        finally:
            torch.cuda.set_sync_debug_mode("default")

    def test_is_captured_by_a_graph(self) -> None:
        z, f = self.given()
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            self.run(z, f)
        side.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = self.run(z, f)
        other, _ = self.given()
        z.copy_(other)
        graph.replay()
        assert torch.equal(result, self.run(other, f))

    @pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
    def test_runs_where_its_tensors_lie(self) -> None:
        z, f = self.given()
        second = self.run(z.to("cuda:1"), f.to("cuda:1"))
        assert second.device.index == 1
        assert torch.cuda.current_device() == 0
        assert torch.equal(second.to("cuda:0"), self.run(z, f))

    def test_counts_past_32_bits(self) -> None:
        side = 16400  # 9 * side^2 > 2^31, in half precision 4.8 GB
        if torch.cuda.mem_get_info()[0] < 24 << 30:
            pytest.skip("needs 24 GiB of free memory on the GPU")
        z = torch.zeros(1, 9, side, side, dtype=torch.half, device="cuda")
        z[0, 4, -3, -5] = 4
        q = ops.associate(z, 8)
        assert int(ops.argmax_pool(q, 8)[0, -1, -1]) == (side - 3) * side + side - 5


def test_missing_native_module_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "isp_meta._ops", None)
    with pytest.raises(ImportError, match=r"native operators do not load.*pip install"):
        importlib.reload(_native)
