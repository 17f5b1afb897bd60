"""The equations against their definition, and against what they are for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from isp_meta.ops import RadialBasis, local_rbf, local_rbf_equations, reference
from isp_meta.ops.grid import grid_shape

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
TOLERANCE = {torch.float32: 2e-4, torch.float64: 1e-10}
BASES = [
    RadialBasis(6, 0.3, "exponential"),
    RadialBasis(6, 0.3, "rational", 0.7, 0.02),
]
# Height, width, cell, neighbors: one pixel, one line, a cell larger than the picture, ragged, more
# pixels in a cell than are evaluated at once, more systems in a row than fit side by side.
SHAPES = [
    (1, 1, 1, 1),
    (1, 13, 4, 3),
    (5, 7, 9, 5),
    (21, 35, 8, 16),
    (18, 40, 29, 4),
    (4, 44, 4, 2),
]
native = torch.ops.isp_meta.local_rbf_equations


def case(
    height: int,
    width: int,
    cell: int,
    size: int,
    colors: int = 3,
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
) -> tuple[Tensor, ...]:
    """guide, points, values, neighbors, guess, truth and weight of two pictures."""
    generator = torch.Generator().manual_seed(height * width + size)

    def rand(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    count = size + 6
    points = torch.cat([rand(count, 2) * torch.tensor([height, width]), rand(count, 3)], 1)
    neighbors = rand(2, *grid_shape(height, width, cell), count).argsort(-1)[..., :size]
    planes = (2, colors, height, width)
    # Dark ones ask for steps beyond the double, dark truth for steps back.
    guess, truth = rand(*planes) ** 3, rand(*planes) ** 3
    weight = (rand(2, 1, height, width) - 0.3).clamp(min=0)
    floats = rand(2, 3, height, width), points, rand(count, colors) - 0.5, guess, truth, weight
    guide, points, values, *rest = (t.to(device, dtype) for t in floats)
    return guide, points, values, neighbors.contiguous().to(device), *rest


@pytest.mark.parametrize("device", DEVICES)
class TestEquations:
    @pytest.mark.parametrize("dtype", TOLERANCE)
    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    @pytest.mark.parametrize("basis", BASES, ids=str)
    def test_are_what_is_defined(
        self, basis: RadialBasis, shape: tuple[int, int, int, int], dtype: torch.dtype, device: str
    ) -> None:
        *tensors, guess, truth, weight = case(*shape, dtype=dtype, device=device)
        wide = [t if t.dtype == torch.int64 else t.double() for t in tensors]
        for counts in (None, weight):
            found = local_rbf_equations(*tensors, shape[2], basis, guess, truth, counts)
            assert found.dtype == dtype
            more = [p.double() for p in (guess, truth, *([] if counts is None else [counts]))]
            expected = reference.local_rbf_equations(*wide, shape[2], basis, *more)
            limit = TOLERANCE[dtype]
            atol = limit * float(expected.abs().max())
            torch.testing.assert_close(found.double(), expected, rtol=limit, atol=atol)

    @pytest.mark.parametrize("colors", [1, 16])
    def test_any_number_of_colors(self, colors: int, device: str) -> None:
        *tensors, guess, truth, weight = case(9, 20, 5, 6, colors, device=device)
        found = local_rbf_equations(*tensors, 5, BASES[0], guess, truth, weight)
        expected = reference.local_rbf_equations(*tensors, 5, BASES[0], guess, truth, weight)
        torch.testing.assert_close(found, expected)

    def test_their_solution_meets_the_truth(self, device: str) -> None:
        """One system, as many pixels as samples: after some steps every pixel is met."""
        guide, points, values, neighbors, guess, *_ = case(2, 4, 4, 8, device=device)
        guide, neighbors, guess = (t[:1] for t in (guide, neighbors, guess))
        truth, basis = 0.1 + 0.5 * guess.flip(-1), RadialBasis(0.5, 0.1, ridge=1e-6)
        for _ in range(12):
            both = local_rbf_equations(
                guide, points, values, neighbors, 4, basis, guess + 0.1, truth
            )[0, 0, 0]
            chosen = neighbors.flatten()
            values[chosen] = torch.linalg.solve(both[:, :8], both[:, 8:])
        gain = local_rbf(guide, points, values, neighbors, 4, basis)
        torch.testing.assert_close((guess + 0.101) * gain.exp() - 1e-3, truth)

    def test_what_does_not_count_may_be_anything(self, device: str) -> None:
        *tensors, guess, truth, weight = case(21, 35, 8, 9, device=device)
        strange = truth.where(weight > 0, float("inf"))
        one, other = (
            local_rbf_equations(*tensors, 8, BASES[0], guess, part, weight)
            for part in (truth, strange)
        )
        assert torch.equal(one, other)

    def test_opcheck(self, device: str) -> None:
        tensors = case(9, 12, 5, 4, device=device)
        torch.library.opcheck(native.default, (*tensors, 5, *BASES[0].arguments))

    def test_threads_do_not_matter(self, device: str) -> None:
        *tensors, guess, truth, weight = case(64, 80, 8, 16, dtype=torch.float32, device=device)
        seen, before = [], torch.get_num_threads()
        try:
            for threads in (1, 3):
                torch.set_num_threads(threads)
                seen.append(local_rbf_equations(*tensors, 8, BASES[1], guess, truth, weight))
        finally:
            torch.set_num_threads(before)
        assert torch.equal(*seen)

    def test_what_does_not_fit_stays_inside_memory(self, device: str) -> None:
        given = (*case(9, 12, 5, 4, device=device), 5, *BASES[0].arguments)
        wrong = [(2, given[2][:, :0]), (4, given[4][:, :2]), (5, given[5][..., 1:]), (7, 0)]
        wrong += [(6, given[6][:1]), (5, given[5].float()), (3, given[3][:, :1])]
        wrong += [(3, given[3].repeat(1, 1, 1, 5))]
        if device == "cpu":
            wrong += [(3, given[3] + 9), (3, given[3] - 9)]
        for at, value in wrong:
            with pytest.raises(RuntimeError):
                native(*given[:at], value, *given[at + 1 :])


def test_rejects_what_does_not_fit() -> None:
    *tensors, guess, truth, weight = case(9, 12, 5, 4)
    rest = 5, BASES[0], guess, truth
    cases = [
        (ValueError, r"guess must be \(2, 3, 9, 12\)", (*tensors, 5, BASES[0], guess[:1], truth)),
        (TypeError, "truth is torch.float32", (*tensors, 5, BASES[0], guess, truth.float())),
        (ValueError, r"weight must be \(2, 1, 9, 12\)", (*tensors, *rest, weight[0])),
        (ValueError, "at least one value", (*tensors[:2], tensors[2][:, :0], tensors[3], *rest)),
        (ValueError, "at most 16 neighbors", (*tensors[:3], tensors[3].repeat(1, 1, 1, 5), *rest)),
        (ValueError, "neighbors must be", (*tensors[:3], tensors[3][:1], *rest)),
    ]
    for error, text, arguments in cases:
        with pytest.raises(error, match=text):
            local_rbf_equations(*arguments)


def test_has_no_gradient() -> None:
    *tensors, guess, truth, weight = case(9, 12, 5, 4)
    found = local_rbf_equations(*tensors, 5, BASES[0], guess.requires_grad_(), truth, weight)
    with pytest.raises(NotImplementedError, match=r"reference\.local_rbf_equations"):
        found.sum().backward()
    defined = reference.local_rbf_equations(*tensors, 5, BASES[0], guess, truth, weight)
    defined.sum().backward()
    assert bool(guess.grad.isfinite().all())
