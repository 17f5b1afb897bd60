"""The interpolation against its definition, over devices, dtypes, layouts and shapes."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from isp_meta.ops import RadialBasis, local_rbf, local_rbf_leave_one_out, reference
from isp_meta.ops.grid import grid_shape

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-11}
BASES = [
    RadialBasis(6, 0.3, radial, tail, ridge)
    for radial, tail, ridge in (
        ("exponential", 0.0, 0.01),
        ("exponential", 0.7, 0.1),
        ("rational", 0.0, 0.001),
        ("rational", 0.7, 0.02),
    )
]
# Height, width, cell, neighbors: one pixel, one line, a cell larger than the picture, ragged, more
# pixels in a cell than are evaluated at once, more systems in a row than fit side by side, large.
SHAPES = [
    (1, 1, 1, 1),
    (1, 13, 4, 3),
    (5, 7, 9, 5),
    (21, 35, 8, 9),
    (18, 300, 290, 4),
    (4, 44, 4, 2),
    (9, 12, 11, 70),
]
native = torch.ops.isp_meta


def case(
    height: int,
    width: int,
    cell: int,
    size: int,
    guides: int = 3,
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """guide, points, values and, with one to leave out, neighbors of two pictures."""
    generator = torch.Generator().manual_seed(height * width + size)

    def rand(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    count = size + 6
    position = rand(count, 2) * torch.tensor([height, width])
    points = torch.cat([position, rand(count, guides)], 1)
    cells = grid_shape(height, width, cell)
    neighbors = rand(2, *cells, count).argsort(-1)[..., : size + 1]
    guide, values = rand(2, guides, height, width), rand(count, 2) - 0.5
    moved = (t.to(device, dtype) for t in (guide, points, values))
    return *moved, neighbors.to(device)


def close(result: Tensor, expected: Tensor) -> None:
    tolerance = TOLERANCE[result.dtype]
    torch.testing.assert_close(result.double(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("device", DEVICES)
class TestLocalRBF:
    @pytest.mark.parametrize("dtype", TOLERANCE)
    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    @pytest.mark.parametrize("basis", BASES, ids=str)
    def test_values(
        self, basis: RadialBasis, shape: tuple[int, int, int, int], dtype: torch.dtype, device: str
    ) -> None:
        guide, points, values, neighbors = case(*shape, dtype=dtype, device=device)
        around, rows = neighbors[..., 1:], neighbors.flatten(0, 2)
        result = local_rbf(guide, points, values, around, shape[2], basis)
        left_out = local_rbf_leave_one_out(points, values, rows, basis)
        assert result.dtype == left_out.dtype == dtype
        wide = points.double(), values.double()
        close(result, reference.local_rbf(guide.double(), *wide, around, shape[2], basis))
        close(left_out, reference.local_rbf_leave_one_out(*wide, rows, basis))

    @pytest.mark.parametrize("guides", [0, 1, 5, 16])
    def test_any_number_of_guides(self, guides: int, device: str) -> None:
        for basis, dtype in itertools.product(BASES, TOLERANCE):
            guide, points, values, neighbors = case(9, 20, 5, 6, guides, dtype, device)
            result = local_rbf(guide, points, values, neighbors, 5, basis)
            wide = (t.double() for t in (guide, points, values))
            close(result, reference.local_rbf(*wide, neighbors, 5, basis))

    def test_layouts(self, device: str) -> None:
        tensors = case(21, 35, 8, 9, device=device)
        strided = [torch.stack([t, t + 1], -1)[..., 0] for t in tensors]
        result = local_rbf(*strided, 8, BASES[1])
        assert result.is_contiguous()
        assert torch.equal(result, local_rbf(*tensors, 8, BASES[1]))
        guide = tensors[0].mT.contiguous().mT
        assert torch.equal(local_rbf(guide, *tensors[1:], 8, BASES[1]), result)

    @pytest.mark.parametrize("dtype", TOLERANCE)
    @pytest.mark.parametrize("basis", BASES, ids=str)
    def test_one_sample_many_times_is_their_mean_nearly(
        self, basis: RadialBasis, dtype: torch.dtype, device: str
    ) -> None:
        guide = torch.full((1, 3, 4, 4), 0.5, dtype=dtype, device=device)
        points = torch.tensor([[1.0, 1.0, 0.5, 0.5, 0.5]]).expand(40, 5).to(guide)
        values = torch.linspace(0, 1, 40).to(guide)[:, None]
        neighbors = torch.arange(40, device=device).view(1, 1, 1, 40)
        result = local_rbf(guide, points, values, neighbors, 4, basis)
        expected = 0.5 * (1 + basis.tail) * 40 / ((1 + basis.tail) * 40 + basis.ridge)
        assert float(result[0, 0, 1, 1]) == pytest.approx(expected, rel=1e-3)

    def test_far_and_nearly_singular_stays_finite(self, device: str) -> None:
        basis = RadialBasis(1e5, 10, "rational", 1.0, 1e-12)
        tensors = case(40, 40, 8, 60, dtype=torch.float32, device=device)
        assert bool(local_rbf(*tensors, 8, basis).isfinite().all())
        assert bool(
            local_rbf_leave_one_out(*tensors[1:3], tensors[3].flatten(0, 2), basis).isfinite().all()
        )

    def test_a_position_far_from_the_origin_loses_nothing(self, device: str) -> None:
        _, points, values, neighbors = case(20, 20, 5, 9, dtype=torch.float32, device=device)
        points[:, :2] = points[:, :2].round()
        rows = neighbors.flatten(0, 2)
        here = local_rbf_leave_one_out(points, values, rows, BASES[0])
        points[:, :2] += 2**20
        there = local_rbf_leave_one_out(points, values, rows, BASES[0])
        torch.testing.assert_close(there, here, rtol=1e-4, atol=1e-4)

    def test_empty_batch(self, device: str) -> None:
        guide, points, values, neighbors = case(9, 9, 4, 3, device=device)
        assert local_rbf(guide[:0], points, values, neighbors[:0], 4, BASES[0]).shape == (
            (0, 2, 9, 9)
        )
        rows = neighbors.flatten(0, 2)[:0]
        assert local_rbf_leave_one_out(points, values, rows, BASES[0]).shape == (0, 2)


@pytest.mark.parametrize("device", DEVICES)
class TestGradientsAreRefused:
    @pytest.mark.parametrize("which", [0, 1, 2])
    def test_of_interpolating(self, which: int, device: str) -> None:
        *tensors, neighbors = case(9, 9, 4, 3, device=device)
        tensors[which].requires_grad_()
        result = local_rbf(*tensors, neighbors, 4, BASES[0])
        with pytest.raises(NotImplementedError, match=r"^local_rbf has no gradient: detach"):
            result.sum().backward()

    @pytest.mark.parametrize("which", [0, 1])
    def test_of_leaving_one_out(self, which: int, device: str) -> None:
        _, *tensors, neighbors = case(9, 9, 4, 3, device=device)
        tensors[which].requires_grad_()
        result = local_rbf_leave_one_out(*tensors, neighbors.flatten(0, 2), BASES[0])
        with pytest.raises(NotImplementedError, match=r"^local_rbf_leave_one_out has no gradient"):
            result.sum().backward()

    def test_what_the_error_names_instead_has_one(self, device: str) -> None:
        guide, points, values, neighbors = case(9, 9, 4, 3, device=device)
        values.requires_grad_()
        result = reference.local_rbf(guide, points, values, neighbors, 4, BASES[0])
        left_out = reference.local_rbf_leave_one_out(
            points, values, neighbors.flatten(0, 2), BASES[0]
        )
        (slopes,) = torch.autograd.grad(result.sum() + left_out.sum(), values)
        assert bool((slopes != 0).any())


@pytest.mark.parametrize("device", DEVICES)
class TestRegistrations:
    def test_opcheck(self, device: str) -> None:
        guide, points, values, neighbors = case(5, 7, 3, 4, device=device)
        options = BASES[1].arguments
        rows = neighbors.flatten(0, 2)
        for operator, arguments in (
            (native.local_rbf, (guide, points, values, neighbors, 3, *options)),
            (native.local_rbf_leave_one_out, (points, values, rows, *options)),
        ):
            torch.library.opcheck(operator.default, arguments)

    def test_compiles_without_a_graph_break(self, device: str) -> None:
        guide, points, values, neighbors = case(9, 20, 4, 5, dtype=torch.float32, device=device)
        rows = neighbors.flatten(0, 2)

        def both(values: Tensor) -> tuple[Tensor, Tensor]:
            left_out = local_rbf_leave_one_out(points, values, rows, BASES[0])
            return local_rbf(guide, points, values, neighbors, 4, BASES[0]), left_out

        compiled = torch.compile(both, backend="aot_eager", fullgraph=True)
        for result, expected in zip(compiled(values), both(values), strict=True):
            assert torch.equal(result, expected)

    def test_autocast_computes_in_float32(self, device: str) -> None:
        guide, points, values, neighbors = case(9, 20, 4, 5, dtype=torch.float32, device=device)
        narrow = [t.bfloat16() for t in (guide, points, values)]
        expected = local_rbf(*(t.float() for t in narrow), neighbors, 4, BASES[0])
        with torch.autocast(device, torch.bfloat16):
            result = local_rbf(*narrow, neighbors, 4, BASES[0])
            rows = neighbors.flatten(0, 2)
            left_out = local_rbf_leave_one_out(*narrow[1:], rows, BASES[0])
        assert left_out.dtype == torch.float32
        assert torch.equal(result, expected)

    def test_threads_do_not_matter(self, device: str) -> None:
        guide, points, values, neighbors = case(203, 310, 8, 9, dtype=torch.float32, device=device)
        before, seen = torch.get_num_threads(), []
        try:
            for threads in (1, 2, 5):
                torch.set_num_threads(threads)
                result = local_rbf(guide, points, values, neighbors, 8, BASES[1])
                rows = neighbors.flatten(0, 2)
                seen.append([result, local_rbf_leave_one_out(points, values, rows, BASES[1])])
        finally:
            torch.set_num_threads(before)
        for other in seen[1:]:
            assert all(torch.equal(a, b) for a, b in zip(seen[0], other, strict=True))

    def test_what_does_not_fit_stays_inside_memory(self, device: str) -> None:
        guide, points, values, neighbors = case(5, 7, 3, 4, device=device)
        rows, options = neighbors.flatten(0, 2), BASES[0].arguments
        calls = [
            lambda: native.local_rbf(guide[0], points, values, neighbors, 3, *options),
            lambda: native.local_rbf(guide, points[:, 1:], values, neighbors, 3, *options),
            lambda: native.local_rbf(guide, points, values[1:], neighbors, 3, *options),
            lambda: native.local_rbf(guide, points, values, neighbors[:, 1:], 3, *options),
            lambda: native.local_rbf(guide, points.float(), values, neighbors, 3, *options),
            lambda: native.local_rbf(guide, points, values, neighbors.int(), 3, *options),
            lambda: native.local_rbf(guide, points, values, neighbors[..., :0], 3, *options),
            lambda: native.local_rbf_leave_one_out(points, values, rows[:, :1], *options),
            lambda: native.local_rbf_leave_one_out(points, values, rows, 1.0, 1.0, 2, 0.0, 1.0),
            lambda: native.local_rbf_leave_one_out(points, values, rows, 1.0, 1.0, 0, 0.0, 0.0),
        ]
        if device == "cpu":
            calls.append(lambda: native.local_rbf_leave_one_out(points, values, rows + 9, *options))
            calls.append(lambda: native.local_rbf_leave_one_out(points, values, rows - 1, *options))
        for call in calls:
            with pytest.raises(RuntimeError):
                call()


def test_rejects_what_does_not_fit() -> None:
    guide, points, values, neighbors = case(5, 7, 3, 4)
    basis, rows = BASES[0], neighbors.flatten(0, 2)
    many = neighbors[..., :1].expand(-1, -1, -1, 97)
    given = (guide, points, values, neighbors, 3, basis)

    def wrong(place: int, value: object) -> Callable[[], object]:
        return lambda: local_rbf(*given[:place], value, *given[place + 1 :])  # type: ignore[arg-type]

    def wrong_row(place: int, value: Tensor) -> Callable[[], object]:
        tensors = [points, values, rows]
        tensors[place] = value
        return lambda: local_rbf_leave_one_out(*tensors, basis)

    nan = float("nan")
    cases = [
        (ValueError, "cell must be >= 1", wrong(4, 0)),
        (ValueError, r"guide must be \(B, C, H, W\)", wrong(0, guide[0])),
        (ValueError, r"points must be \(10, 5\)", wrong(1, points[:, 1:])),
        (TypeError, "points is torch.float32", wrong(1, points.float())),
        (TypeError, "values is torch.float32", wrong(2, values.float())),
        (TypeError, "neighbors is torch.int32", wrong(3, neighbors.int())),
        (ValueError, "neighbors must be ", wrong(4, 4)),
        (ValueError, "neighbors must have 4 dimensions", wrong(3, rows)),
        (ValueError, "neighbors must be 1 to 96, not 97", wrong(3, many)),
        (ValueError, "neighbors must be 1 to 96, not 0", wrong_row(2, rows[:, :1])),
        (ValueError, "points and values must be", wrong_row(0, points[0])),
        (TypeError, "points is torch.float16", wrong_row(0, points.half())),
        (ValueError, "radial must be one of .*, not 'cubic'", lambda: RadialBasis(1, 1, "cubic")),
        (ValueError, "position_scale must be > 0", lambda: RadialBasis(0, 1)),
        (ValueError, "guide_scale must be > 0, not nan", lambda: RadialBasis(1, nan)),
        (ValueError, "ridge must be > 0", lambda: RadialBasis(1, 1, ridge=0)),
        (ValueError, "tail must be >= 0", lambda: RadialBasis(1, 1, tail=-1)),
    ]
    for error, text, call in cases:
        with pytest.raises(error, match=text):
            call()


def test_shapes_on_no_device() -> None:
    guide, points, values, neighbors = (t.to("meta") for t in case(9, 20, 5, 6))
    assert local_rbf(guide, points, values, neighbors, 5, BASES[0]).shape == (2, 2, 9, 20)
    left_out = local_rbf_leave_one_out(points, values, neighbors.flatten(0, 2), BASES[0])
    assert left_out.shape == (16, 2)
