"""Methods, renderings and inputs of a benchmark by their command-line names.

METHOD = [WEIGHTS:]SAMPLING[-effort-N]+RECONSTRUCTION[-enhanced]    main:learned-effort-1+unet
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from ..capture.loop import MOST_EFFORT, ClosedLoopSampler
from ..capture.residual import DEFAULT_STEP
from ..evaluation import FileInput, Method, Rendering, Weights, shipped, training_free
from ..frame import Reconstructor, Sampler
from ..pipeline import Pipeline
from .console import stop
from .pipelines import make_preset

__all__ = ["Methods", "file_inputs", "load_weights", "renderings", "split"]

_TRAINING_FREE, _SHIPPED, _TRAINED = _SETS = "training-free", "shipped", "trained"
# What stands for a network, and the class that a file of weights must hold for it.
_LEARNED = {"learned": "LearnedSampler", "free-form": "FreeFormSampler"}
_NETWORKS = {
    "unet": "UNetReconstructor",
    "residual-unet": "ResidualUNetReconstructor",
    "features": "FeatureReconstructor",
}
# What ships: an enhancement corrects nothing else.
_ENHANCED = "features-enhanced"
_EFFORT = re.compile(rf"(.+)-effort-([1-{MOST_EFFORT}])")
Network = TypeVar("Network", Sampler, Reconstructor)


def split(text: str) -> list[str]:
    """The items of a comma list, each once."""
    return list(dict.fromkeys(item for item in (part.strip() for part in text.split(",")) if item))


def load_weights(options: Iterable[str]) -> dict[str, Weights]:
    """The networks that ``--weights NAME=FILE`` name; a file or folder alone is named by its stem.

    Raises:
        WeightsFileError: a file that cannot be read.
    """
    found: dict[str, Weights] = {}
    for option in options:
        name, equals, path = option.partition("=")
        if not equals:
            name, path = Path(option).stem, option
        if not re.fullmatch(r"[\w.-]+", name):
            stop(f"--weights {option}: a name has letters, digits, dots, dashes", 2)
        if name in found:
            stop(f"--weights {option}: {name} is given twice", 2)
        found[name] = Weights.load(name, path)
    return found


class Methods:
    """Makes methods of names; methods that name the same sampler share it, and so its samples.

    Args:
        cell: one pixel in cell² is kept by the samplers that have no weights.
        seed: of the random sampler.
        weights: by name.
    """

    def __init__(self, cell: int, seed: int, weights: Mapping[str, Weights]) -> None:
        self.weights = weights
        self.free = {method.name: method for method in training_free(cell, seed)}
        self.shipped = {method.name: method for method in shipped(cell)}
        methods = self.free.values()
        self.samplers = {method.sampling: method.sampler for method in methods}
        self.reconstructors = {m.reconstruction: m.reconstructor for m in methods if not m.fit}

    def of(self, text: str) -> list[Method]:
        """The methods of a comma list, in its order, each once."""
        found: dict[str, Method] = {}
        for item in split(text):
            for name in self._set(item) if item in _SETS else [item]:
                method = self._one(name)
                found.setdefault(method.name, method)
        if not found:
            stop(f"--methods names none; there are {self._known()}", 2)
        return list(found.values())

    def _set(self, name: str) -> list[str]:
        """The methods of a set."""
        if name == _TRAINING_FREE:
            return list(self.free)
        if name == _SHIPPED:
            return list(self.shipped)
        if not self.weights:
            stop(f"--methods {name}: takes --weights NAME=FILE", 2)
        return [self._whole(weights) for weights in self.weights.values()]

    @staticmethod
    def _whole(weights: Weights) -> str:
        """A file's sampler with its reconstructor; one that it lacks is the plainest."""
        sampling = _kind(weights.sampler, _LEARNED) or "uniform"
        reconstruction = _kind(weights.reconstructor, _NETWORKS) or "local-rbf"
        return f"{weights.name}:{sampling}+{reconstruction}"

    def _one(self, name: str) -> Method:
        if name in self.free:
            return self.free[name]
        if name in self.shipped:
            return self.shipped[name]
        prefix, _, plain = name.rpartition(":")
        sampling, _, reconstruction = plain.partition("+")
        tried = _EFFORT.fullmatch(sampling)
        chooser, effort = (tried[1], int(tried[2])) if tried else (sampling, 0)
        # What is fitted to a picture or enhanced is what ships, whatever features weights hold.
        ships = reconstruction == _ENHANCED or (effort > 0 and reconstruction == "features")
        trained = chooser in _LEARNED or (reconstruction in _NETWORKS and not ships)
        if (
            chooser not in {**self.samplers, **_LEARNED}
            or reconstruction not in {**self.reconstructors, **_NETWORKS, _ENHANCED: ""}
            or (chooser == "none" and (effort or ships))
            or not (trained or effort or ships)
            or (prefix and not trained)
        ):
            stop(f"--methods {name}: there is no such method; there are {self._known()}", 2)
        weights = self._weights(name, prefix) if trained else None
        sampler = self.samplers.get(chooser)
        if weights is not None and chooser in _LEARNED:
            sampler = _held(name, weights, weights.sampler, _LEARNED[chooser])
        reconstructor = self.shipped["uniform+features"].reconstructor
        if not ships:
            reconstructor = self._reconstructor(name, weights, reconstruction)
        if effort and sampler is not None:
            enhanced = reconstruction == _ENHANCED
            sampler = ClosedLoopSampler(sampler, effort, reconstructor, enhanced=enhanced)
        step = DEFAULT_STEP if reconstruction == _ENHANCED else None
        return Method(sampling, reconstruction, sampler, reconstructor, weights, enhancement=step)

    def _reconstructor(self, name: str, weights: Weights | None, kind: str) -> Reconstructor | None:
        """That of the weights; features that they lack are those that ship."""
        if weights is None or kind not in _NETWORKS:
            return self.reconstructors.get(kind)
        if kind == "features" and _kind(weights.reconstructor, _NETWORKS) != kind:
            return self.shipped["uniform+features"].reconstructor
        return _held(name, weights, weights.reconstructor, _NETWORKS[kind])

    def _weights(self, name: str, prefix: str) -> Weights:
        """Those of the prefix; without one, the only ones that were given."""
        if not prefix and len(self.weights) == 1:
            prefix = next(iter(self.weights))
        if prefix not in self.weights:
            given = ", ".join(f"{each}:" for each in self.weights)
            stop(f"--methods {name}: put {given or '--weights NAME=FILE'} before it", 2)
        return self.weights[prefix]

    def _known(self) -> str:
        return (
            f"{_TRAINING_FREE} ({', '.join(self.free)}), {_SHIPPED} ({', '.join(self.shipped)}) "
            f"and, with --weights, {_TRAINED} and "
            f"[WEIGHTS:]SAMPLING[-effort-1 to {MOST_EFFORT}]+RECONSTRUCTION: "
            f"{', '.join([*self.samplers, *_LEARNED])} + "
            f"{', '.join([*self.reconstructors, *_NETWORKS, _ENHANCED])}"
        )


def _kind(network: object, kinds: Mapping[str, str]) -> str | None:
    return next((name for name, kind in kinds.items() if type(network).__name__ == kind), None)


def _held(name: str, weights: Weights, network: Network | None, kind: str) -> Network:
    if network is None or type(network).__name__ != kind:
        stop(f"--methods {name}: {', '.join(weights.about['files'])}: no {kind} in it", 2)
    return network


def renderings(text: str) -> list[Rendering]:
    """The renderings of a comma list: presets, and pipelines in .toml files.

    Raises:
        PipelineFileError: no such preset, or a file that is not right.
        PipelineOrderError: a pipeline that does not lead from raw to srgb.
    """
    return [_rendering(name) for name in split(text)]


def _rendering(name: str) -> Rendering:
    if name.endswith(".toml"):
        return Rendering(Path(name).stem, Pipeline.from_toml(name))
    return Rendering(name, make_preset(name))


def file_inputs(text: str) -> list[FileInput]:
    """The inputs of a comma list: ``16bit``, ``8bit`` or ``jpeg`` and its quality."""
    return [_file_input(name) for name in split(text)]


def _file_input(name: str) -> FileInput:
    found = re.fullmatch(r"(?:(16|8)bit|jpeg([1-9]\d?|100))", name)
    if found is None:
        stop(f"--input {name}: must be 16bit, 8bit or jpeg1 to jpeg100", 2)
    return FileInput(int(found[1])) if found[1] else FileInput(8, int(found[2]))
