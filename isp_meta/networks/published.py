"""The checkpoints that the paper's authors published."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import WeightsFileError

__all__ = ["load_published"]

_SHOWN = 3


def load_published(path: str | os.PathLike[str], network: nn.Module) -> None:
    """Loads best_sampler.pt or best_reconstructor.pt of the paper's published code.

    Names may begin with "module.", as ``DataParallel`` makes them, and the weights may lie in an
    entry "state_dict". The file is read without running any code that it may hold. The sampler
    chooses as the authors' does in a :class:`LearnedSampler` with ``clip=1, mask_outside=False``.

    Args:
        path: of the file.
        network: a :class:`UNet` of the same inputs, outputs and width; changed only when the whole
            file fits.

    Raises:
        WeightsFileError: no such file, damaged, no checkpoint, or of another network.
    """
    weights = _weights(path)
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
                f"{path}: {name} is {tuple(weights[name].shape)}, the network's is "
                f"{tuple(tensor.shape)}; inputs, outputs or width differ"
            )
        if tensor.is_floating_point() and not bool(weights[name].isfinite().all()):
            raise WeightsFileError(f"{path}: {name} is not finite")
    network.load_state_dict(weights)


def _listed(names: set[str]) -> str:
    shown = ", ".join(sorted(names)[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    if not Path(path).is_file():
        raise WeightsFileError(f"{path}: no such file")
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
    return {name.removeprefix("module."): value for name, value in content.items()}
