"""The grid of cells over a picture, and what its ops accept.

A cell is ``cell`` pixels square; the last of a row or column may be partial. Around every pixel lie
nine neighbors, row-major, and 4 is the pixel's own cell:

    0 1 2
    3 4 5
    6 7 8
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "NEIGHBORS",
    "center_dtype",
    "check_beside",
    "check_cell",
    "check_pixels",
    "grid_shape",
    "has_autocast",
    "refused_gradient",
    "register_batches",
    "register_calls",
    "under_autocast",
]

NEIGHBORS = 9

_DTYPES = {
    "cpu": (torch.float32, torch.float64),
    "cuda": (torch.float32, torch.float64, torch.float16, torch.bfloat16),
}


def grid_shape(height: int, width: int, cell: int) -> tuple[int, int]:
    """(rows, columns) of cells over a picture; ``height``, ``width``, ``cell`` in pixels, >= 1."""
    # Not by -(-height // cell): ONNX rounds quotients toward zero.
    return (height + cell - 1) // cell, (width + cell - 1) // cell


def center_dtype(dtype: torch.dtype) -> torch.dtype:
    """Type in which cells are summed: the pixels' own, at least float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def check_cell(cell: int) -> None:
    """Raises TypeError or ValueError unless ``cell`` is an int >= 1."""
    if isinstance(cell, bool) or not isinstance(cell, (int, torch.SymInt)):
        raise TypeError(f"cell must be an int, not {type(cell).__name__}")
    if cell < 1:
        raise ValueError(f"cell must be >= 1, not {cell}")


def check_pixels(name: str, pixels: Tensor, channels: int | None = None) -> None:
    """Raises unless ``pixels`` is a non-empty (B, ``channels``, H, W) of a dtype its device has.

    Raises:
        ValueError: shape or device. TypeError: dtype.
    """
    if pixels.dim() != 4 or (channels is not None and pixels.shape[1] != channels):
        wanted = f"(B, {'C' if channels is None else channels}, H, W)"
        raise ValueError(f"{name} must be {wanted}, not {tuple(pixels.shape)}")
    if pixels.shape[2] < 1 or pixels.shape[3] < 1:
        raise ValueError(f"{name} holds an empty picture: {tuple(pixels.shape)}")
    device = pixels.device.type
    if device not in (*_DTYPES, "meta"):
        raise ValueError(f"{name} lies on {device}; the ops run on cpu and cuda")
    if pixels.dtype not in _DTYPES.get(device, _DTYPES["cuda"]):
        raise TypeError(
            f"{name} is {pixels.dtype}; on {device} the ops take floats: "
            f"{', '.join(map(str, _DTYPES.get(device, _DTYPES['cuda'])))}"
        )


def check_beside(
    name: str, tensor: Tensor, shape: tuple[int, ...], pixels: Tensor, dtypes: set[torch.dtype]
) -> None:
    """Raises unless ``tensor`` has that shape, one of ``dtypes``, and lies where ``pixels`` does.

    Raises:
        ValueError: shape or device. TypeError: dtype.
    """
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name} must be {shape}, not {tuple(tensor.shape)}")
    if tensor.device != pixels.device:
        raise ValueError(f"{name} lies on {tensor.device}, the pixels on {pixels.device}")
    if tensor.dtype not in dtypes:
        raise TypeError(f"{name} is {tensor.dtype} beside pixels of {pixels.dtype}")


def refused_gradient(name: str) -> Callable[..., Any]:
    """The backward of an operator that has none, and whose definition has one."""

    def backward(ctx: Any, grad: Tensor) -> None:
        raise NotImplementedError(
            f"{name} has no gradient: detach what it is given, "
            f"or take isp_meta.ops.reference.{name}, which has one"
        )

    return backward


def has_autocast(tensor: Tensor) -> bool:
    """Whether autocast is on where a tensor lies; on ``meta`` there is none to ask for."""
    device = tensor.device.type
    return device in _DTYPES and torch.is_autocast_enabled(device)


def under_autocast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors as they are; under autocast half types become float32, as for a softmax."""
    if not has_autocast(tensors[0]):
        return tensors
    return tuple(t.float() if t.dtype in (torch.float16, torch.bfloat16) else t for t in tensors)


def register_batches(operator: Callable[..., Tensor], name: str) -> None:
    """Lets ``torch.vmap`` run an operator on the batch B that its tensors already have.

    Args:
        operator: takes tensors (B, ...), then numbers; gives one tensor (B, ...).
        name: its qualified name.
    """

    def rule(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Tensor, int]:
        def fold(argument: Any, dim: int | None) -> Any:
            if not isinstance(argument, Tensor):
                return argument
            if dim is None:
                argument = argument.expand(info.batch_size, *argument.shape)
            else:
                argument = argument.movedim(dim, 0)
            return argument.flatten(0, 1)

        result = operator(*map(fold, arguments, in_dims))
        each = result.shape[0] // info.batch_size
        return result.reshape(info.batch_size, each, *result.shape[1:]), 0

    torch.library.register_vmap(name, rule)


def register_calls(operator: Callable[..., Any], name: str) -> None:
    """Lets ``torch.vmap`` run an operator whose tensors have no batch: one call after the other.

    Args:
        operator: takes tensors, then numbers; gives a tensor, or a tuple of them.
        name: its qualified name.
    """

    def rule(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Any, Any]:
        results = []
        for index in range(info.batch_size):
            pairs = zip(arguments, in_dims, strict=True)
            results.append(
                operator(*(a if dim is None else a.select(dim, index) for a, dim in pairs))
            )
        if isinstance(results[0], Tensor):
            return torch.stack(results), 0
        outputs = tuple(map(torch.stack, zip(*results, strict=True)))
        return outputs, (0,) * len(outputs)

    torch.library.register_vmap(name, rule)
