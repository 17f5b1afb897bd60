"""What a batch does to each file, as values: they travel to other machines and into manifests."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from .. import codec, samplers
from ..capture import DEFAULT_EFFORT, Carrier, Rate, default_sampler, embed
from ..frame import Sampler
from ..io import RAW_SUFFIXES, RENDERED_SUFFIXES
from ..pipeline import Pipeline
from ..recovery import Format, recover, verify, write_recovered

__all__ = ["Embed", "Job", "Recover", "Verify"]

_RECOVERED = {"dng": ".dng", "tiff": ".tif", "npy": ".npy"}


class Job(ABC):
    """What is done to each file; a frozen dataclass of plain values.

    Attributes:
        suffixes: endings of the files that it takes, in lower case.
        ending: what replaces a file's ending in its result's name; None: there is no result.
    """

    suffixes: ClassVar[frozenset[str]]

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
    """Renders raw files to pictures that carry their raw; options as of :func:`isp_meta.embed`.

    Attributes:
        pipeline: as TOML (``Pipeline.to_toml()``); "": the default of :func:`isp_meta.embed`.
        suffix: of the pictures: ".jpg", ".png" or ".tif".
        sampler: "superpixel", "uniform" or "random"; "": by effort, the default of
            :func:`isp_meta.embed`. cell: its cells' side, pixels.
        seed: of the random one.
        levels, bits: steps of stored values; bits: evenly to this depth. At most one of them.
        bpp, size, psnr: what the metadata may take or must reach (:class:`isp_meta.Rate`), in place
            of cell and steps. At most one of them.

    Raises:
        ValueError: options that exclude each other, or an unknown sampler.
    """

    pipeline: str = ""
    suffix: str = ".jpg"
    sampler: str = ""
    cell: int = 8
    seed: int = 0
    quality: int = 95
    levels: int | None = None
    bits: int | None = None
    coding: codec.Coding = "range"
    bpp: float | None = None
    size: int | None = None
    psnr: float | None = None
    effort: int = DEFAULT_EFFORT
    enhancement: float | None = None
    carrier: Carrier | None = None
    depth: int | None = None
    gps: bool = False
    lossless: bool | Literal["alone"] = False

    suffixes: ClassVar[frozenset[str]] = RAW_SUFFIXES

    def __post_init__(self) -> None:
        chosen = (self.levels, self.bits, self.bpp, self.size, self.psnr)
        if sum(option is not None for option in chosen) > 1:
            raise ValueError("give one of --levels, --bits, --bpp, --size and --psnr")
        if self.suffix not in RENDERED_SUFFIXES:
            raise ValueError(f"pictures are .jpg, .png or .tif, not {self.suffix!r}")
        if self.enhancement:
            codec.Enhancement.exponent_of(self.enhancement)
        self.make_sampler(self.cell)
        self.rate  # noqa: B018 (raises where it is none)

    @property
    def ending(self) -> str:
        """Of the pictures."""
        return self.suffix

    @property
    def sidecar(self) -> bool:
        """Whether the metadata goes into a file beside the picture."""
        return self.carrier == "sidecar"

    def make_sampler(self, cell: int) -> Sampler:
        """The sampler, with cells of this side."""
        if not self.sampler:
            return default_sampler(self.effort, cell)
        if self.sampler == "superpixel":
            return samplers.SuperpixelSampler(cell)
        if self.sampler == "uniform":
            return samplers.UniformSampler(cell)
        if self.sampler == "random":
            return samplers.RandomSampler(self.seed, 1 / cell**2)
        raise ValueError(f"sampler must be superpixel, uniform or random, not {self.sampler!r}")

    @property
    def rate(self) -> Rate | None:
        """What the metadata may take or must reach."""
        if self.bpp is None and self.size is None and self.psnr is None:
            return None
        return Rate(self.bpp, self.size, self.psnr, self.make_sampler)

    @property
    def steps(self) -> codec.Steps | None:
        """What values are stored in; None for the default."""
        if self.bits is not None:
            return codec.Steps.linear(self.bits)
        return None if self.levels is None else codec.Steps(self.levels)

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of :func:`isp_meta.embed` that these options stand for."""
        same = ("quality", "coding", "effort", "enhancement", "carrier", "depth", "gps", "lossless")
        return {
            "pipeline": _pipeline(self.pipeline) if self.pipeline else None,
            "sampler": self.make_sampler(self.cell) if self.rate is None else None,
            "steps": self.steps,
            "rate": self.rate,
            **{name: getattr(self, name) for name in same},
        }

    def perform(self, source: Path, target: Path, device: str = "cpu") -> float:
        """Renders one raw file."""
        samples = embed(source, target, **self.arguments()).frame.require("samples", "batch")
        return _megapixels(samples.height, samples.width)


def _megapixels(height: int, width: int) -> float:
    return height * width / 1e6


@functools.cache
def _pipeline(text: str) -> Pipeline:
    return Pipeline.from_toml(text)


@dataclass(frozen=True)
class Recover(Job):
    """Rebuilds the raw of pictures that carry it; options as of ``isp-meta recover``.

    Attributes:
        format: "dng", "tiff" or "npy". cfa: a DNG with the sensor's mosaic.
        force: goes on although a picture was edited since.

    Raises:
        ValueError: an unknown format, or ``cfa`` of another format than DNG.
    """

    format: Format = "dng"
    cfa: bool = False
    force: bool = False

    suffixes: ClassVar[frozenset[str]] = RENDERED_SUFFIXES

    def __post_init__(self) -> None:
        if self.format not in _RECOVERED:
            raise ValueError(f"there is no format {self.format!r}")
        if self.cfa and self.format != "dng":
            raise ValueError(f"--cfa makes a DNG, not {self.format}")

    @property
    def ending(self) -> str:
        """Of the recovered files."""
        return f"-recovered{_RECOVERED[self.format]}"

    def perform(self, source: Path, target: Path, device: str = "cpu") -> float:
        """Rebuilds the raw of one picture."""
        frame = recover(source, device=device, force=self.force)
        write_recovered(target, frame, self.format, self.cfa)
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
        return _megapixels(*verify(source).codes.shape[1:])
