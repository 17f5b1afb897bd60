"""The checkpoints that the paper's authors published."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ..errors import WeightsFileError
from .unet import UNet

__all__ = ["load_published"]

_SHOWN = 3

# Inputs and outputs of the paper's networks, and how each ends.
_HEADS: dict[tuple[int, int], Literal["linear", "sigmoid"]] = {(6, 9): "linear", (7, 3): "sigmoid"}


def load_published(path: str | os.PathLike[str]) -> UNet:
    """The network of a best_sampler.pt or best_reconstructor.pt of the paper's published code.

    Names may begin with "module.", as ``DataParallel`` makes them, and the weights may lie in an
    entry "state_dict". The file is read without running any code that it may hold. The sampler
    chooses as the authors' does in a :class:`LearnedSampler` with ``clip=1, mask_outside=False``.

    Args:
        path: of the file.

    Returns:
        A network of the file's width, in evaluation mode: of 6 inputs and 9 outputs, the sampler,
        or of 7 and 3, the reconstructor.

    Raises:
        WeightsFileError: no such file, damaged, no checkpoint, or of another network.
    """
    weights = _weights(path)
    network = _empty(path, weights)
    wanted = network.state_dict()
    for fault, names in (
        ("lacks", wanted.keys() - weights.keys()),
        ("has unknown", weights.keys() - wanted.keys()),
    ):
        if names:
            raise WeightsFileError(f"{path}: {fault} {_listed(names)}; it is of another network")
    for name, tensor in wanted.items():
        if weights[name].shape != tensor.shape:
            raise WeightsFileError(
                f"{path}: {name} is {tuple(weights[name].shape)}, not {tuple(tensor.shape)} as the "
                f"other layers have it"
            )
        if not bool(weights[name].isfinite().all()):
            raise WeightsFileError(f"{path}: {name} is not finite")
    cast = {name: weights[name].to(tensor.dtype) for name, tensor in wanted.items()}
    network.load_state_dict(cast, assign=True)
    return network.eval()


def _empty(path: str | os.PathLike[str], weights: dict[str, Tensor]) -> UNet:
    """The network that a file's first and last layer belong to, without memory for its weights."""
    first, last = weights.get("encoder1.enc1conv1.weight"), weights.get("conv.weight")
    if first is None or last is None or first.ndim != 4 or last.ndim != 4:
        raise WeightsFileError(f"{path}: lacks the layers of the paper's networks")
    width, inputs, outputs = first.shape[0], first.shape[1], last.shape[0]
    if (inputs, outputs) not in _HEADS or width < 1:
        raise WeightsFileError(
            f"{path}: takes {inputs} channels and gives {outputs}; the paper's sampler takes 6 and "
            "gives 9, its reconstructor 7 and 3"
        )
    with torch.device("meta"):
        return UNet(inputs, outputs, width, _HEADS[inputs, outputs])


def _listed(names: set[str]) -> str:
    shown = ", ".join(sorted(names)[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    if not Path(path).is_file():
        raise WeightsFileError(f"{path}: no such file")
    size = Path(path).stat().st_size
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    # What torch.load raises on bytes that are no checkpoint depends on where it stumbles.
    except (
        RuntimeError,
        OSError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        AssertionError,
        pickle.UnpicklingError,
    ) as error:
        cause = str(error).partition("\n")[0]
        raise WeightsFileError(f"{path}: damaged, or no checkpoint of weights: {cause}") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not content:
        raise WeightsFileError(f"{path}: holds {type(content).__name__}, not weights by name")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise WeightsFileError(f"{path}: {name!r} is {type(value).__name__}, not a tensor")
    # A tensor may repeat a few stored numbers without end.
    if sum(value.numel() * value.element_size() for value in content.values()) > size:
        raise WeightsFileError(f"{path}: describes larger tensors than it holds")
    return {name.removeprefix("module."): value for name, value in content.items()}
