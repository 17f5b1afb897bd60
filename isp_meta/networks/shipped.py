"""The trained networks that ship with the package, in the folder ``weights``, each with a card.

A file that recovery needs is never replaced: a better network gets another name, and pictures that
name the older one go on being read with it.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from ..errors import WeightsFileError
from .features import FeatureNetwork

__all__ = ["FEATURES", "shipped_features"]

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
    return _load(name)


@cache
def _load(name: str) -> FeatureNetwork:
    from safetensors import safe_open  # pictures without it need not wait

    path = _FOLDER / f"{name}.safetensors"
    if not re.fullmatch(r"[a-z0-9-]{1,32}", name) or not path.is_file():
        raise WeightsFileError(
            f"this version of isp_meta has no network called {name!r}; a newer one may have it"
        )
    with safe_open(path, "pt") as file:
        width = json.loads(file.metadata()["config"])["reconstructor"]["width"]
        stored = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    tensors = {key.removeprefix("features."): value for key, value in stored.items()}
    network = FeatureNetwork(len(tensors["last.bias"]), width, name)
    network.load_state_dict(tensors)
    return network.eval().requires_grad_(False)
