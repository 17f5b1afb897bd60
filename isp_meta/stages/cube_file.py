"""Tables of colors as ``.cube`` files, which editors and video programs exchange.

TITLE "a look"          a line each: keywords first, in any order
LUT_3D_SIZE 2
0.0 0.0 0.0             then size^3 colors, red fastest, blue slowest
1.0 0.0 0.0
...
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import PipelineFileError

__all__ = ["Domain", "cube_text", "read_cube"]

Domain = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Colors of a table's first and last entry: (lowest, highest) of R, G and B."""

_WHOLE: Domain = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
# The specification's: entries a side, and the largest number.
_LEAST_SIZE, _LARGEST_SIZE, _LARGEST = 2, 256, 1e37
# 256^3 colors of three numbers of 16 characters.
_MOST_BYTES = 1 << 30
_KEYWORDS = ("TITLE", "LUT_3D_SIZE", "LUT_1D_SIZE", "DOMAIN_MIN", "DOMAIN_MAX")


def read_cube(path: str | os.PathLike[str]) -> tuple[Tensor, Domain]:
    """Reads a three-dimensional table of colors.

    Args:
        path: of a ``.cube`` file.

    Returns:
        (N, N, N, 3) float32, by red, green and blue; and its domain.

    Raises:
        PipelineFileError: names the file, the line and the cause: it cannot be read, is no
            ``.cube`` file or a one-dimensional one, breaks off, or says something twice.

    Source: Adobe, "Cube LUT Specification", version 1.0, 2013.
    """
    name = os.fspath(path)
    try:
        if Path(path).stat().st_size > _MOST_BYTES:
            raise PipelineFileError(f"{name}: is no .cube file: it is larger than 1 GiB")
        data = Path(path).read_bytes()
    except OSError as error:
        raise PipelineFileError(f"{name}: cannot be read: {error.strerror or error}") from error
    if b"\0" in data:
        raise PipelineFileError(f"{name}: is no .cube file: it is no text")
    return _Reader(name, data.decode("utf-8-sig", errors="replace")).table()


class _Reader:
    """The text of one file, and what its keywords said so far."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.lines = name, text.splitlines()
        self.said: dict[str, list[str]] = {}

    def error(self, line: int, text: str) -> PipelineFileError:
        """Of a line, counted from 0."""
        return PipelineFileError(f"{self.name}, line {line + 1}: {text}")

    def table(self) -> tuple[Tensor, Domain]:
        first = self._keywords()
        if "LUT_3D_SIZE" not in self.said:
            raise PipelineFileError(f"{self.name}: is no .cube file: it has no LUT_3D_SIZE")
        size = int(self.said["LUT_3D_SIZE"][0])
        colors = self._colors(first, size**3)
        # Blue is slowest in the file.
        table = colors.reshape(size, size, size, 3).transpose(2, 1, 0, 3)
        return torch.from_numpy(np.ascontiguousarray(table, dtype=np.float32)), self._domain()

    def _keywords(self) -> int:
        """Reads them, and returns the first line behind."""
        for place, line in enumerate(self.lines):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0][0] in "+-.0123456789":
                return place
            key, values = words[0], words[1:]
            if key not in _KEYWORDS:
                raise self.error(place, f"unknown keyword {key[:32]!r}")
            if key in self.said:
                raise self.error(place, f"{key} for the second time")
            self.said[key] = values
            self._check(place, key, values)
        return len(self.lines)

    def _check(self, place: int, key: str, values: list[str]) -> None:
        if key == "LUT_1D_SIZE":
            raise self.error(place, "a one-dimensional table; only LUT_3D_SIZE is taken")
        if key == "LUT_3D_SIZE" and not (
            len(values) == 1
            and values[0].isascii()
            and values[0].isdigit()
            and len(values[0]) < 9
            and _LEAST_SIZE <= int(values[0]) <= _LARGEST_SIZE
        ):
            limits = f"{_LEAST_SIZE} to {_LARGEST_SIZE}"
            raise self.error(place, f"LUT_3D_SIZE must be a whole number of {limits}")
        if key.startswith("DOMAIN"):
            self._numbers(place, values, key)

    def _numbers(self, place: int, words: list[str], what: str) -> list[float]:
        try:
            numbers = [float(word) for word in words]
        except ValueError:
            numbers = []
        if len(numbers) != 3 or not all(abs(number) <= _LARGEST for number in numbers):
            raise self.error(place, f"{what} must be three numbers")
        return numbers

    def _colors(self, first: int, count: int) -> NDArray[np.float64]:
        """(count, 3) from the lines behind the keywords."""
        rows = [line.split() for line in self.lines[first:]]
        places = [i for i, row in enumerate(rows) if row and not row[0].startswith("#")]
        if len(places) > count:
            raise self.error(first + places[count], f"more than the {count} colors of its size")
        kept = [rows[i] for i in places]
        try:
            colors = np.array(kept, dtype=np.str_).astype(np.float64)
        except ValueError:
            colors = np.empty((0, 0))
        if colors.shape != (len(kept), 3) or not bool((abs(colors) <= _LARGEST).all()):
            # Line by line, to say which one it is.
            for i, row in zip(places, kept, strict=True):
                self._numbers(first + i, row, "a color")
        if len(kept) < count:
            last = max(len(self.lines) - 1, 0)
            raise self.error(last, f"ends after {len(kept)} of {count} colors")
        return colors

    def _domain(self) -> Domain:
        low, high = (
            tuple(float(word) for word in self.said.get(key, default))
            for key, default in (("DOMAIN_MIN", ["0"] * 3), ("DOMAIN_MAX", ["1"] * 3))
        )
        if not all(a < b for a, b in zip(low, high, strict=True)):
            raise PipelineFileError(f"{self.name}: DOMAIN_MIN must be below DOMAIN_MAX")
        return low, high  # type: ignore[return-value]


def cube_text(table: Tensor, domain: Domain = _WHOLE, title: str = "") -> str:
    """The text of a ``.cube`` file, which :func:`read_cube` reads to the same float32.

    Args:
        table: (N, N, N, 3), by red, green and blue.
        domain: colors of its first and last entry.
        title: of the look; without quotation marks and line breaks.

    Raises:
        ValueError: the table has another shape or size, or the title cannot be written.
    """
    size = table.shape[0]
    if table.shape != (size, size, size, 3) or not _LEAST_SIZE <= size <= _LARGEST_SIZE:
        raise ValueError(f"a table must be (N, N, N, 3), N 2 to 256, not {tuple(table.shape)}")
    if '"' in title or not title.isprintable():
        raise ValueError(f"a title has no quotation marks or line breaks, unlike {title!r}")
    head = [f'TITLE "{title}"'] if title else []
    head.append(f"LUT_3D_SIZE {size}")
    if domain != _WHOLE:
        for key, color in zip(("DOMAIN_MIN", "DOMAIN_MAX"), domain, strict=True):
            head.append(f"{key} {' '.join(map(str, color))}")
    colors = table.detach().cpu().permute(2, 1, 0, 3).reshape(-1, 3).float().numpy()
    body = (f"{red} {green} {blue}" for red, green, blue in colors)
    return "\n".join([*head, *body]) + "\n"
