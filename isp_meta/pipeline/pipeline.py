"""A camera as a list: ``Pipeline([BlackLevel(), Demosaic(), ...])``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, overload

from torch import nn
from torch.utils.hooks import RemovableHandle

from ..camera import Camera
from ..errors import PipelineOrderError
from ..frame import Frame
from ..stage import Stage
from . import toml as pipeline_file
from .bands import pointwise_run, run_banded
from .blame import blaming, named
from .stopwatch import StageTime, Stopwatch

__all__ = ["Pipeline", "Which"]

Which = int | str | type[Stage]
"""A stage of a pipeline: its position, negative from the end; its class, or that class's name."""


class Pipeline(Stage):
    """Stages applied one after the other; itself a stage, so pipelines nest.

        frame ─▶ stages[0] ─▶ stages[1] ─▶ … ─▶ frame

    Each stage says which fields of :class:`Frame` it needs and gives. A field that no earlier stage
    gives must come in with the frame; one that only a *later* stage gives is a wrong order, refused
    here and not a minute into a photograph.

    Args:
        stages: in order of application.

    Raises:
        PipelineOrderError: a stage needs what only a later one gives; both are named.
        TypeError: an element that is no Stage, or a class in place of its instance.
    """

    def __init__(self, stages: Iterable[Stage]) -> None:
        super().__init__()
        given = list(stages)
        for position, stage in enumerate(given):
            if isinstance(stage, type) and issubclass(stage, Stage):
                name = stage.__name__
                raise TypeError(f"position {position} holds the class {name}; write {name}()")
            if not isinstance(stage, Stage):
                raise TypeError(
                    f"position {position} holds {type(stage).__name__}, which is no Stage"
                )
        self.stages = nn.ModuleList(given)
        self.needs, self.gives = self._check_order()

    def _check_order(self) -> tuple[frozenset[str], frozenset[str]]:
        needs: set[str] = set()
        given: set[str] = set()
        for position, stage in enumerate(self):
            for missing in sorted(stage.needs - given):
                for later in range(position + 1, len(self)):
                    maker = self[later]
                    if missing in maker.gives and missing not in maker.needs:
                        raise PipelineOrderError(
                            f"{type(stage).__name__} (position {position}) needs {missing}, which "
                            f"{type(maker).__name__} (position {later}) makes only after it",
                            position,
                        )
                needs.add(missing)
            given |= stage.gives
        return frozenset(needs), frozenset(given)

    @classmethod
    def from_toml(cls, source: str | os.PathLike[str]) -> Pipeline:
        """Builds a pipeline that was written down, such as by :meth:`to_toml`.

            [[stage]]
            name = "Demosaic"
            method = "bilinear"

        Args:
            source: a file; or, with a line break in it, the text itself.

        Raises:
            PipelineFileError: no such file, no TOML, an unknown stage or key, a value of a wrong
                type or out of range, a wrong order; names file, line and key.
        """
        return cls(pipeline_file.load(source, Pipeline))

    def to_toml(self) -> str:
        """The pipeline as text, which :meth:`from_toml` makes into an equal one, in float32.

        Raises:
            PipelineFileError: a stage that is not installed (see docs/stages.md), or holds what a
                file cannot, such as a sampler.
        """
        return pipeline_file.dump(self, Pipeline)

    def forward(self, frame: Frame, keep: Iterable[str] | None = None) -> Frame:
        """Runs every stage; runs of pointwise ones together, see :mod:`isp_meta.pipeline.bands`.

        Args:
            frame: what goes in.
            keep: fields wanted at the end; each other one is dropped as soon as no later stage
                needs it, which frees a large picture's memory. None: all are kept.

        Raises:
            PipelineOrderError: the frame lacks a field that a stage needs. Errors of a stage say
                which it is, by position and class.
        """
        return self._run(frame, keep, None)

    def profile(
        self, frame: Frame, keep: Iterable[str] | None = None
    ) -> tuple[Frame, list[StageTime]]:
        """Runs every stage as :meth:`forward` does, and measures each.

        Args:
            frame, keep: as in :meth:`forward`.

        Returns:
            What :meth:`forward` gives, and the seconds and memory of each stage, in order.
        """
        watch = Stopwatch(frame)
        return self._run(frame, keep, watch), watch.times

    def _run(self, frame: Frame, keep: Iterable[str] | None, watch: Stopwatch | None) -> Frame:
        kept = None if keep is None else frozenset(keep)
        rest = list(self)
        while rest:
            stage, position = rest[0], len(self) - len(rest)
            if missing := stage.needs - frame.filled:
                raise PipelineOrderError(
                    f"{named(position, stage)} needs {', '.join(sorted(missing))}, but the frame "
                    f"has only {', '.join(sorted(frame.filled)) or 'no fields'}"
                )
            group = pointwise_run(rest, frame)
            rest = rest[len(group) or 1 :]
            later = (stage.needs for stage in rest)
            wanted = frozenset(Frame.FIELDS) if kept is None else kept.union(*later)
            if group:
                frame, seconds = run_banded(group, frame, wanted, position)
            else:
                with blaming(position, stage):
                    frame, seconds = stage(frame), [1.0]
            if watch is not None:
                watch.lap(group or [stage], seconds)
            frame = frame.replace(**dict.fromkeys(frame.filled - wanted))
        return frame

    def tap(self, which: Which, look: Callable[[Frame], None]) -> RemovableHandle:
        """Calls ``look(frame)`` with what leaves one stage; ``.remove()`` the handle to stop.

        Args:
            which: stage; see :data:`Which`.
        """
        return self.find(which).register_forward_hook(lambda _stage, _args, out: look(out))

    def position(self, which: Which) -> int:
        """Where a stage stands, from 0.

        Args:
            which: see :data:`Which`.

        Raises:
            ValueError: there is none, or several of that class.
        """
        if isinstance(which, int):
            if not -len(self) <= which < len(self):
                raise ValueError(f"there is no stage {which} among {len(self)}")
            return which % len(self)
        name = which if isinstance(which, str) else which.__name__
        places = [
            place
            for place, stage in enumerate(self)
            if (
                type(stage).__name__ == which
                if isinstance(which, str)
                else isinstance(stage, which)
            )
        ]
        if len(places) == 1:
            return places[0]
        if places:
            where = " and ".join(map(str, places))
            raise ValueError(f"there are several {name}, at positions {where}; give one of these")
        present = ", ".join(type(stage).__name__ for stage in self) or "empty"
        raise ValueError(f"there is no {name} in this pipeline: {present}")

    def find(self, which: Which) -> Stage:
        """The stage of that position, class or class name; raises as :meth:`position`."""
        return self[self.position(which)]

    def until(self, which: Which) -> Pipeline:
        """The pipeline up to a stage, which is its last; raises as :meth:`position`."""
        return self[: self.position(which) + 1]

    def since(self, which: Which) -> Pipeline:
        """The pipeline from a stage on, which is its first; raises as :meth:`position`."""
        return self[self.position(which) :]

    def replace(self, which: Which, other: Stage) -> Pipeline:
        """A pipeline with another stage in one's place; all others are shared with this one.

        Args:
            which: stage; see :data:`Which`.
            other: takes its place.

        Raises:
            ValueError: as :meth:`position`. PipelineOrderError: ``other`` does not fit there.
        """
        place = self.position(which)
        return Pipeline([*self[:place], other, *self[place + 1 :]])

    def learn(self, *names: str) -> Pipeline:
        """Turns parameters of its stages into learned ones, in place; see :meth:`Stage.learn`.

        Args:
            names: of stages, or of one's parameter as in "ToneCurve.knots"; none: all there are.

        Raises:
            ValueError: there is no such stage or parameter.
        """
        for stage in [] if names else self:
            stage.learn()
        for name in names:
            which, _, parameter = name.partition(".")
            self.find(which).learn(*[parameter] if parameter else [])
        return self

    def project(self) -> None:
        """Brings the parameters of every stage back into their ranges, in place."""
        for stage in self:
            stage.project()

    def bind(self, camera: Camera) -> Pipeline:
        """A copy whose stages hold what they would ask that camera; see :meth:`Stage.bind`.

        Each is asked with the camera as the stages before it leave it (:meth:`Stage.camera_after`).
        """
        bound = []
        for stage in self:
            bound.append(stage.bind(camera))
            camera = stage.camera_after(camera)
        return Pipeline(bound)

    def camera_after(self, camera: Camera) -> Camera:
        """The camera as frames hold it behind the last stage; see :meth:`Stage.camera_after`."""
        for stage in self:
            camera = stage.camera_after(camera)
        return camera

    def arguments(self) -> dict[str, Any]:
        """The stages."""
        return {"stages": list(self)}

    def __len__(self) -> int:
        return len(self.stages)

    def __iter__(self) -> Iterator[Stage]:
        return iter(self.stages)  # type: ignore[arg-type]

    @overload
    def __getitem__(self, position: int) -> Stage: ...
    @overload
    def __getitem__(self, position: slice) -> Pipeline: ...
    def __getitem__(self, position: int | slice) -> Stage | Pipeline:
        if isinstance(position, slice):
            return Pipeline(list(self)[position])
        return list(self)[position]

    def __repr__(self) -> str:
        lines = [f"  {position}: {stage!r}" for position, stage in enumerate(self)]
        return "\n".join(["Pipeline([", *(line.replace("\n", "\n  ") for line in lines), "])"])
