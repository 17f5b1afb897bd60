"""What a stage of a pipeline is, and what it can say of itself."""

from __future__ import annotations

import copy
import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from . import lazily
from .camera import Camera
from .frame import Frame

__all__ = ["Range", "Stage"]

# Stages are compiled.
lazily.loaded()


@dataclass(frozen=True)
class Range:
    """Where a stage's parameter may lie.

    Attributes:
        low, high: bounds, both included.
        unit: such as "stops", "pixels", "kelvin"; empty for a plain ratio.
    """

    low: float = -math.inf
    high: float = math.inf
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g} {self.unit}".rstrip()


class Stage(nn.Module, ABC):
    """One step of a pipeline: a thin Module over a pure function of its name.

    ``needs`` and ``gives`` name fields of :class:`Frame`; :class:`isp_meta.Pipeline` checks them
    when it is built. A stage keeps each argument of its constructor as the attribute of that name,
    so that it can be written to a file and made again (:meth:`arguments`).

    Attributes:
        needs, gives: fields of Frame read, and filled.
        ranges: of its parameters, by name.
        files: parameters that name files; in a pipeline's file they are relative to it.
        pointwise: every pixel of the result depends on the same pixel alone, whatever its place;
            the pipeline may then run it on a part of the picture.
        tensors_alone: its result is a function of tensors that a graph and ``torch.vmap`` can
            follow; libjpeg, lists of what is found and seeds are none.
    """

    needs: frozenset[str] = frozenset()
    gives: frozenset[str] = frozenset()
    ranges: ClassVar[Mapping[str, Range]] = {}
    files: ClassVar[frozenset[str]] = frozenset()
    pointwise: ClassVar[bool] = False

    @property
    def tensors_alone(self) -> bool:
        """See the class."""
        return True

    @abstractmethod
    def forward(self, frame: Frame) -> Frame:
        """Returns a new Frame with the fields in ``gives`` filled."""

    def hold(self, name: str, value: Any) -> None:
        """Keeps a number or array as the parameter of that name.

        Args:
            name: of the constructor's argument, with its Range in ``ranges``, if it has one.
            value: an ``nn.Parameter`` is learned; numbers, sequences and tensors become a buffer,
                float32 unless they are a floating-point tensor; None stays None, which stands for
                what the frame's camera says.

        Raises:
            ValueError: not finite, or outside its range; the text names stage and parameter.
        """
        if isinstance(value, nn.Parameter):
            self.register_parameter(name, value)
        elif value is None:
            self.register_buffer(name, None)
        else:
            given = torch.as_tensor(value)
            self.register_buffer(name, given if given.is_floating_point() else given.float())
        held = getattr(self, name)
        allowed = self.ranges.get(name, Range())
        if held is None:
            return
        if not bool(torch.isfinite(held).all()):
            raise ValueError(f"{type(self).__name__}: {name} must be finite")
        if not bool(((held >= allowed.low) & (held <= allowed.high)).all()):
            raise ValueError(f"{type(self).__name__}: {name} must be {allowed}, not {value}")

    def learn(self, *names: str) -> Stage:
        """Turns parameters into learned ones, in place.

        Args:
            names: of parameters; none: all that have a range and a value.

        Raises:
            ValueError: there is no such parameter, or it is None (see :meth:`bind`).
        """
        for name in names or [n for n in self.ranges if getattr(self, n, None) is not None]:
            value = getattr(self, name, None)
            if not isinstance(value, Tensor):
                raise ValueError(f"{type(self).__name__} has no parameter {name} to learn")
            if not isinstance(value, nn.Parameter):
                delattr(self, name)
                self.register_parameter(name, nn.Parameter(value.detach().clone()))
        return self

    def project(self) -> None:
        """Brings the parameters back into their ranges, in place, after a step of an optimizer."""
        for name, allowed in self.ranges.items():
            value = getattr(self, name, None)
            if isinstance(value, Tensor):
                value.data.clamp_(allowed.low, allowed.high)

    def bind(self, camera: Camera) -> Stage:
        """A copy that no longer asks the frame's camera: what it would say is now held.

        Args:
            camera: whose calibration is taken.
        """
        return copy.deepcopy(self)

    def camera_after(self, camera: Camera) -> Camera:
        """The camera as frames hold it behind this stage, which may choose another neutral.

        Args:
            camera: as frames hold it before.
        """
        return camera

    @classmethod
    def constructor(cls) -> dict[str, inspect.Parameter]:
        """The constructor's arguments by name, in order."""
        named = inspect.signature(cls.__init__).parameters.values()
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        return {item.name: item for item in named if item.kind in kinds and item.name != "self"}

    def arguments(self) -> dict[str, Any]:
        """Arguments of the constructor that make this stage again: numbers, texts, lists, None."""
        values = {name: getattr(self, name) for name in self.constructor()}
        return {
            name: value.tolist() if isinstance(value, Tensor) else value
            for name, value in values.items()
        }
