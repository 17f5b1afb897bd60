"""A camera as a list: ``Pipeline([BlackLevel(), Demosaic(), ...])``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import overload

from torch import nn
from torch.utils.hooks import RemovableHandle

from .errors import PipelineOrderError
from .frame import Frame
from .stage import Stage

__all__ = ["Pipeline"]


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
        TypeError: an element that is no Stage.
    """

    def __init__(self, stages: Iterable[Stage]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        for position, stage in enumerate(self.stages):
            if not isinstance(stage, Stage):
                raise TypeError(
                    f"position {position} holds {type(stage).__name__}, which is no Stage"
                )
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
                            f"{type(maker).__name__} (position {later}) makes only after it"
                        )
                needs.add(missing)
            given |= stage.gives
        return frozenset(needs), frozenset(given)

    def forward(self, frame: Frame, keep: Iterable[str] | None = None) -> Frame:
        """Runs every stage.

        Args:
            frame: what goes in.
            keep: fields wanted at the end; each other one is dropped as soon as no later stage
                needs it, which frees a large picture's memory. None: all are kept.

        Raises:
            PipelineOrderError: the frame lacks a field that a stage needs.
        """
        for position, stage in enumerate(self):
            missing = stage.needs - frame.filled
            if missing:
                raise PipelineOrderError(
                    f"{type(stage).__name__} needs {', '.join(sorted(missing))}, but the frame "
                    f"has only {', '.join(sorted(frame.filled)) or 'no fields'}"
                )
            frame = stage(frame)
            if keep is not None:
                wanted = frozenset(keep).union(*(later.needs for later in self[position + 1 :]))
                frame = frame.replace(**dict.fromkeys(frame.filled - wanted))
        return frame

    def tap(self, position: int, look: Callable[[Frame], None]) -> RemovableHandle:
        """Calls ``look(frame)`` with what leaves one stage; ``.remove()`` the handle to stop.

        Args:
            position: index of the stage, negative from the end.
        """
        return self[position].register_forward_hook(lambda _stage, _args, out: look(out))

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
