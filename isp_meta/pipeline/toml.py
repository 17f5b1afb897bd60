"""Pipelines as TOML files.

[[stage]]                  one table a stage, in order
name = "ToneCurve"         its class; "package:Name" where two packages have that name
knots = [0.0, 0.3, 1.0]    its constructor's arguments; without one: its default

[[stage]]                  a pipeline in the pipeline: tables [[stage.stage]] and no name
[[stage.stage]]
name = "Gamma"
"""

from __future__ import annotations

import os
import re
import textwrap
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from torch import Tensor

from ..errors import PipelineFileError, PipelineOrderError
from ..io.toml_file import described, fits, parse_toml, read_text
from ..stage import Stage
from .plugins import Installed, Offer, installed

__all__ = ["dump", "load"]

_WIDTH = 100
_DEEPEST = 32  # pipelines within pipelines

Place = tuple[str | int, ...]
Kind = type[Any]  # of Pipeline, which imports this file


def load(source: str | os.PathLike[str], kind: Kind) -> list[Stage]:
    """Reads the stages of a pipeline.

    Args:
        source: a file; or, with a line break in it, the text itself.
        kind: Pipeline, for those within.

    Raises:
        PipelineFileError: names file, line and key; see :meth:`isp_meta.Pipeline.from_toml`.
    """
    if isinstance(source, str) and "\n" in source:
        return _Reader("pipeline", source, kind).stages()
    return _Reader(os.fspath(source), read_text(source, PipelineFileError), kind).stages()


class _Reader:
    """One text and what it says."""

    def __init__(self, name: str, text: str, kind: Kind) -> None:
        self.name, self.text, self.kind = name, text, kind
        self.known: Installed = installed()

    def stages(self) -> list[Stage]:
        tables = parse_toml(self.text, self.name, PipelineFileError)
        for key in tables:
            if key != "stage":
                raise self.error((key,), f"unknown key {key!r}; a pipeline is [[stage]] tables")
        stages = self._list(tables.get("stage"), ("stage",))
        self._build(stages, ("stage",))
        return stages

    def error(self, place: Place, text: str) -> PipelineFileError:
        """The error at a place; one within a value, or without a line, has that of its table."""
        lines = dict(_places(self.text))
        while place and place not in lines:
            place = place[:-1]
        line = f", line {lines[place]}" if place else ""
        return PipelineFileError(f"{self.name}{line}: {text}")

    def _build(self, stages: list[Stage], place: Place) -> Stage:
        try:
            return self.kind(stages)  # type: ignore[no-any-return]
        except PipelineOrderError as error:
            raise self.error((*place, error.position), str(error)) from error

    def _list(self, tables: Any, place: Place) -> list[Stage]:
        if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
            raise self.error(place, "holds no [[stage]] table")
        if len(place) > 2 * _DEEPEST:
            raise PipelineFileError(f"{self.name}: nests pipelines too deep, beyond {_DEEPEST}")
        return [self._stage(table, (*place, i)) for i, table in enumerate(tables)]

    def _stage(self, table: dict[str, Any], place: Place) -> Stage:
        if set(table) == {"stage"}:
            within = (*place, "stage")
            return self._build(self._list(table["stage"], within), within)
        if not isinstance(table.get("name"), str):
            raise self.error((*place, "name"), 'a [[stage]] needs its name, as in name = "Gamma"')
        try:
            offer = self.known.find(table["name"])
        except LookupError as error:
            raise self.error((*place, "name"), str(error)) from None
        return self._make(offer, {k: v for k, v in table.items() if k != "name"}, place)

    def _make(self, offer: Offer, given: dict[str, Any], place: Place) -> Stage:
        takes = offer.stage.constructor()
        hints = _hints(offer.stage)
        for key, value in given.items():
            if key not in takes:
                names = ", ".join(takes) or "no arguments"
                raise self.error((*place, key), f"{offer.name} has no {key!r}; it takes {names}")
            if not fits(value, hints.get(key, Any)):
                wanted = described(hints[key])
                raise self.error((*place, key), f"{offer.name}: {key} must be {wanted}")
            allowed = offer.stage.ranges.get(key)
            numbers = list(_numbers(value))
            if allowed and not all(allowed.low <= number <= allowed.high for number in numbers):
                shown = f", not {value}" if len(numbers) == 1 else ""
                raise self.error((*place, key), f"{offer.name}: {key} must be {allowed}{shown}")
        for key, argument in takes.items():
            if argument.default is argument.empty and key not in given:
                raise self.error(place, f"{offer.name} needs {key!r}")
        try:
            return offer.stage(**given | self._files(offer, given))
        except Exception as error:  # another's code may fail in any way
            named = [key for key in given if re.search(rf"\b{re.escape(key)}\b", str(error))]
            named = named or (list(given) if len(given) == 1 else [])
            text = " ".join(str(error).split()) or type(error).__name__
            text = text if text.startswith(offer.name) else f"{offer.name}: {text}"
            raise self.error((*place, *named[:1]), text) from error

    def _files(self, offer: Offer, given: dict[str, Any]) -> dict[str, str]:
        """Files that a stage names, from the folder of this one."""
        folder = Path(self.name).parent
        return {
            key: str(folder / given[key])
            for key in offer.stage.files
            if isinstance(given.get(key), str)
        }


def _hints(stage: type[Stage]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(stage.__init__)
    except Exception:  # another's annotations need not be names that exist
        return {}


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, list):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int | float):
        yield value


_TOKEN = re.compile(
    r'#[^\n]*|"""(?:\\.|[^\\])*?"{3,5}|'
    r"'''.*?'{3,5}|"
    r'"(?:\\.|[^"\\\n])*"|'
    r"'[^'\n]*'|[\[\]{}\n=]|[^#\"'\[\]{}\n=]+",
    re.DOTALL,
)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Line and what stands before the "=" (or the whole header) of each line of valid TOML."""
    line, start, depth, head, is_value = 1, 1, 0, "", False
    for token in [*_TOKEN.findall(text), "\n"]:
        if token == "\n" and depth == 0:
            if head.strip():
                yield start, head.strip()
            start, head, is_value = line + 1, "", False
        elif token == "=" and depth == 0:
            is_value = True
        elif not is_value and token[0] != "#":
            head += token
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token, 0)
        line += token.count("\n")


def _places(text: str) -> Iterator[tuple[Place, int]]:
    """Where each table and key of valid TOML begins."""
    counts: dict[Place, int] = {}
    table: Place = ()
    for line, head in _statements(text):
        is_header = head.startswith("[")
        value: Any = parse_toml(head if is_header else f"{head} = 0", head, PipelineFileError)
        place: Place = () if is_header else table
        while isinstance(value, dict) and value:
            (key, value), *_ = value.items()
            place = (*place, key)
            if head.startswith("[[") and isinstance(value, list) and value == [{}]:
                counts[place] = counts.get(place, -1) + 1
            if place in counts:
                place = (*place, counts[place])
            if isinstance(value, list):
                value = value[0]
        table = place if is_header else table
        yield place, line


def dump(stages: Iterable[Stage], kind: Kind) -> str:
    """Writes the stages of a pipeline; see :meth:`isp_meta.Pipeline.to_toml`.

    Args:
        stages: of the pipeline.
        kind: Pipeline, for those within.

    Raises:
        PipelineFileError: a stage is not installed, or holds what a file cannot.
    """
    return "\n".join(_tables(stages, kind, "stage", installed()))


def _tables(stages: Iterable[Stage], kind: Kind, header: str, known: Installed) -> Iterator[str]:
    for stage in stages:
        if isinstance(stage, kind):
            yield f"[[{header}]]\n"
            yield from _tables(stage, kind, f"{header}.stage", known)
        else:
            yield f"[[{header}]]\n{_table(stage, known)}"


def _table(stage: Stage, known: Installed) -> str:
    try:
        text = _line("name", known.name_of(stage))
    except LookupError as error:
        raise PipelineFileError(str(error)) from None
    takes = stage.constructor()
    for name, value in stage.arguments().items():
        held = getattr(stage, name, None)
        if isinstance(held, Tensor) and held.is_floating_point() and value is not None:
            value = _shortest(value)
        if _plain(value) == _plain(takes[name].default):
            continue
        if name == "name" or not _is_writable(value):
            kind_of = type(value).__name__
            raise PipelineFileError(
                f"{type(stage).__name__}: {name} is {kind_of}, which a file cannot hold"
            )
        text += _line(name, value)
    return text


def _shortest(value: Any) -> Any:
    """The shortest decimals that are the same float32, which is what reading makes of them."""
    if isinstance(value, Sequence):
        return [_shortest(item) for item in value]
    return float(str(np.float32(value)))


def _plain(value: Any) -> Any:
    """Tuples as lists, as a file has them."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _is_writable(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) for key in value) and _is_writable([*value.values()])
    if isinstance(value, list | tuple):
        return all(_is_writable(item) for item in value)
    return isinstance(value, bool | int | float | str)


def _line(name: str, value: Any) -> str:
    text = f"{name} = {_inline(value)}"
    if '"' in text or "{" in text:  # neither may be broken into lines
        return f"{text}\n"
    indent = " " * 4
    return textwrap.fill(text, _WIDTH, subsequent_indent=indent, break_on_hyphens=False) + "\n"


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_inline(item) for item in value)}]"
    return tomli_w.dumps({"": value}).partition(" = ")[2].rstrip()
