"""Every op against its definition in plain PyTorch, over devices, dtypes, layouts and shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from isp_meta import ops
from isp_meta.ops import reference
from isp_meta.ops.grid import grid_shape

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
EXACT = {"cpu": (torch.float32, torch.float64), "cuda": (torch.float32, torch.float64)}
NARROW = {"cpu": (), "cuda": (torch.float16, torch.bfloat16)}
BATCH, CHANNELS = 2, 3

# Height, width, cell: one pixel, one line, cell larger than the picture, whole cells, ragged ones,
# more columns than a tile holds, a cell wider than a tile.
SHAPES = [
    (1, 1, 1),
    (1, 13, 4),
    (11, 1, 2),
    (5, 7, 9),
    (16, 24, 8),
    (21, 35, 8),
    (9, 8, 1),
    (6, 533, 5),
    (3, 700, 300),
    (17, 40, 16),
    (70, 130, 66),
]


@dataclass(frozen=True)
class Op:
    """An op, its definition, and the tensors it takes: p pixels, n associations, c centers."""

    name: str
    call: Callable[..., Tensor]
    define: Callable[..., Tensor]
    takes: str
    differentiable: bool = True


OPS = [
    Op("associate", ops.associate, reference.associate, "z"),
    Op(
        "associate_unmasked",
        lambda z, cell: ops.associate(z, cell, mask_outside=False),
        lambda z, cell: reference.associate(z, cell, mask_outside=False),
        "z",
    ),
    Op(
        "associate_features",
        lambda f, u, cell: ops.associate_features(f, u, cell, 0.7),
        lambda f, u, cell: reference.associate_features(f, u, cell, 0.7),
        "pc",
    ),
    Op("aggregate", ops.aggregate, reference.aggregate, "pq"),
    Op("distribute", ops.distribute, reference.distribute, "cq"),
    Op("argmax_pool", ops.argmax_pool, reference.argmax_pool, "q", differentiable=False),
    Op("sample_mask", ops.sample_mask, reference.sample_mask, "q", differentiable=False),
]
SMOOTH = [op for op in OPS if op.differentiable]


def test_every_op_has_a_definition_and_its_line_in_the_docs() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "kernels.md").read_text(encoding="utf-8")
    operators = [name for name in ops.__all__ if not isinstance(getattr(ops, name), type)]
    assert len(operators) > len(OPS)
    for op in operators:
        assert op in reference.__all__
        assert f"| `{op}(" in page


def name(value: object) -> str:
    return value.name if isinstance(value, Op) else str(value).replace("torch.", "")


def contiguous(tensor: Tensor) -> Tensor:
    return tensor


def transposed(tensor: Tensor) -> Tensor:
    return tensor.transpose(2, 3).contiguous().transpose(2, 3)


def strided(tensor: Tensor) -> Tensor:
    return torch.stack([tensor, tensor + 1], -1)[..., 0]


def inputs(
    op: Op, shape: tuple[int, int, int], dtype: torch.dtype, device: str = "cpu"
) -> list[Tensor]:
    height, width, cell = shape
    generator = torch.Generator().manual_seed(height * 10000 + width * 100 + cell)
    rows, cols = grid_shape(height, width, cell)
    sizes = {
        "p": (BATCH, CHANNELS, height, width),
        "q": (BATCH, 9, height, width),
        "z": (BATCH, 9, height, width),
        "c": (BATCH, CHANNELS, rows, cols),
    }
    tensors = [torch.randn(sizes[kind], generator=generator).to(dtype) for kind in op.takes]
    return [
        (t.softmax(1) if kind == "q" else t).to(device)
        for kind, t in zip(op.takes, tensors, strict=True)
    ]


def close(result: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    tolerance = {torch.float32: 2e-5, torch.float64: 1e-11}.get(dtype, 2e-2)
    torch.testing.assert_close(result, expected, rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("device", DEVICES)
class TestOps:
    @pytest.mark.parametrize("layout", [contiguous, transposed, strided])
    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    @pytest.mark.parametrize("op", OPS, ids=name)
    def test_values(
        self,
        op: Op,
        shape: tuple[int, int, int],
        layout: Callable[[Tensor], Tensor],
        device: str,
    ) -> None:
        for dtype in EXACT[device]:
            tensors = inputs(op, shape, dtype, device)
            result = op.call(*map(layout, tensors), shape[2])
            expected = op.define(*tensors, shape[2])
            assert result.dtype == expected.dtype
            assert result.is_contiguous()
            close(result, expected, dtype)

    @pytest.mark.parametrize("op", OPS, ids=name)
    def test_narrow_types_sum_in_float32(self, op: Op, device: str) -> None:
        for dtype in NARROW[device]:
            tensors = inputs(op, (40, 44, 16), dtype, device)
            result = op.call(*tensors, 16)
            expected = op.define(*(t.double() for t in tensors), 16)
            assert result.dtype == (dtype if result.is_floating_point() else torch.int64)
            close(result.double(), expected.double(), dtype)

    @pytest.mark.parametrize("shape", [(5, 7, 3), (4, 4, 9), (1, 5, 2)], ids=str)
    @pytest.mark.parametrize("op", SMOOTH, ids=name)
    def test_gradients(self, op: Op, shape: tuple[int, int, int], device: str) -> None:
        tensors = [t.requires_grad_() for t in inputs(op, shape, torch.float64, device)]
        assert gradcheck(lambda *t: op.call(*t, shape[2]), tensors, fast_mode=True)
        assert gradgradcheck(lambda *t: op.call(*t, shape[2]), tensors, fast_mode=True)

    @pytest.mark.parametrize("op", SMOOTH, ids=name)
    def test_gradients_as_the_reference(self, op: Op, device: str) -> None:
        for dtype in EXACT[device]:
            gradients = []
            for call in (op.call, op.define):
                tensors = [t.requires_grad_() for t in inputs(op, (21, 35, 8), dtype, device)]
                result = call(*tensors, 8)
                weight = torch.linspace(-1, 1, result.numel(), dtype=dtype, device=device)
                gradients.append(torch.autograd.grad(result, tensors, weight.view_as(result)))
            for native, expected in zip(*gradients, strict=True):
                close(native, expected, dtype)

    @pytest.mark.parametrize("op", SMOOTH, ids=name)
    def test_second_order_is_no_silent_zero(self, op: Op, device: str) -> None:
        tensors = [t.requires_grad_() for t in inputs(op, (6, 7, 3), torch.float64, device)]
        first = torch.autograd.grad(op.call(*tensors, 3).square().sum(), tensors, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), tensors)
        assert all(g.abs().max() > 1e-6 for g in second)

    @pytest.mark.parametrize("op", OPS, ids=name)
    def test_empty_batch(self, op: Op, device: str) -> None:
        tensors = [t[:0] for t in inputs(op, (5, 7, 3), torch.float32, device)]
        assert op.call(*tensors, 3).shape == (
            0,
            *op.call(*inputs(op, (5, 7, 3), torch.float32), 3).shape[1:],
        )

    @pytest.mark.parametrize("op", OPS, ids=name)
    def test_largest_cell(self, op: Op, device: str) -> None:
        tensors = inputs(op, (5, 7, 9), torch.float32, device)
        assert torch.equal(op.call(*tensors, 9), op.call(*tensors, 10**15))

    @pytest.mark.parametrize("op", OPS, ids=name)
    def test_threads_do_not_matter(self, op: Op, device: str) -> None:
        tensors = [t.requires_grad_() for t in inputs(op, (203, 610, 8), torch.float32, device)]
        before, seen = torch.get_num_threads(), []
        try:
            for threads in (1, 2, 5):
                torch.set_num_threads(threads)
                result = op.call(*tensors, 8)
                gradients = []
                if op.differentiable:
                    gradients = torch.autograd.grad(result.square().sum(), tensors)
                seen.append([result, *gradients])
        finally:
            torch.set_num_threads(before)
        for other in seen[1:]:
            assert all(torch.equal(a, b) for a, b in zip(seen[0], other, strict=True))

    @pytest.mark.parametrize("width", [520, 516, 523])
    def test_streams_of_large_results(self, width: int, device: str) -> None:
        for op in (o for o in OPS if o.name != "argmax_pool" and "sample" not in o.name):
            tensors = inputs(op, (400, width, 8), torch.float32, device)
            close(op.call(*tensors, 8), op.define(*tensors, 8), torch.float32)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("op", OPS, ids=name)
class TestFramework:
    """torch.compile, torch.vmap, torch.export and autocast over the ops."""

    def test_compiles_without_a_graph_break(self, op: Op, device: str) -> None:
        compiled = torch.compile(lambda *t: op.call(*t, 8), backend="aot_eager", fullgraph=True)
        results = []
        for call in (compiled, lambda *t: op.call(*t, 8)):
            tensors = [t.requires_grad_() for t in inputs(op, (21, 35, 8), torch.float32, device)]
            result = call(*tensors)
            gradients = []
            if result.requires_grad:
                weight = torch.linspace(-1, 1, result.numel(), device=device).view_as(result)
                gradients = torch.autograd.grad(result, tensors, weight)
            results.append([result, *gradients])
        assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))

    def test_vmap_is_a_larger_batch(self, op: Op, device: str) -> None:
        many = [
            torch.stack([t, 0.5 * t + 0.1, t.flip(-1)], 1)
            for t in inputs(op, (21, 35, 8), torch.float32, device)
        ]
        results = torch.vmap(lambda *t: op.call(*t, 8), in_dims=1)(*many)
        for i, result in enumerate(results):
            assert torch.equal(result, op.call(*(t[:, i] for t in many), 8))
        shared = torch.vmap(
            lambda first: op.call(first, *(t[:, 0] for t in many[1:]), 8), in_dims=1
        )(many[0])
        for i, result in enumerate(shared):
            assert torch.equal(result, op.call(many[0][:, i], *(t[:, 0] for t in many[1:]), 8))

    def test_gradients_in_batches(self, op: Op, device: str) -> None:
        tensors = [t.requires_grad_() for t in inputs(op, (5, 7, 3), torch.float64, device)]
        result = op.call(*tensors, 3)
        if not result.requires_grad:
            assert op.name == "argmax_pool"
            return
        weights = torch.randn(4, *result.shape, dtype=result.dtype, device=device)
        together = torch.autograd.grad(
            result, tensors, weights, retain_graph=True, is_grads_batched=True
        )
        for i, weight in enumerate(weights):
            alone = torch.autograd.grad(result, tensors, weight, retain_graph=True)
            assert all(torch.equal(a[i], b) for a, b in zip(together, alone, strict=True))

    def test_exports_for_any_size(self, op: Op, device: str) -> None:
        class Module(torch.nn.Module):
            def forward(self, *tensors: Tensor) -> Tensor:
                return op.call(*tensors, 8)

        def example(height: int, width: int) -> tuple[Tensor, ...]:
            return tuple(inputs(op, (height, width, 8), torch.float32, device))

        height, width = (torch.export.Dim(side, min=9, max=4096) for side in ("h", "w"))
        given = example(21, 35)
        # The grid of centers follows from the picture's size, so that both cannot be free.
        free = None if "c" in op.takes else ({2: height, 3: width},) * len(given)
        shapes = None if free is None else (free,)
        exported = torch.export.export(Module(), given, dynamic_shapes=shapes).module()
        for size in ((21, 35), *([] if free is None else [(40, 17)])):
            tensors = example(*size)
            assert torch.equal(exported(*tensors), op.call(*tensors, 8))

    def test_autocast_computes_in_float32(self, op: Op, device: str) -> None:
        tensors = inputs(op, (21, 35, 8), torch.float32, device)
        narrow = [t.bfloat16().requires_grad_() for t in tensors]
        expected = op.call(*(t.float() for t in narrow), 8)
        with torch.autocast(device, dtype=torch.bfloat16):
            result = op.call(*narrow, 8)
            mixed = op.call(narrow[0], *(t.float() for t in narrow[1:]), 8)
        assert torch.equal(result, expected)
        assert torch.equal(mixed, expected)
        if result.requires_grad:
            for gradient in torch.autograd.grad(result.sum(), narrow):
                assert gradient.dtype == torch.bfloat16


@pytest.mark.parametrize("device", DEVICES)
class TestRegistrations:
    """What torch itself demands of the operators under the Python faces."""

    def arguments(self, device: str) -> dict[str, tuple[object, ...]]:
        def leaf(*shape: int) -> Tensor:
            return torch.rand(shape, dtype=torch.float64, device=device, requires_grad=True)

        q, f = (1, 9, 5, 7), (1, 2, 5, 7)
        index = torch.tensor([[[0, 13, -1], [20, 20, 34]]], device=device)
        return {
            "associate": (leaf(*q), 3, True),
            "associate_backward": (leaf(*q), leaf(*q)),
            "associate_features": (leaf(*f), leaf(1, 2, 2, 3), 3, 0.5),
            "accumulate": (leaf(*f), leaf(*q), 3),
            "distribute": (leaf(1, 2, 2, 3), leaf(*q), 3),
            "correlate": (leaf(*f), leaf(1, 3, 2, 3), 3),
            "argmax_pool": (leaf(*q).detach(), 3),
            "sample_mask": (leaf(*q), index, 3, 1.0),
        }

    def test_opcheck(self, device: str) -> None:
        for operator, arguments in self.arguments(device).items():
            torch.library.opcheck(getattr(torch.ops.isp_meta, operator).default, arguments)

    def test_building_blocks_differentiate_twice(self, device: str) -> None:
        for operator in ("associate_backward", "accumulate", "distribute", "correlate"):
            call = getattr(torch.ops.isp_meta, operator)
            arguments = self.arguments(device)[operator]
            assert gradcheck(call, arguments, fast_mode=True)
            assert gradgradcheck(call, arguments, fast_mode=True)

    def test_wrong_shapes_stay_inside_memory(self, device: str) -> None:
        f, q = (torch.zeros(1, n, 5, 7, device=device) for n in (2, 9))
        u = torch.zeros(1, 2, 2, 3, device=device)
        native = torch.ops.isp_meta
        for call in (
            lambda: native.associate(f, 3, True),
            lambda: native.associate(q, 0, True),
            lambda: native.associate_backward(q, f),
            lambda: native.associate_features(f, u[..., :2], 3, 1.0),
            lambda: native.accumulate(f, q[..., :6], 3),
            lambda: native.accumulate(f, q.double(), 3),
            lambda: native.distribute(u[:, :, :1], q, 3),
            lambda: native.distribute(u[0], q, 3),
            lambda: native.correlate(f, u, 3),
            lambda: native.argmax_pool(q[:, :8], 3),
            lambda: native.argmax_pool(q[0], 3),
            lambda: native.argmax_pool(q[:, :, :0], 3),
        ):
            with pytest.raises(RuntimeError):
                call()


def test_rejects_what_does_not_fit() -> None:
    f, q, u = torch.zeros(1, 2, 5, 7), torch.zeros(1, 9, 5, 7), torch.zeros(1, 2, 2, 3)
    cases = [
        (ValueError, r"cell must be >= 1, not 0", lambda: ops.associate(q, 0)),
        (TypeError, r"cell must be an int, not float", lambda: ops.associate(q, 2.0)),
        (TypeError, r"cell must be an int, not bool", lambda: ops.argmax_pool(q, True)),
        (ValueError, r"logits must be \(B, 9, H, W\)", lambda: ops.associate(f, 3)),
        (ValueError, r"logits must be \(B, 9, H, W\)", lambda: ops.associate(q[0], 3)),
        (ValueError, r"empty picture", lambda: ops.argmax_pool(q[:, :, :0], 3)),
        (TypeError, r"logits is torch.int64", lambda: ops.associate(q.long(), 3)),
        (TypeError, r"features is torch.float16; on cpu", lambda: ops.aggregate(f.half(), q, 3)),
        (
            TypeError,
            r"association is torch.float64 beside",
            lambda: ops.aggregate(f, q.double(), 3),
        ),
        (
            ValueError,
            r"association must be \(1, 9, 5, 7\)",
            lambda: ops.aggregate(f, q[..., 1:], 3),
        ),
        (ValueError, r"association lies on meta", lambda: ops.aggregate(f, q.to("meta"), 3)),
        (ValueError, r"centers must be \(1, 2, 3, 4\)", lambda: ops.distribute(u, q, 2)),
        (ValueError, r"centers must be \(B, C, h, w\)", lambda: ops.distribute(u[0], q, 3)),
        (ValueError, r"centers must be", lambda: ops.associate_features(f, u[:, :1], 3, 1.0)),
        (ValueError, r"clip must be > 0", lambda: ops.sample_mask(q, 3, clip=0.0)),
    ]
    for error, text, call in cases:
        with pytest.raises(error, match=text):
            call()
