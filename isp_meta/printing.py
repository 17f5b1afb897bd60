"""How values of many numbers print: in a few lines, their extent in place of their contents."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Mapping, Sized
from typing import Any

__all__ = ["Brief", "brief"]

_WIDTH = 100
_MOST_VALUES = 9
_LONGEST_TEXT = 40


class Brief:
    """Makes a dataclass print what differs from its defaults, each field by :func:`brief`."""

    def __repr__(self) -> str:
        return textwrap.fill(
            self.line(),
            _WIDTH,
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )

    def line(self) -> str:
        """The same as one line."""
        shown = []
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            made = field.default_factory
            default = field.default if made is dataclasses.MISSING else made()
            if _is_numbers(value) or not (value is default or value == default):
                shown.append(f"{field.name}={brief(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"


def brief(value: Any) -> str:
    """A value as text, of at most some forty characters where it has more numbers than nine.

    Args:
        value: tensors as dtype and shape; long tuples, texts, bytes and mappings as their length;
            numbers to six digits; all else as ``repr`` has it.
    """
    if _is_numbers(value):
        shape = "x".join(map(str, value.shape)) or "()"
        return f"<{str(value.dtype).removeprefix('torch.')} {shape}>"
    if isinstance(value, Brief):
        return value.line()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return f"<{_count(value, 'entry', 'entries')}>" if value else "{}"
    if isinstance(value, bytes):
        return f"<{_count(value, 'byte', 'bytes')}>"
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        return f"{value[:_LONGEST_TEXT]!r}…"
    if isinstance(value, tuple):
        return _sequence(value)
    return repr(value)


def _is_numbers(value: Any) -> bool:
    """Whether it is a tensor or an array."""
    return hasattr(value, "dtype") and hasattr(value, "shape")


def _sequence(values: tuple[Any, ...]) -> str:
    if len(values) > _MOST_VALUES or (len(values) > 1 and isinstance(values[0], Brief)):
        if isinstance(values[0], float) and len(set(values)) == 1:
            return f"<{len(values)} times {values[0]:g}>"
        kind = type(values[0]).__name__ if isinstance(values[0], Brief) else "values"
        return f"<{len(values)} {kind}>"
    inside = ", ".join(map(brief, values))
    return f"({inside},)" if len(values) == 1 else f"({inside})"


def _count(values: Sized, one: str, several: str) -> str:
    return f"{len(values)} {one if len(values) == 1 else several}"
