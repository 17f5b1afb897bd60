"""Sections of a config file as dataclasses that check their values and name what is wrong."""

from __future__ import annotations

import math
import os
import sys
import typing
from collections.abc import Mapping
from dataclasses import field, fields, is_dataclass
from typing import Any, Literal, get_args, get_origin

from ..errors import TrainingError
from ..io import read_bytes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Section", "number", "read_table", "read_toml"]


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
            value = _converted(getattr(self, item.name), hints[item.name], name)
            object.__setattr__(self, item.name, value)
            if item.metadata and value is not None:
                _check_range(value, item.metadata, name)


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


def _converted(value: Any, hint: Any, name: str) -> Any:
    """A value as its field holds it.

    Raises:
        TrainingError: it is of another type, or none of the words that fit.
    """
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            words = ", ".join(repr(word) for word in get_args(hint))
            raise TrainingError(f"{name}: must be one of {words}, not {value!r}")
        return value
    if value is None and type(None) in get_args(hint):
        return None
    kinds = [kind for kind in get_args(hint) if kind is not type(None)] or [hint]
    (kind,) = kinds
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        said = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
        raise TrainingError(f"{name}: must be {said.get(kind, kind.__name__)}, not {value!r}")
    return value


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The tables of a file.

    Raises:
        TrainingError: it cannot be read, or is no TOML.
    """
    data = read_bytes(path, TrainingError)
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise TrainingError(f"{path}: is no TOML: {error}") from error


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
