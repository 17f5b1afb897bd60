"""The superpixel loss against its definition, and what it promises beyond: memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from isp_meta import ops
from isp_meta.ops import reference

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
TOLERANCE = {torch.float64: 1e-11, torch.float32: 2e-5}
NAN = float("nan")

# Height, width, cell: one pixel, one line, a cell larger than the picture, whole cells, ragged
# ones, more blocks than are staged together, cells of several chunks, rows wider than a chunk,
# slopes too large for the caches.
SHAPES = [
    (1, 1, 1),
    (1, 13, 4),
    (11, 1, 2),
    (5, 7, 9),
    (16, 24, 8),
    (21, 35, 8),
    (9, 8, 1),
    (10, 173, 8),
    (6, 533, 5),
    (40, 43, 13),
    (3, 700, 300),
    (250, 512, 8),
]
Arguments = tuple[Tensor, Tensor, Tensor]


def arguments(height: int, width: int, dtype: torch.dtype, device: str = "cpu") -> Arguments:
    generator = torch.Generator().manual_seed(1000 * height + width)

    def draw(channels: int, kind: Callable[..., Tensor]) -> Tensor:
        values = kind(2, channels, height, width, generator=generator, dtype=torch.float64)
        return values.to(dtype).to(device)

    return draw(9, torch.randn), draw(3, torch.rand), draw(3, torch.rand)


def strided(tensor: Tensor) -> Tensor:
    return torch.stack([tensor, tensor + 1], -1)[..., 0]


def with_slopes(
    loss: Callable[..., Tensor], given: Arguments, cell: int, **keywords: object
) -> tuple[Tensor, Tensor]:
    logits = given[0].clone().requires_grad_()
    value = loss(logits, *given[1:], cell, **keywords)
    return value.detach(), torch.autograd.grad(value, logits)[0]


@pytest.mark.parametrize("device", DEVICES)
class TestAgainstTheReference:
    @pytest.mark.parametrize("reduction", ["mean", "sum"])
    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    def test_value_and_slopes(
        self, shape: tuple[int, int, int], reduction: Literal["mean", "sum"], device: str
    ) -> None:
        height, width, cell = shape
        for dtype, tolerance in TOLERANCE.items():
            given = arguments(height, width, dtype, device)
            value, slopes = with_slopes(ops.superpixel_loss, given, cell, reduction=reduction)
            expected, by = with_slopes(
                reference.superpixel_loss,
                tuple(t.double() for t in given),
                cell,
                reduction=reduction,
            )
            assert value.dtype == dtype
            assert value.shape == ()
            assert slopes.is_contiguous()
            largest = float(by.abs().max()) + 1e-30
            torch.testing.assert_close(value.double(), expected, rtol=tolerance, atol=0)
            assert float((slopes.double() - by).abs().max()) <= tolerance * largest

    def test_strides_do_not_matter(self, device: str) -> None:
        given = arguments(21, 35, torch.float32, device)
        plain = with_slopes(ops.superpixel_loss, given, 8)
        other = with_slopes(ops.superpixel_loss, tuple(map(strided, given)), 8)
        assert torch.equal(plain[0], other[0])
        assert torch.equal(plain[1], other[1])

    @pytest.mark.parametrize("keywords", [{"alpha": 0.7, "m": 3.0}, {"alpha": 0.0, "m": 0.0}])
    def test_weights(self, keywords: dict[str, float], device: str) -> None:
        given = arguments(21, 35, torch.float64, device)
        for reduction in ("mean", "sum"):
            losses = [
                with_slopes(home.superpixel_loss, given, 8, reduction=reduction, **keywords)
                for home in (ops, reference)
            ]
            torch.testing.assert_close(*losses, rtol=1e-11, atol=1e-11)

    def test_narrow_dtypes(self, device: str) -> None:
        if device == "cpu":
            return  # its ops take none; see test_rejects_what_does_not_fit
        for dtype in (torch.float16, torch.bfloat16):
            given = arguments(21, 35, dtype, device)
            value, slopes = with_slopes(ops.superpixel_loss, given, 8)
            wide = tuple(t.double() for t in given)
            expected, by = with_slopes(reference.superpixel_loss, wide, 8)
            assert value.dtype == torch.float32
            torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=0)
            torch.testing.assert_close(slopes, by.to(dtype), rtol=2e-2, atol=1e-3)
            # Pictures of float32 beside them, as under autocast.
            mixed = (given[0], *(t.float() for t in given[1:]))
            assert all(
                map(torch.equal, (value, slopes), with_slopes(ops.superpixel_loss, mixed, 8))
            )
            with torch.autocast("cuda", dtype=dtype):
                others = with_slopes(ops.superpixel_loss, mixed, 8)
            assert all(map(torch.equal, (value, slopes), others))

    def test_float32_keeps_its_digits_far_from_zero(self, device: str) -> None:
        z, x, y = arguments(160, 240, torch.float32, device)
        given = (z, 0.9 + x / 50, 0.7 + y / 50)
        for reduction in ("mean", "sum"):
            value = ops.superpixel_loss(*given, 8, reduction=reduction)
            wide = (t.double() for t in given)
            expected = reference.superpixel_loss(*wide, 8, reduction=reduction)
            torch.testing.assert_close(value.double(), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("device", DEVICES)
class TestGradient:
    def test_gradcheck(self, device: str) -> None:
        for height, width, cell in ((5, 7, 3), (9, 18, 8), (4, 4, 1)):
            z, x, y = arguments(height, width, torch.float64, device)
            loss = partial(ops.superpixel_loss, srgb=x, raw=y, cell=cell, reduction="sum")
            assert gradcheck(loss, z.requires_grad_(), fast_mode=True)

    def test_vanishes_where_nothing_is_lost(self, device: str) -> None:
        z, x, y = arguments(16, 16, torch.float64, device)
        flat = (torch.full_like(x, 0.3), torch.full_like(y, 0.6))
        value, slopes = with_slopes(ops.superpixel_loss, (z, *flat), 8, m=0.0)
        assert float(value) < 1e-20
        assert float(slopes.abs().max()) < 1e-15

    def test_cell_to_which_nothing_belongs(self, device: str) -> None:
        z, x, y = arguments(12, 12, torch.float64, device)
        z[:, 4] = -2000.0
        value, slopes = with_slopes(ops.superpixel_loss, (z, x, y), 4)
        expected, by = with_slopes(reference.superpixel_loss, (z, x, y), 4)
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(slopes, by)

    def test_second_order_is_refused(self, device: str) -> None:
        z, x, y = arguments(5, 7, torch.float64, device)
        loss = ops.superpixel_loss(z.requires_grad_(), x, y, 3)
        (first,) = torch.autograd.grad(loss, z, create_graph=True)
        with pytest.raises(NotImplementedError, match="once, not twice"):
            torch.autograd.grad(first.square().sum(), z)

    def test_pictures_are_data(self, device: str) -> None:
        z, x, y = arguments(5, 7, torch.float64, device)
        leaf = x.clone().requires_grad_()
        with pytest.raises(ValueError, match="srgb requires a gradient"):
            ops.superpixel_loss(z, leaf, y, 3)
        with pytest.raises(ValueError, match="raw requires a gradient"):
            ops.superpixel_loss(z, x, leaf, 3)
        with torch.no_grad():
            assert torch.equal(ops.superpixel_loss(z, leaf, y, 3), ops.superpixel_loss(z, x, y, 3))
        weights = (1.0, 1.0, 1.0)
        loss = torch.ops.isp_meta.superpixel_loss(z, leaf, y, 3, *weights)[0]
        with pytest.raises(NotImplementedError, match="no gradient for its pictures"):
            torch.autograd.grad(loss, leaf)

    def test_keeps_two_centers_a_cell(self, device: str) -> None:
        given = arguments(64, 96, torch.float32, device)
        logits = given[0].requires_grad_()
        kept = {}

        def pack(tensor: Tensor) -> Tensor:
            kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            ops.superpixel_loss(*given, 8)
        for tensor in given:
            assert kept.pop(tensor.data_ptr())
        assert sum(kept.values()) <= 2 * 8 * 4 * (2 * 8 * 12) + 64
        assert logits.grad is None


class TestRegistration:
    def arguments(self) -> tuple[object, ...]:
        z, x, y = arguments(5, 7, torch.float64)
        return z.requires_grad_(), x, y, 3, 1.0, 2.0, 0.5

    def test_opcheck(self) -> None:
        native = torch.ops.isp_meta
        torch.library.opcheck(native.superpixel_loss.default, self.arguments())
        z, x, y, *rest = self.arguments()
        _, *kept = native.superpixel_loss(z.detach(), x, y, *rest)
        backward = (torch.ones((), dtype=torch.float64), z.detach(), x, y, *kept, *rest)
        torch.library.opcheck(native.superpixel_loss_backward.default, backward)

    def test_threads_do_not_matter(self) -> None:
        given = arguments(203, 610, torch.float32)
        before, seen = torch.get_num_threads(), []
        try:
            for threads in (1, 2, 5):
                torch.set_num_threads(threads)
                seen.append(with_slopes(ops.superpixel_loss, given, 8))
        finally:
            torch.set_num_threads(before)
        for other in seen[1:]:
            assert all(torch.equal(a, b) for a, b in zip(seen[0], other, strict=True))

    @pytest.mark.parametrize("reduction", ["mean", "sum"])
    def test_compiles_without_a_graph_break(self, reduction: str) -> None:
        given = arguments(21, 35, torch.float32)
        loss = partial(ops.superpixel_loss, reduction=reduction)
        compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
        losses = [with_slopes(call, given, 8) for call in (compiled, loss)]
        assert all(torch.equal(a, b) for a, b in zip(*losses, strict=True))

    def test_exports(self) -> None:
        class Loss(torch.nn.Module):
            def forward(self, z: Tensor, x: Tensor, y: Tensor) -> Tensor:
                return ops.superpixel_loss(z, x, y, 8)

        given = arguments(21, 35, torch.float32)
        exported = torch.export.export(Loss(), given).module()
        assert torch.equal(exported(*given), Loss()(*given))

    def test_autocast_computes_in_float32(self) -> None:
        z, x, y = arguments(21, 35, torch.float32)
        narrow = z.bfloat16().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = ops.superpixel_loss(narrow, x, y, 8)
            total, *_ = torch.ops.isp_meta.superpixel_loss(narrow, x, y, 8, 1.0, 1.0, 1.0)
        assert loss.dtype == total.dtype == torch.float32
        assert torch.equal(loss.detach(), ops.superpixel_loss(narrow.detach().float(), x, y, 8))
        (slopes,) = torch.autograd.grad(loss, narrow)
        assert slopes.dtype == torch.bfloat16

    def test_narrow_logits_stay_beside_float32_pictures(self) -> None:
        z, x, y = (t.to("meta") for t in arguments(21, 35, torch.float32))
        for dtype in (torch.bfloat16, torch.float16):
            narrow = z.to(dtype).requires_grad_()
            for pictures in ((x, y), (x.to(dtype), y)):
                loss = ops.superpixel_loss(narrow, *pictures, 8)
                assert loss.dtype == torch.float32
                assert torch.autograd.grad(loss, narrow)[0].dtype == dtype
        with pytest.raises(TypeError, match=r"raw is torch\.bfloat16 beside"):
            ops.superpixel_loss(z.half(), x, y.bfloat16(), 8)

    def test_empty_batch(self) -> None:
        given = tuple(t[:0] for t in arguments(5, 7, torch.float32))
        assert float(ops.superpixel_loss(*given, 3, reduction="sum")) == 0
        assert bool(ops.superpixel_loss(*given, 3).isnan())

    def test_wrong_shapes_stay_inside_memory(self) -> None:
        z, x, y = (torch.zeros(1, n, 5, 7) for n in (9, 3, 3))
        u = torch.zeros(1, 2, 3, 8)
        native, one, rest = torch.ops.isp_meta, torch.ones(()), (3, 1.0, 1.0, 1.0)
        for call in (
            lambda: native.superpixel_loss(z[:, :8], x, y, *rest),
            lambda: native.superpixel_loss(z, x[..., 1:], y, *rest),
            lambda: native.superpixel_loss(z, x, y[:, :2], *rest),
            lambda: native.superpixel_loss(z, x.double(), y, *rest),
            lambda: native.superpixel_loss(z, x, y, 0, 1.0, 1.0, 1.0),
            lambda: native.superpixel_loss_backward(one, z, x, y, u[:, 1:], u, *rest),
            lambda: native.superpixel_loss_backward(one, z, x, y, u, u[..., 1:], *rest),
            lambda: native.superpixel_loss_backward(one.double(), z, x, y, u, u, *rest),
            lambda: native.superpixel_loss_backward(torch.ones(2), z, x, y, u, u, *rest),
        ):
            with pytest.raises(RuntimeError):
                call()


def test_rejects_what_does_not_fit() -> None:
    z, x, y = (torch.zeros(1, n, 5, 7) for n in (9, 3, 3))
    loss = ops.superpixel_loss
    cases = [
        (ValueError, r"logits must be \(B, 9, H, W\)", lambda: loss(x, x, y, 3)),
        (ValueError, r"srgb must be \(1, 3, 5, 7\)", lambda: loss(z, z, y, 3)),
        (ValueError, r"raw must be \(1, 3, 5, 7\)", lambda: loss(z, x, y[..., 1:], 3)),
        (TypeError, r"raw is torch.float64 beside", lambda: loss(z, x, y.double(), 3)),
        (TypeError, r"logits is torch.float16; on cpu", lambda: loss(z.half(), x, y, 3)),
        (ValueError, r"cell must be >= 1", lambda: loss(z, x, y, 0)),
        (ValueError, r"alpha must be in \[0, 1\]", lambda: loss(z, x, y, 3, alpha=1.5)),
        (ValueError, r"m must be >= 0", lambda: loss(z, x, y, 3, m=-1)),
        (ValueError, r"m must be >= 0 and finite", lambda: loss(z, x, y, 3, m=NAN)),
        (ValueError, r"reduction must be 'mean'", lambda: loss(z, x, y, 3, reduction="none")),
    ]
    for error, text, call in cases:
        with pytest.raises(error, match=text):
            call()
