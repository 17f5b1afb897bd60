"""Trained networks from files, to be compared."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors

from .. import io
from ..errors import TrainingError, WeightsFileError
from ..frame import Reconstructor, Sampler

__all__ = ["Weights", "load"]


@dataclass(frozen=True, eq=False)
class Weights:
    """Trained networks, under the name that methods and tables call them by.

    Attributes:
        name: such as "main".
        sampler, reconstructor: what the files hold; None: no such network in them.
        about: facts for tables: ``files`` and the ``sha256`` of each; ``samples``, the kind that
            the networks were trained with, and ``meta_loss``, whether with the meta loss.
    """

    name: str
    sampler: Sampler | None = None
    reconstructor: Reconstructor | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, name: str, path: str | os.PathLike[str]) -> Weights:
        """Reads a file of one network, or a folder with ``sampler.safetensors`` and its partner.

        Raises:
            WeightsFileError: it cannot be read, or holds no network of ours.
        """
        folder = Path(path)
        names = ("sampler.safetensors", "reconstructor.safetensors")
        files = [folder / each for each in names] if folder.is_dir() else [folder]
        files = [file for file in files if file.exists()] if folder.is_dir() else files
        if not files:
            raise WeightsFileError(f"{path}: holds none of {', '.join(names)}")
        loaded = [load(file) for file in files]
        sampler = next((part for part, _ in loaded if part is not None), None)
        reconstructor = next((part for _, part in loaded if part is not None), None)
        digests = [hashlib.sha256(io.read_bytes(f, WeightsFileError)).hexdigest() for f in files]
        config = _about(io.read_bytes(files[-1], WeightsFileError), files[-1])["config"]
        about = {
            "files": [file.name for file in files],
            "sha256": digests,
            "samples": config.get("samples", {}).get("kind"),
            "meta_loss": config.get("loss", {}).get("meta", 0) > 0,
        }
        return cls(name, sampler, reconstructor, about)


def load(path: str | os.PathLike[str]) -> tuple[Sampler | None, Reconstructor | None]:
    """The network of a safetensors file that a training exported.

    Returns:
        A sampler, a reconstructor; None for the part that the file does not hold.

    Raises:
        WeightsFileError: missing, damaged, or not written by a training of ours.
    """
    from ..training import systems  # loads what methods without networks do without
    from ..training.config import TrainingConfig

    data = io.read_bytes(path, WeightsFileError)
    about = _about(data, path)
    try:
        sampler, reconstructor = systems.build(TrainingConfig.from_dict(about["config"]))
        parts = {"sampler": sampler, "reconstructor": reconstructor}
        part = parts[about["part"]]
        if part is None:
            raise KeyError(about["part"])
        part.network.load_state_dict(load_tensors(data))
        part.eval()
    except (TrainingError, SafetensorError, RuntimeError, KeyError) as error:
        cause = str(error).splitlines()[0]
        raise WeightsFileError(f"{path}: does not fit the network it names ({cause})") from error
    is_sampler = about["part"] == "sampler"
    return (sampler, None) if is_sampler else (None, reconstructor)


def _about(data: bytes, path: str | os.PathLike[str]) -> dict[str, Any]:
    """The metadata of a safetensors file, whose values are JSON.

    Source: the safetensors format: eight bytes of length, little endian, then the header in JSON.
    """
    try:
        size = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + size])["__metadata__"]
        about = {key: json.loads(metadata[key]) for key in ("part", "config")}
        if not isinstance(about["part"], str) or not isinstance(about["config"], dict):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WeightsFileError(f"{path}: holds no network that isp-meta train wrote") from error
    return about
