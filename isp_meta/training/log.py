"""Who watches a training: a plain file of one JSON object a line, TensorBoard's event files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ..io import write_atomic

__all__ = ["JsonLog", "Observer", "TensorBoardLog"]

Record = Mapping[str, float]


class Observer(Protocol):
    """Told of a training's figures."""

    def __call__(self, record: Record) -> None:
        """Takes figures by name; "step" is always among them, counted from 1."""


class JsonLog:
    """One JSON object a line; readable while the training goes on.

    Args:
        path: file; what it has of later steps goes, as it will come again.
        step: that the training goes on from; 0: from the start.

    Raises:
        OutputError: it cannot be written.
    """

    def __init__(self, path: Path, step: int = 0) -> None:
        self.path = path
        kept = [line for line in _lines(path) if _step_of(line) <= step] if step else []
        write_atomic(path, "".join(kept).encode(), overwrite=True)

    def __call__(self, record: Record) -> None:
        """Appends a line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({key: _plain(value) for key, value in record.items()}) + "\n")


def _plain(value: float) -> float | None:
    """Infinities as null: JSON has none."""
    return value if abs(value) < float("inf") else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    except FileNotFoundError:
        return []


def _step_of(line: str) -> float:
    """Infinity where a power cut, or somebody, left half a line."""
    try:
        return float(json.loads(line)["step"]) if line.endswith("\n") else float("inf")
    except (ValueError, KeyError, TypeError):
        return float("inf")


class TensorBoardLog:
    """TensorBoard's scalars, one a figure.

    Args:
        folder: of the event files.
        step: that the training goes on from; what TensorBoard has of later ones goes.

    Raises:
        ImportError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        from torch.utils.tensorboard import SummaryWriter

        writer: Any = SummaryWriter(str(folder), purge_step=step + 1)
        self.writer = writer

    def __call__(self, record: Record) -> None:
        """Adds a point to each curve."""
        for name, value in record.items():
            if name != "step":
                self.writer.add_scalar(name, value, int(record["step"]))
        self.writer.flush()
