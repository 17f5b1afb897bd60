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


def option(default: Any, help: str, low: float = -math.inf, high: float = math.inf) -> Any:
    """A field with its help in a line, and the bounds of its value, both included."""
    return field(default=default, metadata={"help": help, "low": low, "high": high})


@dataclass(frozen=True)
class CaptureOptions:
    """How a picture is captured: plain values, which travel to other machines and into JSON.

    A rate (``bpp``, ``size`` or ``psnr``) finds ``cell`` and ``levels``. What ``effort`` brings
    comes on top of a PSNR; of a budget that its model would take a quarter of, effort stores none.

    ``coding="predicted"`` takes an eighth to a quarter less room, but is lost once a pixel of the
    picture changes; ``"packed"`` is for simple readers. ``effort=2`` stores values that serve
    recovery best in place of the measured ones, which fine-tuning a network would need.
    ``lossless=True`` predicts the mosaic from the picture's pixels, and a picture that is encoded
    again falls back to the samples; ``"alone"`` takes about a quarter more and outlives that.

    Raises:
        ValueError: a value of another type, out of range or none of the choices; several rates, or
            a rate with a cell or levels. The text names the option.
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
        None, "Steps of a stored value from black to white, by default 320.", 1, 65535
    )
    coding: Literal["predicted", "range", "packed"] = option("range", "Coding of stored values.")
    bpp: float | None = option(None, "At most so many bits of metadata a pixel.", 0)
    size: int | None = option(None, "At most so many bytes of metadata.", 0)
    psnr: float | None = option(None, "As few metadata as recover the raw to so many dB; slow.", 0)
    effort: int = option(
        1, "Search for what makes recovery best; at 2 stored values are no longer measured.", 0, 2
    )
    enhancement: float | None = option(
        None, "Steps of what recovery still misses, in parts of full scale: 0.03; 0: none.", 0, 1
    )
    carrier: Literal["app11", "com", "chunk", "tag", "sidecar"] | None = option(
        None, "Where metadata goes: app11 or com of a JPEG, chunk of a PNG, tag of a TIFF ..."
    )
    depth: Literal[8, 16] | None = option(
        None, "Bits of a sample in a PNG (default 8) or TIFF (default 16)."
    )
    gps: bool = option(False, "Copy where the raw was taken, too.")
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
        kind: int, float, str or bool; of choices that of the first.
        choices: the only values; (): all numbers within the bounds.
        low, high: the bounds, both included; infinite where there is none.
        optional: None is a value, too.
    """

    name: str
    default: Any
    help: str
    kind: type
    choices: tuple[Any, ...]
    low: float
    high: float
    optional: bool

    def checked(self, value: Any) -> Any:
        """A value as its field holds it.

        Raises:
            ValueError: it is of another type, out of range or none of the choices.
        """
        if value is None and self.optional:
            return None
        if self.kind is float and type(value) is int:
            value = float(value)
        if self.choices:
            # To Python 1 is True, but not to those who read it as JSON.
            fits = any(type(value) is type(known) and value == known for known in self.choices)
        else:
            fits = (
                isinstance(value, int | float)
                and type(value) is self.kind
                and math.isfinite(value)
                and self.low <= value <= self.high
            )
        if not fits:
            raise ValueError(f"{self.name} must be {self._allowed()}, not {value!r}")
        return value

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
    """What a field's type says: kind, choices, and whether it is optional."""
    members = [hint] if get_origin(hint) in (None, Literal) else get_args(hint)
    (kind,) = (member for member in members if member is not type(None))
    choices = (False, True) if kind is bool else get_args(kind)
    return {
        "kind": type(choices[0]) if choices else kind,
        "choices": choices,
        "optional": type(None) in members,
    }
