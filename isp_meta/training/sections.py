"""Sections of a config file as dataclasses that check their values and name what is wrong."""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping
from dataclasses import field, fields, is_dataclass
from typing import Any

from ..errors import TrainingError
from ..io.toml_file import described, fits

__all__ = ["Section", "number", "read_table"]


def number(default: Any, low: float, high: float = float("inf"), *, above: bool = False) -> Any:
    """A field whose value lies in [low, high], or in (low, high] if ``above``."""
    return field(default=default, metadata={"low": low, "high": high, "above": above})


class Section:
    """Base of a frozen dataclass whose fields are checked when it is made.

    Types are those of the annotations, ranges those of :func:`number`; a class attribute
    ``SECTION`` is the section's name in errors.

    Raises:
        TrainingError: names section and key.
    """

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for item in fields(self):  # type: ignore[arg-type]
            name = f"{_section(type(self))}{item.name}"
            value, hint = getattr(self, item.name), hints[item.name]
            if not fits(value, hint):
                raise TrainingError(f"{name}: must be {described(hint)}, not {value!r}")
            try:
                if hint is float:
                    object.__setattr__(self, item.name, float(value))
                if isinstance(value, list):
                    object.__setattr__(self, item.name, tuple(value))
                if item.metadata and value is not None:
                    _check_range(value, item.metadata, name)
            except OverflowError:
                raise TrainingError(f"{name}: is too large a number") from None


def _section(kind: type) -> str:
    name = getattr(kind, "SECTION", "")
    return f"[{name}] " if name else ""


def _check_range(value: float, limits: Mapping[str, Any], name: str) -> None:
    low, high, above = limits["low"], limits["high"], limits["above"]
    if (low < value if above else low <= value) and value <= high and math.isfinite(value):
        return
    bound = "above" if above else "at least"
    upper = "" if high == float("inf") else f" and at most {high:g}"
    raise TrainingError(f"{name}: must be {bound} {low:g}{upper}, not {value!r}")


def read_table(kind: Any, table: Any, place: str = "") -> Any:
    """A section, or a dataclass of sections, of a table.

    Args:
        kind: the class.
        table: what the file has.
        place: what errors begin with; empty for the whole.

    Raises:
        TrainingError: an unknown key, a value of another type or out of range.
    """
    if not isinstance(table, Mapping):
        raise TrainingError(f"{place.strip()}: must be a table, not {table!r}")
    hints = typing.get_type_hints(kind)
    known = [item.name for item in fields(kind)]
    for key in table:
        if key not in known:
            what = "section" if not place else "key"
            raise TrainingError(f"{place}{key}: unknown {what}; there is {', '.join(known)}")
    values = {}
    for key, value in table.items():
        hint: Any = hints[key]
        values[key] = read_table(hint, value, f"[{key}] ") if is_dataclass(hint) else value
    return kind(**values)
