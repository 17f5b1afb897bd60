"""What a batch does to each file, as values: they travel to other machines and into manifests.

What a job works with is loaded when it is done, in the process that does it.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ..capture import CaptureOptions
from ..carriers.sidecar import SUFFIX as SIDECAR
from ..io import LAYOUT_SUFFIX, RAW_SUFFIXES, RENDERED_SUFFIXES
from ..recovery import verify

if TYPE_CHECKING:
    from ..io import Compression, RawLayout
    from ..pipeline import Pipeline
    from ..recovery.write import Format

__all__ = ["Embed", "Job", "Recover", "Verify"]

_RECOVERED = {"dng": ".dng", "tiff": ".tif", "npy": ".npy"}


class Job(ABC):
    """What is done to each file; a frozen dataclass of plain values.

    Attributes:
        suffixes: endings of the files that it takes, in lower case.
        companion: what the name of the file that belongs to such a file has behind its own.
        ending: what replaces a file's ending in its result's name; None: there is no result.
    """

    suffixes: ClassVar[frozenset[str]]
    companion: ClassVar[str] = SIDECAR

    @property
    @abstractmethod
    def ending(self) -> str | None:
        """See :class:`Job`."""

    @property
    def sidecar(self) -> bool:
        """Whether a second file is written beside the result."""
        return False

    @abstractmethod
    def perform(self, source: Path, target: Path, device: str = "cpu") -> float:
        """Does it to one file.

        Args:
            source: to read. target: to write, where there is a result.
            device: of reconstruction; all else is done on the CPU.

        Returns:
            The picture's size, megapixels.
        """

    @property
    def identity(self) -> str:
        """SHA-256 of the job and its options: files done under another one are done again."""
        options = json.dumps(dataclasses.asdict(self), sort_keys=True)  # type: ignore[call-overload]
        return hashlib.sha256(f"{type(self).__name__} {options}".encode()).hexdigest()


@dataclass(frozen=True)
class Embed(Job):
    """Renders raw files to pictures that carry their raw; see :func:`isp_meta.embed`.

    Attributes:
        options: of the capture.
        pipeline: as TOML (``Pipeline.to_toml()``); "": the default.
        suffix: of the pictures: ".jpg", ".png" or ".tif".
        layout: how raw files without a header hold their codes.

    Raises:
        ValueError: another suffix.
    """

    options: CaptureOptions = CaptureOptions()
    pipeline: str = ""
    suffix: str = ".jpg"
    layout: RawLayout | None = None

    suffixes: ClassVar[frozenset[str]] = RAW_SUFFIXES
    companion: ClassVar[str] = LAYOUT_SUFFIX

    def __post_init__(self) -> None:
        if self.suffix not in RENDERED_SUFFIXES:
            raise ValueError(f"pictures are .jpg, .png or .tif, not {self.suffix!r}")

    @property
    def ending(self) -> str:
        """Of the pictures."""
        return self.suffix

    @property
    def sidecar(self) -> bool:
        """Whether the metadata goes into a file beside the picture."""
        return self.options.carrier == "sidecar"

    def perform(self, source: Path, target: Path, device: str = "cpu") -> float:
        """Renders one raw file."""
        from ..capture.embed import embed

        pipeline = _pipeline(self.pipeline) if self.pipeline else None
        made = embed(source, target, self.options, pipeline=pipeline, layout=self.layout)
        samples = made.frame.require("samples", "batch")
        return _megapixels(samples.height, samples.width)


def _megapixels(height: int, width: int) -> float:
    return height * width / 1e6


@functools.cache
def _pipeline(text: str) -> Pipeline:
    from ..pipeline import Pipeline

    return Pipeline.from_toml(text)


@dataclass(frozen=True)
class Recover(Job):
    """Rebuilds the raw of pictures that carry it; options as of ``isp-meta recover``.

    Attributes:
        format: "dng", "tiff" or "npy". linear: a DNG with three colors a pixel.
        compress: of a DNG, see :func:`isp_meta.write_dng`.
        force: goes on although a picture was edited since.

    Raises:
        ValueError: an unknown format, or ``linear`` or ``compress`` of another format than DNG.
    """

    format: Format = "dng"
    linear: bool = False
    compress: Compression = "lossless-jpeg"
    force: bool = False

    suffixes: ClassVar[frozenset[str]] = RENDERED_SUFFIXES

    def __post_init__(self) -> None:
        if self.format not in _RECOVERED:
            raise ValueError(f"there is no format {self.format!r}")
        if self.linear and self.format != "dng":
            raise ValueError(f"linear makes a DNG, not {self.format}")
        if self.compress != "lossless-jpeg" and self.format != "dng":
            raise ValueError(f"compress is of a DNG, not {self.format}")

    @property
    def ending(self) -> str:
        """Of the recovered files."""
        return f"-recovered{_RECOVERED[self.format]}"

    def perform(self, source: Path, target: Path, device: str = "cpu") -> float:
        """Rebuilds the raw of one picture."""
        from ..recovery.recover import recover
        from ..recovery.write import write_recovered

        frame = recover(source, device=device, force=self.force)
        write_recovered(target, frame, self.format, self.linear, self.compress)
        return _megapixels(*frame.require("raw", "batch").shape[1:])


@dataclass(frozen=True)
class Verify(Job):
    """Checks that pictures carry their raw, whole, and are the ones it was made for."""

    suffixes: ClassVar[frozenset[str]] = RENDERED_SUFFIXES

    @property
    def ending(self) -> None:
        """There is no result but the row."""
        return

    def perform(self, source: Path, target: Path, device: str = "cpu") -> float:
        """Checks one picture."""
        return _megapixels(*verify(source).picture.shape[1:])
