"""What every operator of this package refuses before it looks at shapes.

Each argument that is annotated as a Tensor must be one. PyTorch's rules for operators of other
packages know reverse mode and vmap alone: forward mode would find no rule and give a tangent of
zero, and the transforms of ``torch.func`` fail in a text about PyTorch's own insides.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.autograd import forward_ad

__all__ = ["operator"]

P = ParamSpec("P")
R = TypeVar("R")


def operator(function: Callable[P, R]) -> Callable[P, R]:
    """Decorates a public operator, whose module `isp_meta.ops.reference` holds its definition.

    The function raises:
        TypeError: an argument that is to be a Tensor is a NumPy array, or anything else.
        NotImplementedError: under ``torch.func.jvp``, ``grad`` and the like, or on a dual tensor.
    """
    name = function.__name__
    signature = inspect.signature(function)
    tensors = [p.name for p in signature.parameters.values() if p.annotation == "Tensor"]

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        given = dict(zip(signature.parameters, args, strict=False)) | kwargs
        for argument in tensors:
            if argument in given:
                _check(name, argument, given[argument])
        return function(*args, **kwargs)

    return checked


def _check(name: str, argument: str, value: Any) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"{argument} must be a torch.Tensor, not {_kind(value)}")
    if _is_differentiated(value):
        raise NotImplementedError(
            f"{name} has derivatives in reverse mode alone, and none for torch.func (jvp, grad, "
            "vjp, jacrev and the like): use torch.autograd.grad, or "
            f"isp_meta.ops.reference.{name}, which is plain PyTorch"
        )


def _kind(value: Any) -> str:
    kind = type(value)
    named = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    return f"{named}; pass torch.from_numpy(...) of it" if named == "numpy.ndarray" else named


def _is_differentiated(value: Tensor) -> bool:
    """Whether a tensor has a tangent, or a transform of ``torch.func`` is to differentiate it."""
    functorch = torch._C._functorch
    # A compiler does not look through these; what they find, it refuses in a text of its own.
    while not torch.compiler.is_compiling() and functorch.is_functorch_wrapped_tensor(value):
        if functorch.is_gradtrackingtensor(value):
            return True
        value = functorch.get_unwrapped(value)
    return forward_ad.unpack_dual(value).tangent is not None  # type: ignore[no-untyped-call]
