"""The trained networks that ship with the package, in the folder ``weights``, each with a card.

A file that recovery needs is never replaced: a better network gets another name, and pictures that
name the older one go on being read with it.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from torch import Tensor

from ..errors import WeightsFileError
from .depth import DepthNetwork
from .features import FeatureNetwork

__all__ = ["DEPTH", "FEATURES", "shipped_depth", "shipped_features"]

DEPTH = "bit-depth-1"
"""Name of the network that puts bits back."""

FEATURES = "features-1"
"""Name of the feature network that capture and recovery use."""

_FOLDER = Path(__file__).parent.parent / "weights"


def shipped_features(name: str = FEATURES) -> FeatureNetwork:
    """The shipped network of that name, on the CPU, in evaluation mode, without gradients.

    Args:
        name: that metadata may hold; a stranger may have written it.

    Raises:
        WeightsFileError: there is none.
    """
    return _features(name)


def shipped_depth(name: str = DEPTH) -> DepthNetwork:
    """The shipped network of that name, as :func:`shipped_features`."""
    return _depth(name)


@cache
def _features(name: str) -> FeatureNetwork:
    width, stored = _read(name)
    tensors = {key.removeprefix("features."): value for key, value in stored.items()}
    if "last.bias" not in tensors:
        raise _unknown(name)
    network = FeatureNetwork(len(tensors["last.bias"]), width, name)
    network.load_state_dict(tensors)
    return network.eval().requires_grad_(False)


@cache
def _depth(name: str) -> DepthNetwork:
    width, tensors = _read(name)
    if "to_half.bias" not in tensors:
        raise _unknown(name)
    network = DepthNetwork(width)
    network.load_state_dict(tensors)
    return network.eval().requires_grad_(False)


def _read(name: str) -> tuple[int, dict[str, Tensor]]:
    """Width and tensors of a file."""
    from safetensors import safe_open  # pictures without it need not wait

    path = _FOLDER / f"{name}.safetensors"
    if not re.fullmatch(r"[a-z0-9-]{1,32}", name) or not path.is_file():
        raise _unknown(name)
    with safe_open(path, "pt") as file:
        width = json.loads(file.metadata()["config"])["reconstructor"]["width"]
        return int(width), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def _unknown(name: str) -> WeightsFileError:
    return WeightsFileError(
        f"this version of isp_meta has no network called {name!r}; a newer one may have it"
    )
