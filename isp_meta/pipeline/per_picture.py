"""Several cameras at once: each picture of a batch through stages of its own.

    pictures ─▶ those whose stages differ in numbers alone ─▶ one call, numbers stacked ─▶ pictures

There are few such groups, however many pictures there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..camera import Camera, Neutral
from ..errors import PipelineOrderError
from ..frame import Frame
from ..stage import Stage
from .pipeline import Pipeline

__all__ = ["PerPicture", "stacked"]


class PerPicture(Stage):
    """A stage for each picture of a batch.

    Pictures whose stages differ in their numbers alone are taken together, by ``torch.vmap`` over
    pictures and numbers; a picture without a stage stays as it is. The numbers are buffers or
    parameters of the stages given, which are learned and moved as ever.

    Args:
        stages: one for each picture, or None; they need and give the same fields.

    Raises:
        ValueError: no stage at all, or stages that need or give other fields than the first, or
            without a stage nothing would give those fields; when called, the batch has another
            number of pictures.
    """

    def __init__(self, stages: Sequence[Stage | None]) -> None:
        super().__init__()
        present = [stage for stage in stages if stage is not None]
        if not present:
            raise ValueError("PerPicture takes a stage for one picture at least")
        first = present[0]
        for stage in present:
            if (stage.needs, stage.gives) != (first.needs, first.gives):
                raise ValueError(
                    f"{type(stage).__name__} and {type(first).__name__} need or give other fields"
                )
        if len(present) < len(stages) and not first.gives <= first.needs:
            raise ValueError(f"a picture without {type(first).__name__} lacks what it gives")
        self.needs, self.gives = first.needs, first.gives
        self.present = nn.ModuleList(present)
        self.places = [place for place, stage in enumerate(stages) if stage is not None]
        self.pictures = len(stages)
        self._kinds = [_kind(stage) for stage in present]

    @property
    def stages(self) -> list[Stage | None]:
        """Those given."""
        at: dict[int, Any] = dict(zip(self.places, self.present, strict=True))
        return [at.get(place) for place in range(self.pictures)]

    def forward(self, frame: Frame) -> Frame:
        """Fills or replaces what the stages give."""
        taken = {name: frame.require(name, by="PerPicture") for name in sorted(self.needs)}
        for name, picture in taken.items():
            if picture.dim() != 4 or len(picture) != self.pictures:
                raise ValueError(
                    f"PerPicture: {name} must be ({self.pictures}, C, H, W), "
                    f"not {tuple(picture.shape)}"
                )
        made = {name: taken[name] for name in self.gives & self.needs}
        lights: list[Neutral | None] = [
            _neutral(frame.camera, place) for place in range(self.pictures)
        ]
        space = frame.space
        for places, stages in self._groups(lights):
            index = torch.tensor(places, device=next(iter(taken.values())).device)
            fields = {name: picture.index_select(0, index) for name, picture in taken.items()}
            camera = frame.camera.replace(neutral=lights[places[0]])
            done = _together(stages, Frame(camera, **fields, space=frame.space))
            for number, place in enumerate(places):
                lights[place] = _neutral(done.camera, number)
            space = done.space
            for name in self.gives:
                found = getattr(done, name)
                if name not in made:
                    made[name] = found.new_zeros(self.pictures, *found.shape[1:])
                made[name] = made[name].index_copy(0, index, found)
        return frame.replace(**made, camera=frame.camera.replace(neutral=_all(lights)), space=space)

    def _groups(self, lights: Sequence[Neutral | None]) -> list[tuple[list[int], list[Stage]]]:
        """Pictures that are taken together, and their stages."""
        found: dict[Any, tuple[list[int], list[Stage]]] = {}
        for place, kind, stage in zip(self.places, self._kinds, self.present, strict=True):
            places, stages = found.setdefault((kind, lights[place]), ([], []))
            places.append(place)
            stages.append(stage)  # type: ignore[arg-type]
        return list(found.values())

    def arguments(self) -> dict[str, Any]:
        """The stages."""
        return {"stages": self.stages}

    def project(self) -> None:
        """Brings the parameters of every stage back into their ranges, in place."""
        for stage in self.present:
            stage.project()  # type: ignore[operator]

    def bind(self, camera: Camera) -> PerPicture:
        """A copy whose stages hold what they would ask that camera."""
        return PerPicture([None if s is None else s.bind(camera) for s in self.stages])


def _numbers(stage: Stage) -> dict[str, Tensor]:
    return dict((*stage.named_parameters(), *stage.named_buffers()))


def _kind(stage: Stage) -> tuple[Any, ...]:
    """What stages must have in common for one call to serve them."""
    numbers = _numbers(stage)
    shapes = tuple((name, tuple(value.shape), value.dtype) for name, value in numbers.items())
    others = {name: value for name, value in stage.arguments().items() if name not in numbers}
    return type(stage), shapes, repr(others)


def _neutral(camera: Camera, picture: int) -> Neutral | None:
    """What one picture of a batch was balanced to."""
    given = camera.neutral
    return given[picture] if given and isinstance(given[0], tuple) else given  # type: ignore[return-value]


def _all(lights: Sequence[Neutral | None]) -> Neutral | tuple[Neutral, ...] | None:
    """The same as ``Camera.neutral`` has it."""
    first, *others = lights
    if all(other == first for other in others):
        return first
    if None in lights:
        raise ValueError("PerPicture: either all of the pictures are balanced as shot, or none is")
    return tuple(light for light in lights if light is not None)


def _together(stages: Sequence[Stage], frame: Frame) -> Frame:
    """Each picture through the stage of its place, all of one kind."""
    first, held = stages[0], [_numbers(stage) for stage in stages]
    if not (differ := [name for name in held[0] if _differs([own[name] for own in held])]):
        return first(frame)  # type: ignore[no-any-return]
    pictures = {name: getattr(frame, name) for name in frame.filled}
    camera, spaces = frame.camera, [frame.space]
    if not torch.compiler.is_compiling():
        camera = camera.replace(neutral=_all([_neutral(s.camera_after(camera), 0) for s in stages]))

    def one(numbers: dict[str, Tensor], single: dict[str, Tensor]) -> dict[str, Tensor]:
        given = frame.replace(**single)
        done = torch.func.functional_call(first, numbers, (given,))
        spaces.append(done.space)
        return {name: getattr(done, name) for name in first.gives}

    if first.tensors_alone:
        numbers = {name: torch.stack([own[name] for own in held]) for name in differ}
        made = torch.vmap(one, randomness="different")(numbers, pictures)
    else:
        done = [
            one(own, {name: picture[number] for name, picture in pictures.items()})
            for number, own in enumerate(held)
        ]
        made = {name: torch.stack([single[name] for single in done]) for name in first.gives}
    return frame.replace(**made, camera=camera, space=spaces[-1])


def _differs(values: Sequence[Tensor]) -> bool:
    """Whether numbers must be stacked: a graph cannot ask for their values."""
    if torch.compiler.is_compiling() or any(value.requires_grad for value in values):
        return True
    return any(not torch.equal(value, values[0]) for value in values[1:])


def stacked(pipelines: Iterable[Pipeline]) -> Pipeline:
    """One pipeline for a batch, each of whose pictures goes through one of the given.

    Stages are brought together by their classes: the pipelines must agree in their order, but each
    may lack what another has.

    Args:
        pipelines: as many as there are pictures; every class of stages at most once in each.

    Returns:
        A pipeline of :class:`PerPicture` stages, for frames whose fields are (N, C, H, W). Picture
        i comes out as ``pipelines[i]`` makes it alone, but for rounding.

    Raises:
        PipelineOrderError: stages in another order in one than in another. ValueError: no pipeline,
            or several stages of one class in one.
    """
    given = [list(pipeline) for pipeline in pipelines]
    named = [{type(stage): stage for stage in stages} for stages in given]
    if not given or any(len(by) != len(stages) for by, stages in zip(named, given, strict=True)):
        raise ValueError("pipelines to stack take one at least, and no class of stages twice")
    left = [list(by) for by in named]
    order: list[type[Stage]] = []
    while any(left):
        heads = dict.fromkeys(rest[0] for rest in left if rest)
        # The first that no other pipeline has only later.
        free = [kind for kind in heads if not any(kind in rest[1:] for rest in left)]
        if not free:
            names = ", ".join(kind.__name__ for kind in heads)
            raise PipelineOrderError(f"the pipelines have {names} in different orders")
        order.append(free[0])
        left = [rest[1:] if rest and rest[0] is free[0] else rest for rest in left]
    return Pipeline(PerPicture([by.get(kind) for by in named]) for kind in order)
