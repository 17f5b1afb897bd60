"""A training's state on disk, and its result.

last.pt                      everything that the next step depends on
best.pt                      that of the best validation
sampler.safetensors          networks of the best validation: weights, and in the file's metadata
reconstructor.safetensors    the config, the step and the figures
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from ..errors import TrainingError
from ..io import write_atomic
from ..io.output import UNFINISHED

__all__ = ["export", "load", "remove_unfinished", "save_atomic"]

_FORMAT = 1


def save_atomic(path: Path, state: Mapping[str, Any]) -> None:
    """Writes a checkpoint so that it is there completely or not at all, replacing an older one.

    Args:
        path: target.
        state: tensors, numbers, text, and dicts and lists of them.

    Raises:
        OutputError: it cannot be written; the older one is intact.
    """
    content = {"format": _FORMAT, **state}
    write_atomic(path, lambda file: torch.save(content, file), overwrite=True)


def remove_unfinished(folder: Path) -> None:
    """Removes what a training that was killed had begun to write.

    Raises:
        OSError: it cannot be removed.
    """
    for file in folder.glob(UNFINISHED):
        file.unlink(missing_ok=True)


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads a checkpoint, without running anything that it may hold.

    Args:
        path: file of :func:`save_atomic`.

    Raises:
        TrainingError: it cannot be read, or is no checkpoint of a training.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise TrainingError(f"{path}: {error.strerror or error}") from error
    except Exception as error:  # a damaged file may fail in any way
        raise TrainingError(f"{path}: is damaged, or no checkpoint") from error
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        raise TrainingError(f"{path}: is no checkpoint of a training, or of another version")
    return state


def export(path: Path, network: nn.Module, about: Mapping[str, Any]) -> None:
    """Writes a network's weights as safetensors.

    Args:
        path: target; an older one is replaced.
        network: its ``state_dict`` is written in float32 as it is, contiguous.
        about: the file's metadata; each value as JSON.

    Raises:
        OutputError: it cannot be written.
    """
    tensors = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    metadata = {key: json.dumps(value) for key, value in about.items()}
    write_atomic(path, save(tensors, metadata=metadata), overwrite=True)
