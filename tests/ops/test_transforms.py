"""What every op does under torch.func, and with what is no tensor: all that ``ops`` offers."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from isp_meta import ops
from isp_meta.ops import reference
from isp_meta.ops.grid import grid_shape

HEIGHT, WIDTH, CELL = 9, 12, 4
ROWS, COLS = grid_shape(HEIGHT, WIDTH, CELL)
NAMES = [name for name in ops.__all__ if inspect.isfunction(getattr(ops, name))]


def values() -> dict[str, Any]:
    """An argument for each name that a parameter of an op has; an op to come may add its own."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    picture = random(1, 3, HEIGHT, WIDTH)
    return {
        "logits": random(1, 9, HEIGHT, WIDTH),
        "association": random(1, 9, HEIGHT, WIDTH).softmax(1),
        "features": picture,
        "centers": random(1, 3, ROWS, COLS),
        "guess": picture,
        "truth": picture**2,
        "srgb": picture,
        "raw": picture**2,
        "guide": picture,
        "points": torch.cat([random(5, 2) * HEIGHT, random(5, 3)], 1),
        "values": random(5, 3),
        "cell": CELL,
        "scale": 0.7,
        "basis": ops.RadialBasis(4.0, 1.0),
        "picture": picture[0],
        "cubic": random(3, 20) / 8,
        "table": random(3, 4, 4, 4) - 0.5,
        "weights": random(3, 4) - 0.5,
        "contrast": random(9, 3, 3),
        "index": torch.arange(5),
        "place": torch.tensor([[0, 1], [3, 2], [8, 8], [5, 0], [3, 3]]),
        "position": random(6, 2) * HEIGHT,
        "count": 3,
        "bright": 1.0,
        "active": 0.5,
    }


def arguments(name: str) -> dict[str, Any]:
    """What an op is called with: all that has no default."""
    found = inspect.signature(getattr(ops, name)).parameters.values()
    given = {p.name: values().get(p.name) for p in found if p.default is p.empty}
    if "neighbors" in given:
        rows = torch.arange(5)
        grid = rows[:3].expand(1, ROWS, COLS, -1).contiguous()
        given["neighbors"] = grid if "cell" in given else torch.stack([rows[:4], rows[1:]])
    if "active" in given:
        given["raw"] = given["raw"][0]
    if "active" in given and "weights" in given:
        generator = torch.Generator().manual_seed(1)
        given["weights"] = torch.rand(4, 6, 3, 72, generator=generator) - 0.5
    assert None not in given.values(), f"{name} takes what has no value in this test: {given}"
    return given


Run = Callable[[Tensor], Tensor]


def batched(op: Run) -> Run:
    return lambda x: torch.vmap(op)(x[None])


def total(op: Run) -> Run:
    return lambda x: op(x).square().sum()


def along(name: str) -> Iterator[tuple[str, Run, Run, Tensor]]:
    """Each floating argument of an op by itself: its name, the op and its definition of it."""
    given = arguments(name)
    for argument, value in given.items():
        if isinstance(value, Tensor) and value.is_floating_point():

            def of(function: Callable[..., Any], argument: str = argument) -> Any:
                def first(x: Tensor) -> Tensor:
                    found = function(**{**given, argument: x})
                    return (found if isinstance(found, Tensor) else found[0]).float()

                return first

            yield argument, of(getattr(ops, name)), of(getattr(reference, name)), value


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # of torch.compile
@pytest.mark.parametrize("name", NAMES)
class TestEveryOp:
    def test_forward_mode_is_refused_and_never_zero(self, name: str) -> None:
        for _argument, op, define, x in along(name):
            for run in (op, torch.compile(op, backend="eager"), batched(op)):
                with pytest.raises(NotImplementedError, match=f"ops.reference.{name}"):
                    torch.func.jvp(run, (x,), (torch.ones_like(x),))
            with forward_ad.dual_level():
                dual = forward_ad.make_dual(x, torch.ones_like(x))
                with pytest.raises(NotImplementedError, match=f"ops.reference.{name}"):
                    op(dual)
            torch.testing.assert_close(torch.func.jvp(define, (x,), (x,))[0], op(x))

    def test_func_gradients_are_refused_with_what_to_use(self, name: str) -> None:
        for _argument, op, define, x in along(name):
            for transformed in (
                torch.func.grad(total(op)),
                torch.func.jacrev(op),
                torch.func.jacfwd(op),
                torch.func.hessian(total(op)),
                functools.partial(torch.func.vjp, op),
                batched(torch.func.grad(total(op))),
                torch.func.grad(total(batched(op))),
            ):
                with pytest.raises(NotImplementedError, match=r"torch\.autograd\.grad.*reference"):
                    transformed(x)
            assert torch.func.grad(total(define))(x).shape == x.shape

    def test_vmap_is_one_call_for_each(self, name: str) -> None:
        before = torch._C._functorch._is_vmap_fallback_enabled()
        torch._C._functorch._set_vmap_fallback_enabled(False)
        try:
            for argument, op, _define, x in along(name):
                many = torch.stack([x, x.flip(-1), x * 0.5], 1)
                each = torch.stack([op(one) for one in many.unbind(1)])
                assert torch.equal(torch.vmap(op, in_dims=1)(many), each), argument
        finally:
            torch._C._functorch._set_vmap_fallback_enabled(before)

    def test_arrays_are_refused_by_name(self, name: str) -> None:
        given = arguments(name)
        tensors = [argument for argument, value in given.items() if isinstance(value, Tensor)]
        assert tensors
        for argument in tensors:
            wrong = {**given, argument: given[argument].numpy()}
            text = rf"{argument} must be a torch.Tensor, not numpy.ndarray; pass torch\.from_numpy"
            with pytest.raises(TypeError, match=text):
                getattr(ops, name)(**wrong)
            with pytest.raises(TypeError, match=text):
                getattr(ops, name)(*wrong.values())
            with pytest.raises(TypeError, match=f"{argument} must be a torch.Tensor, not list"):
                getattr(ops, name)(**{**given, argument: [1.0]})
