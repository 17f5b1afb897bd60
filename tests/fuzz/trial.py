"""What must hold whatever a file's bytes are."""

from __future__ import annotations

import contextlib
import resource
import signal
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TypeVar

import torch
from mutations import Mutant
from subjects import HEIGHT, WIDTH, Subject

from isp_meta import bit_depth, carriers, extract, read_metadata, recover, strip
from isp_meta.carriers.sidecar import sidecar_path
from isp_meta.codec import decode
from isp_meta.errors import CarrierError, IspMetaError, PayloadMissing
from isp_meta.frame import Frame
from isp_meta.recovery import Metadata
from isp_meta.samples import Samples

Result = TypeVar("Result")

MOST_SECONDS = 1.0
MOST_MEMORY = 1 << 29  # bytes beyond what the process has when it starts
_GIVEN_UP = 60


class Broken(AssertionError):
    """Something that must hold did not."""


def require(holds: bool, what: str) -> None:
    if not holds:
        raise Broken(what)


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """Lets no allocation go beyond the cap: it fails, and MemoryError is nobody's error type."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MOST_MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _alarm(_signal: int, _frame: FrameType | None) -> None:
    raise Broken(f"no end after {_GIVEN_UP} s")


@dataclass(frozen=True, eq=False)
class Known:
    """What a payload gives beside the picture it was made for.

    Attributes:
        samples: that it holds.
        recovered: with the picture in ``srgb`` and its ``raw``; None where it holds no raw.
    """

    samples: Samples
    recovered: Frame | None


class Trial:
    """Reads mutants in all ways, and keeps count of what came of it.

    Args:
        subjects: the files that mutants come from, splices among them too.
        folder: an empty one for the files. The one under trial stays if the process dies.

    Attributes:
        outcomes: how often each function gave what.
        slowest: seconds of the processor, and what took them.
    """

    def __init__(self, subjects: Sequence[Subject], folder: Path) -> None:
        self.folder = folder
        self.outcomes: Counter[str] = Counter()
        self.slowest: tuple[float, str] = (0.0, "")
        self._known: dict[bytes, Known] = {}
        for subject in subjects:
            if subject.packed not in self._known:
                self._known[subject.packed] = self._known_of(subject)
        signal.signal(signal.SIGALRM, _alarm)

    def _known_of(self, subject: Subject) -> Known:
        payload = decode(subject.packed, lambda: subject.pixels)
        picture = self._lay(subject, subject.data)
        return Known(payload.samples, None if payload.depth else recover(picture))

    def _lay(self, subject: Subject, data: bytes) -> Path:
        """Writes a file, or a sidecar and its picture; where the picture is."""
        picture = self.folder / subject.file
        beside = sidecar_path(picture)
        beside.unlink(missing_ok=True)
        if subject.place == "sidecar":
            beside.write_bytes(data)
            picture.write_bytes(subject.plain)
        else:
            picture.write_bytes(data)
        return picture

    def run(self, subject: Subject, mutant: Mutant) -> None:
        """Raises Broken, or whatever else came out, where something does not hold."""
        picture = self._lay(subject, mutant.data)
        whole = picture.read_bytes()
        metadata = self._ask("read_metadata", lambda: read_metadata(picture))
        if metadata is not None:
            known = self._check_metadata(subject, mutant, metadata)
            self._check_recovered(subject, known, picture, metadata)
            self._check_bits(picture, metadata)
            self._ask("extract", lambda: extract(picture, self.folder / "out", overwrite=True))
        stripped = self.folder / f"stripped{picture.suffix}"
        if self._ask("strip", lambda: strip(picture, stripped, overwrite=True)) is not None:
            self._check_stripped(subject, stripped.read_bytes())
        require(picture.read_bytes() == whole, "reading changed the file")

    def _ask(self, name: str, call: Callable[[], Result]) -> Result | None:
        result = None
        signal.alarm(_GIVEN_UP)
        start = time.process_time()
        try:
            result = call()
            outcome = result.match if isinstance(result, Metadata) else ""
        except IspMetaError as error:
            require(bool(str(error)), f"{name}: an error without a text")
            outcome = type(error).__name__
        finally:
            signal.alarm(0)
        took = time.process_time() - start
        self.outcomes[f"{name} {outcome}".strip()] += 1
        self.slowest = max(self.slowest, (took, name))
        require(took < MOST_SECONDS, f"{name} took {took:.2f} s")
        return result

    def _check_metadata(self, subject: Subject, mutant: Mutant, metadata: Metadata) -> Known | None:
        """What the payload is known to give; None for a forged one."""
        samples = metadata.payload.samples
        require(bool(((samples.value >= 0) & (samples.value <= 1)).all()), "a value beyond white")
        if mutant.is_forged:
            return None
        packed = metadata.source.read_bytes()
        if metadata.source == self.folder / subject.file:
            packed = carriers.extract(packed)
        require(packed in self._known, "bytes that nobody wrote are accepted")
        known = self._known[packed]
        require(samples.index.equal(known.samples.index), "other positions than were stored")
        require(samples.value.equal(known.samples.value), "other values than were stored")
        require(
            metadata.match != "exact" or metadata.pixels.shape[1:] == (HEIGHT, WIDTH),
            "exact for a picture of another size",
        )
        if metadata.match == "exact" and packed == subject.packed:
            require(metadata.pixels.equal(subject.pixels), "exact for other pixels")
        return known

    def _check_recovered(
        self, subject: Subject, known: Known | None, picture: Path, metadata: Metadata
    ) -> None:
        frame = self._ask("recover", lambda: recover(picture))
        if frame is None:
            return
        raw = frame.require("raw", "recover")
        require(raw.shape == metadata.pixels.shape, "a raw picture of another size")
        require(bool(((raw >= 0) & (raw <= 1)).all()), "raw that is not in [0, 1]")
        if known is not None:
            self._check_known(known, frame)
        samples, codes = metadata.payload.samples, frame.codes
        if codes is None:
            here = raw.view(3, -1)[:, samples.index]
            require(samples.control or here.equal(samples.value.T), "samples are changed")
        elif known is not None:
            require(codes.equal(subject.codes), "another mosaic than was stored")
        else:
            mosaic = metadata.payload.mosaic
            assert mosaic is not None
            same = mosaic.checksum != _checksum(subject.codes) or codes.equal(subject.codes)
            require(same, "another mosaic than its checksum says")

    def _check_known(self, known: Known, frame: Frame) -> None:
        """A picture that is as it was gives the raw that it gave."""
        before = known.recovered
        require(before is not None, "raw of metadata that holds none")
        assert before is not None
        if frame.require("srgb", "trial").equal(before.require("srgb", "trial")):
            same = frame.require("raw", "trial").equal(before.require("raw", "trial"))
            require(same, "another raw picture than that of the file as it was")
            self.outcomes["recover as it was"] += 1

    def _check_bits(self, picture: Path, metadata: Metadata) -> None:
        depth = metadata.payload.depth
        if depth is None or depth.recovery != "local-rbf":
            return
        found = self._ask("bit-depth recover", lambda: bit_depth.recover(picture))
        if found is None:
            return
        codes = found.codes
        room = 8 if metadata.codes.dtype == torch.uint8 else 16
        require(codes.shape == metadata.pixels.shape, "bits for a picture of another size")
        left = metadata.codes.int() >> room - depth.left
        require(bool((codes >> depth.taken == left).all()), "bits that the picture has are changed")

    def _check_stripped(self, subject: Subject, stripped: bytes) -> None:
        require(carriers.strip(stripped) == stripped, "strip leaves something behind")
        try:
            carriers.extract(stripped)
        except PayloadMissing:
            pass
        else:
            raise Broken("strip leaves a payload behind")
        try:
            again = carriers.insert(stripped, subject.packed)
        except CarrierError:
            return
        require(carriers.extract(again) == subject.packed, "another payload than was put in")
        require(carriers.strip(again) == stripped, "strip does not give back what was there")


def _checksum(codes: torch.Tensor) -> int:
    return zlib.crc32(codes.numpy().astype(">u2").tobytes())
