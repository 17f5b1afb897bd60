"""Results of a benchmark as they lie on disk: JSON, one record a picture and method."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .. import io
from ..errors import ResultsError

__all__ = ["KEY", "Record", "Results", "key"]

_FORMAT = "isp_meta {} 1"

Record: TypeAlias = dict[str, Any]
"""Figures of one scene, rendering, input, method and number of fine-tuning steps; what each means
is in docs/evaluation.md. One that failed has ``error`` in place of figures."""

KEY = ("scene", "rendering", "input", "method", "fine_tune")
"""What tells a record from another."""

# Results that differ in one of these are of different experiments.
_SAME = ("scenes", "shrink", "cell", "bits", "seed", "weights", "renderings")


def key(record: Record) -> tuple[Any, ...]:
    """What tells the record from another; a scene that cannot be read has ``scene`` alone."""
    return tuple(record.get(name) for name in KEY)


@dataclass
class Results:
    """What a benchmark found.

    Attributes:
        settings: scenes, note, what was measured and by which versions; values for JSON.
        records: in the order in which they were measured.
        kind: of benchmark; results of one kind are not read as those of another.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    kind: str = "benchmark"

    def add(self, record: Record) -> None:
        """Takes a record in place of one of the same key."""
        self.records = [old for old in self.records if key(old) != key(record)]
        self.records.append({name: _finite(value) for name, value in record.items()})

    def done(self) -> set[tuple[Any, ...]]:
        """Keys of the records that hold figures."""
        return {key(record) for record in self.records if "error" not in record}

    def forget_errors(self, scene: str) -> None:
        """Drops what failed on a scene, which is to be tried again."""
        self.records = [r for r in self.records if r["scene"] != scene or "error" not in r]

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the JSON file, whole or not at all, over one that is there.

        Raises:
            OutputError: it cannot be written.
        """
        content = {
            "format": _FORMAT.format(self.kind),
            "settings": self.settings,
            "records": self.records,
        }
        text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)
        io.write_atomic(path, (text + "\n").encode(), overwrite=True)

    @classmethod
    def read(cls, path: str | os.PathLike[str], kind: str = "benchmark") -> Results:
        """Reads what :meth:`write` wrote of results of that kind.

        Raises:
            ResultsError: no such file, or not one of ours; names it.
        """
        try:
            content = json.loads(io.read_bytes(path, ResultsError))
            if content["format"] != _FORMAT.format(kind):
                raise ResultsError(f"{path}: is of another format, {content['format']!r}")
            settings, records = content["settings"], content["records"]
            if not all(isinstance(record["scene"], str) for record in records):
                raise TypeError
            return cls(dict(settings), [dict(record) for record in records], kind)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ResultsError(f"{path}: holds no results of a benchmark") from error

    def check_same(
        self,
        settings: Mapping[str, Any],
        path: str | os.PathLike[str],
        but: Collection[str] = (),
    ) -> None:
        """Refuses to join results that were measured otherwise.

        Args:
            settings: of those to join. path: of these results, for the error.
            but: settings that may differ.

        Raises:
            ResultsError: a setting differs that figures depend on; it is named.
        """
        for name in (name for name in _SAME if name not in but):
            old, new = self.settings.get(name), settings.get(name)
            if isinstance(old, dict) and isinstance(new, dict):
                # Other weights and renderings may join; what bears the same name must be the same.
                both = old.keys() & new.keys()
                old, new = ({part: values[part] for part in both} for values in (old, new))
            if old != new:
                raise ResultsError(f"{path}: was measured with other {name}{_brief(old, new)}")


def _brief(old: Any, new: Any) -> str:
    """What differs, in a line."""
    if isinstance(old, dict):
        return f": {', '.join(part for part in old if old[part] != new[part])}"
    return "" if isinstance(old, list) else f": {old}, not {new}"


def _finite(value: Any) -> Any:
    """JSON has no infinity (equal pictures) and no NaN (nothing to measure)."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
