"""Every scene, as every camera renders it and every file keeps it, through every method.

scene ─▶ Rendering ─▶ FileInput ─┬─▶ sampler ─▶ coded, decoded ─┐
  │ raw                          └──────────────────────────────┴─▶ reconstructor ─▶ estimate
  └───────────────────────────────────────── measure ◀──────────────────────────────────┘
"""

from __future__ import annotations

import importlib
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..comparison.fidelity import Fidelity, measure
from ..errors import IspMetaError, OutputError
from ..frame import Frame
from ..pictures.error_maps import ErrorMaps
from ..scenes import find_scenes, read_scene, scene_name
from .methods import Captured, Chosen, Method, Rebuilt
from .renderings import FileInput, Rendering
from .results import Record, Results

__all__ = ["Benchmark", "benchmark", "made_folder"]

Progress = Callable[[str], None]

# What a damaged file, a picture too small for a method or too large for memory ends with.
_FAILURES = (IspMetaError, ValueError, OSError, MemoryError, RuntimeError)


@dataclass(frozen=True)
class Benchmark:
    """What is to be measured.

    Attributes:
        methods, renderings, inputs: each with each, under different names.
        fine_tune: steps of fine-tuning, each >= 0, for methods that can be tuned; others run once.
        shrink: scenes are averaged over so many pixels a side first, as the paper's were by 4.
        bits: depth of a stored value, 8 to 16.
        note: about the scenes, such as how they were split; kept with the results.
        settings: further values for the results, that figures depend on (such as ``seed``).

    Raises:
        ValueError: nothing to measure, a name twice, or a number out of range.
    """

    methods: Sequence[Method]
    renderings: Sequence[Rendering]
    inputs: Sequence[FileInput] = (FileInput(8),)
    fine_tune: Sequence[int] = (0,)
    shrink: int = 1
    bits: int = 14
    note: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what in ("methods", "renderings", "inputs"):
            names = [item.name for item in getattr(self, what)]
            if not names or len(set(names)) < len(names):
                raise ValueError(f"{what} must be at least one, each under a name of its own")
        if not self.fine_tune or min(self.fine_tune) < 0:
            raise ValueError("fine_tune must be numbers of steps, >= 0")

    def describe(self, scenes: Sequence[str]) -> dict[str, Any]:
        """Settings for the results."""
        weights = {m.weights.name: dict(m.weights.about) for m in self.methods if m.weights}
        return {
            "scenes": list(scenes),
            "note": self.note,
            "methods": {method.name: method.describe() for method in self.methods},
            "renderings": {each.name: repr(each.pipeline) for each in self.renderings},
            "inputs": [each.name for each in self.inputs],
            "fine_tune": list(self.fine_tune),
            "shrink": self.shrink,
            "bits": self.bits,
            **self.settings,
            "weights": weights,
            "versions": {
                "isp_meta": version("isp-meta"),
                "torch": torch.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
                "system": platform.platform(),
            },
            "threads": torch.get_num_threads(),
        }


def benchmark(
    folder: str | os.PathLike[str],
    plan: Benchmark,
    *,
    results: Results | None = None,
    done: Callable[[Results], None] | None = None,
    maps: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Measures every method on every scene; one scene is in memory at a time.

    A scene that cannot be read, and a method that fails on one, become records with ``error``.

    Args:
        folder: of scenes, see :func:`isp_meta.scenes.find_scenes`.
        plan: what to measure.
        results: of an earlier run with the same settings; what they hold is not measured again.
        done: called after each scene with all results so far, such as to write them.
        maps: a folder for pictures of samples and errors: ``SCENE/RENDERING-INPUT.png``, see
            :class:`isp_meta.pictures.ErrorMaps`.
        progress: called with what is at work.

    Raises:
        ImageFileError: no scenes. ResultsError: ``results`` are of other settings.
        OutputError: a picture of ``maps`` cannot be written.
    """
    paths = find_scenes(folder)
    names = [scene_name(path, folder) for path in paths]
    found = results or Results()
    settings = plan.describe(names)
    if found.settings:
        found.check_same(settings, "the earlier results", but=("scenes",))
    found.settings = settings
    # Loaded now, so that the first method's seconds are its own.
    importlib.import_module("scipy.spatial")
    for number, (name, path) in enumerate(zip(names, paths, strict=True), 1):
        run = _Scene(plan, name, found.done(), progress or _silent, f"{number}/{len(names)} {name}")
        found.forget_errors(name)
        for record in run.records(path, None if maps is None else Path(maps)):
            found.add(record)
        if done is not None:
            done(found)
    return found


def made_folder(path: Path) -> Path:
    """The folder, with those above it, made where it is not there.

    Raises:
        OutputError: it cannot be made; names it and the cause.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot make this folder ({error.strerror})") from error
    return path


def _silent(_text: str) -> None:
    pass


@dataclass
class _Scene:
    """One scene's way through the plan."""

    plan: Benchmark
    name: str
    done: set[tuple[Any, ...]]
    progress: Progress
    label: str

    def records(self, path: Path, maps: Path | None) -> Iterator[Record]:
        """One record a rendering, input, method and number of steps, but for those done."""
        wanted = product(self.plan.renderings, self.plan.inputs)
        if not any(self._missing(rendering, file) for rendering, file in wanted):
            return
        self._say("reading")
        try:
            scene = read_scene(path, shrink=self.plan.shrink)
        except _FAILURES as error:
            yield {"scene": self.name, "error": str(error)}
            return
        for rendering in self.plan.renderings:
            if not any(self._missing(rendering, file) for file in self.plan.inputs):
                continue
            self._say(rendering.name, "rendering")
            try:
                srgb = rendering(scene)
            except _FAILURES as error:
                yield {"scene": self.name, "rendering": rendering.name, "error": str(error)}
                continue
            for file in self.plan.inputs:
                yield from self._picture(scene, srgb, rendering, file, maps)

    def _picture(
        self, scene: Frame, srgb: Tensor, rendering: Rendering, file: FileInput, maps: Path | None
    ) -> Iterator[Record]:
        tasks = self._missing(rendering, file)
        if tasks and maps is not None:
            tasks = self._tasks()  # a sheet shows all methods, on one scale
        shown = scene.replace(srgb=file(srgb))
        sheet = ErrorMaps(shown) if tasks and maps is not None else None
        chosen: dict[object, Chosen] = {}
        for method, steps in tasks:
            self._say(rendering.name, file.name, _title(method, steps))
            record: Record = {
                **{"scene": self.name, "rendering": rendering.name, "input": file.name},
                **{"method": method.name, "fine_tune": steps},
            }
            try:
                if method.keeper not in chosen:
                    chosen[method.keeper] = method.choose(shown)
                kept = method.capture(shown, self.plan.bits, chosen[method.keeper])
                rebuilt = method.rebuild(kept, steps)
                fidelity = measure(rebuilt.raw, scene)
            except _FAILURES as error:
                yield {**record, "error": f"{type(error).__name__}: {error}"}
                continue
            yield {**record, **_figures(fidelity, kept, rebuilt, scene)}
            if sheet is not None:
                sheet.add(_title(method, steps), method.keeper, kept.frame, rebuilt.raw, fidelity)
        if sheet is not None and maps is not None:
            sheet.write(made_folder(maps / self.name) / f"{rendering.name}-{file.name}.png")

    def _tasks(self) -> list[tuple[Method, int]]:
        return [
            (method, steps)
            for method in self.plan.methods
            for steps in (self.plan.fine_tune if method.tunable else (0,))
        ]

    def _missing(self, rendering: Rendering, file: FileInput) -> list[tuple[Method, int]]:
        picture = self.name, rendering.name, file.name
        return [
            (method, steps)
            for method, steps in self._tasks()
            if (*picture, method.name, steps) not in self.done
        ]

    def _say(self, *parts: str) -> None:
        self.progress(", ".join([self.label, *parts]))


def _title(method: Method, steps: int) -> str:
    return f"{method.name}, tuned {steps}" if steps else method.name


def _figures(fidelity: Fidelity, kept: Captured, rebuilt: Rebuilt, scene: Frame) -> Record:
    height, width = scene.require("raw", "benchmark").shape[-2:]
    stored = kept.stored
    return {
        "height": height,
        "width": width,
        **asdict(fidelity),
        "samples": stored.samples,
        "bits_positions": stored.positions,
        "bits_values": stored.values,
        "bits_parameters": stored.parameters,
        "bits_enhancement": stored.enhancement,
        "bits_total": stored.total,
        "bits_per_pixel": stored.content / (height * width),
        "bits_per_pixel_total": stored.total / (height * width),
        "seconds_capture": kept.seconds,
        "seconds_fine_tuning": rebuilt.fine_tuning,
        "seconds_reconstruction": rebuilt.seconds,
    }
