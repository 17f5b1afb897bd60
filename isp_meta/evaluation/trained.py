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
from ..networks import load_published
from ..reconstruct import UNetReconstructor
from ..samplers import LearnedSampler

__all__ = ["Weights", "load"]


@dataclass(frozen=True, eq=False)
class Weights:
    """Trained networks, under the name that methods and tables call them by.

    Attributes:
        name: such as "main".
        sampler, reconstructor: what the files hold; None: no such network in them.
        about: facts for tables: ``files`` and the ``sha256`` of each; ``samples``, the kind that
            the networks were trained with, and ``meta_loss``, whether with the meta loss; both None
            where the files do not say, as those of the paper's code.
    """

    name: str
    sampler: Sampler | None = None
    reconstructor: Reconstructor | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, name: str, path: str | os.PathLike[str]) -> Weights:
        """Reads a file of one network, or a folder with a sampler's and a reconstructor's.

        Args:
            name: of the result.
            path: a file, as :func:`load` takes it, or a folder: with ``sampler.safetensors`` and
                ``reconstructor.safetensors`` or, failing both, with ``best_sampler.pt`` and
                ``best_reconstructor.pt``. One of the two is enough.

        Raises:
            WeightsFileError: it cannot be read, or holds no such network.
        """
        files = _files(Path(path))
        loaded = [load(file) for file in files]
        sampler = next((part for part, _ in loaded if part is not None), None)
        reconstructor = next((part for _, part in loaded if part is not None), None)
        digests = [hashlib.sha256(io.read_bytes(f, WeightsFileError)).hexdigest() for f in files]
        about = {"files": [file.name for file in files], "sha256": digests, **_facts(files[-1])}
        return cls(name, sampler, reconstructor, about)


def load(path: str | os.PathLike[str]) -> tuple[Sampler | None, Reconstructor | None]:
    """The network of a file.

    Args:
        path: what a training exported, in safetensors; or, called ``.pt`` or ``.pth``, a checkpoint
            of the code that the paper's authors published.

    Returns:
        A sampler, a reconstructor; None for the part that the file does not hold.

    Raises:
        WeightsFileError: missing, damaged, or neither of these.
    """
    if _is_published(path):
        return _published(path)
    return _exported(path)


_PAIRS = (
    ("sampler.safetensors", "reconstructor.safetensors"),
    ("best_sampler.pt", "best_reconstructor.pt"),
)


def _files(path: Path) -> list[Path]:
    """Those of a folder, the sampler's first; a file alone."""
    if not path.is_dir():
        return [path]
    for pair in _PAIRS:
        files = [path / name for name in pair if (path / name).exists()]
        if files:
            return files
    names = ", ".join(name for pair in _PAIRS for name in pair)
    raise WeightsFileError(f"{path}: holds none of {names}")


def _is_published(path: str | os.PathLike[str]) -> bool:
    return Path(path).suffix in (".pt", ".pth")


def _facts(path: Path) -> dict[str, Any]:
    """How a file's network was trained."""
    if _is_published(path):
        return {"samples": None, "meta_loss": None}
    config = _about(io.read_bytes(path, WeightsFileError), path)["config"]
    return {
        "samples": config.get("samples", {}).get("kind"),
        "meta_loss": config.get("loss", {}).get("meta", 0) > 0,
    }


def _published(path: str | os.PathLike[str]) -> tuple[Sampler | None, Reconstructor | None]:
    network = load_published(path)
    if network.outputs == 9:
        return LearnedSampler(network).eval(), None
    return None, UNetReconstructor(network).eval()


def _exported(path: str | os.PathLike[str]) -> tuple[Sampler | None, Reconstructor | None]:
    from ..training import systems  # loads what methods without networks do without
    from ..training.config import TrainingConfig

    data = io.read_bytes(path, WeightsFileError)
    about = _about(data, path)
    try:
        # The rest of the config is for people to read.
        config = {name: about["config"][name] for name in ("samples", about["part"])}
        sampler, reconstructor = systems.build(TrainingConfig.from_dict(config))
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
