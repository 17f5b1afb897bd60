"""What a capture can be told: each option is declared once, with its help, range and choices.

    field ─▶ Option ─┬─▶ checks values when options are made
                     └─▶ the command line makes a flag of it

Loads no PyTorch before a sampler or a rate is asked for: help and completion need not wait for it.
"""

from __future__ import annotations

import functools
import math
import typing
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

if TYPE_CHECKING:
    from ..codec import Steps
    from ..frame import Sampler
    from .rate import Rate

__all__ = ["CaptureOptions", "Option", "declared"]

# Side of a sampler's cells, pixels: one sample in 64 pixels, about 1.5 %.
_CELL = 8


def option(default: Any, help: str, low: float = 0, high: float = math.inf) -> Any:
    """A field with its help in a line, and the bounds of its value, both included."""
    return field(default=default, metadata={"help": help, "low": low, "high": high})


@dataclass(frozen=True)
class CaptureOptions:
    """How a picture is captured: plain values, which travel to other machines and into JSON.

    A rate (``bpp``, ``size`` or ``psnr``) finds ``cell`` and ``levels``. What ``effort`` brings
    comes on top of a PSNR; of a budget that its model would take a quarter of, effort stores none.

    ``coding="predicted"`` takes an eighth to a quarter less room, but is lost once a pixel of the
    picture changes; ``"packed"`` is for simple readers. ``values="control"`` stores those that
    make the result of recovery best; ``"measured"`` what the sensor saw at these pixels, which
    every reconstructor but the default one needs, and fine-tuning a network.
    ``lossless=True`` predicts the mosaic from the picture's pixels, and a picture that is encoded
    again falls back to the samples; ``"alone"`` takes about a quarter more and outlives that.

    Raises:
        ValueError: a value of another type, out of range or none of the choices; several rates, or
            a rate with a cell or levels; control values at effort 0. The text names the option.
    """

    quality: int = option(95, "Quality of a JPEG.", 1, 100)
    subsampling: Literal["4:4:4", "4:2:2", "4:2:0"] = option(
        "4:4:4", "Chroma subsampling of a JPEG."
    )
    sampler: Literal["superpixel", "uniform", "random"] | None = option(
        None, "How pixels are chosen; by default uniform, at effort 0 superpixel."
    )
    cell: int | None = option(
        None, f"One sample in cell x cell pixels, by default {_CELL}.", 1, 256
    )
    levels: int | None = option(
        None, "Steps of a stored value from black to white, by default 256.", 1, 65535
    )
    values: Literal["control", "measured"] | None = option(
        None, "Stored values: those that recover best, the default, or, as at effort 0, measured."
    )
    coding: Literal["predicted", "range", "packed"] = option("range", "Coding of stored values.")
    bpp: float | None = option(None, "Metadata of at most so many bits a pixel.")
    size: int | None = option(None, "Metadata of at most so many bytes.")
    psnr: float | None = option(
        None, "The least metadata that recovers the raw to so many dB; slow."
    )
    effort: int = option(
        1, "Search for what recovers best: 0 none, 2 where samples lie, too; slower.", high=2
    )
    enhancement: float | None = option(
        None, "Steps of what recovery still misses, in parts of full scale: 0.015; 0: none.", high=1
    )
    carrier: Literal["app11", "com", "chunk", "tag", "sidecar"] | None = option(
        None, "Where metadata goes: app11 or com of a JPEG, chunk of a PNG, tag of a TIFF ..."
    )
    depth: Literal[8, 16] | None = option(
        None, "Bits of a sample in a PNG (default 8) or TIFF (default 16)."
    )
    gps: bool = option(False, "Copy where the raw was taken, too.")
    editor_tags: int = option(
        16384, "Bytes for what raw editors need: gain maps, profile ...; 0: none."
    )
    lossless: Literal[False, True, "alone"] = option(False, "Keep the whole mosaic, to the bit.")
    force: bool = option(False, "Go on although an existing picture does not seem to fit the raw.")

    def __post_init__(self) -> None:
        for each in declared():
            object.__setattr__(self, each.name, each.checked(getattr(self, each.name)))
        if self.enhancement:
            from ..codec import Enhancement

            Enhancement.exponent_of(self.enhancement)
        if self.rate is not None and (self.cell, self.levels) != (None, None):
            raise ValueError("bpp, size and psnr find cell and levels; leave those out")
        if self.values == "control" and not self.effort:
            raise ValueError("values must be measured at effort 0, which finds no others")

    @property
    def rate(self) -> Rate | None:
        """What metadata may take or must reach; None: it takes what cell and levels ask for."""
        if self.bpp is self.size is self.psnr is None:
            return None
        from .rate import Rate

        return Rate(self.bpp, self.size, self.psnr, self.make_sampler)

    @property
    def steps(self) -> Steps | None:
        """That values are stored in; None: the default ones, or what a rate finds."""
        from ..codec import Steps

        return None if self.levels is None else Steps(self.levels)

    def make_sampler(self, cell: int | None = None) -> Sampler:
        """The sampler that is named; if none is, superpixels where nothing is tried, else uniform.

        By trying, samples are moved to where they serve best, and the others' places take no bits.

        Args:
            cell: side of its cells, pixels; in place of the options' own.
        """
        from .. import samplers

        cell = cell or self.cell or _CELL
        if self.sampler == "random":
            return samplers.RandomSampler(0, 1 / cell**2)
        if self.sampler == "superpixel" or (self.sampler is None and self.effort == 0):
            return samplers.SuperpixelSampler(cell)
        return samplers.UniformSampler(cell)


@dataclass(frozen=True)
class Option:
    """What a field of :class:`CaptureOptions` declares.

    Attributes:
        name, default: of the field.
        help: in a line.
        low, high: bounds of a number, both included; infinite where there is none.
        type: of its values but None, such as int or Literal[8, 16].
        optional: None is a value, too.
    """

    name: str
    default: Any
    help: str
    low: float
    high: float
    type: Any
    optional: bool

    @property
    def choices(self) -> tuple[Any, ...]:
        """The only values; (): all numbers within the bounds."""
        return (False, True) if self.type is bool else get_args(self.type)

    @property
    def kind(self) -> type:
        """int, float, str or bool; of choices that of the first."""
        kind: type = type(self.choices[0]) if self.choices else self.type
        return kind

    def checked(self, value: Any) -> Any:
        """A value as its field holds it.

        Raises:
            ValueError: it is of another type, out of range or none of the choices.
        """
        if value is None and self.optional:
            return None
        if self.kind is float and type(value) is int and abs(value) < 1 << 53:
            value = float(value)
        if not (self._is_choice(value) if self.choices else self._is_number(value)):
            raise ValueError(f"{self.name} must be {self._allowed()}, not {value!r}")
        return value

    def _is_choice(self, value: Any) -> bool:
        # To Python 1 is True, but not to those who read it as JSON.
        return any(type(value) is type(known) and value == known for known in self.choices)

    def _is_number(self, value: Any) -> bool:
        return type(value) is self.kind and self.low <= value <= self.high and value != math.inf

    def _allowed(self) -> str:
        if self.choices:
            *others, last = map(str, self.choices)
            return f"{', '.join(others)} or {last}"
        if self.high == math.inf:
            return f"at least {self.low}"
        return f"{self.low} to {self.high}"


@functools.cache
def declared() -> tuple[Option, ...]:
    """The options, in the order of their fields."""
    hints = typing.get_type_hints(CaptureOptions)
    return tuple(
        Option(each.name, each.default, **each.metadata, **_read(hints[each.name]))
        for each in fields(CaptureOptions)
    )


def _read(hint: Any) -> dict[str, Any]:
    """What a field's type says: its values' type, and whether None is one of them."""
    members = [hint] if get_origin(hint) in (None, Literal) else get_args(hint)
    (kind,) = (member for member in members if member is not type(None))
    return {"type": kind, "optional": type(None) in members}
