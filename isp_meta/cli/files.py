"""What a command reads and writes: all of it is checked before the first file is written."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import typer

from ..errors import IspMetaError
from . import pipes
from .console import complain, exit_code, stop

__all__ = ["PICTURES", "TIFF", "Files", "check_name", "is_folder"]

TIFF = (".tif", ".tiff")
PICTURES = (".jpg", ".jpeg", ".png", *TIFF)
"""Endings of pictures that can carry, and be written."""

# Other spellings of endings, which need no mention of their own.
_ALIASES = (".jpeg", ".tiff", ".htm")
_CARRIERS = {"JPEG": (".jpg", ".jpeg"), "PNG": (".png",), "TIFF": (*TIFF, ".dng")}
_WRONG_CALL = 2


@dataclass(frozen=True)
class Files:
    """The files of a command.

    Attributes:
        command: its name, as it is called.
        takes: raw files; codes in any file, by a layout; or pictures that can carry: JPEG, PNG,
            TIFF.
        gives: endings of what it writes.
        into: option that names a picture to go into, where the command has one.
        carrying: whether its pictures must carry something.
        batch: whether ``isp-meta batch`` has the command, too.
    """

    command: str
    takes: Literal["raw", "codes", "picture"]
    gives: tuple[str, ...]
    into: str = ""
    carrying: bool = False
    batch: bool = False

    def targets(
        self,
        sources: list[Path],
        output: Path | None,
        ending: str,
        *,
        also: Iterable[Path | None] = (),
        sidecars: bool = False,
    ) -> list[Path]:
        """Where a command writes: beside its sources, into the folder given, or to the file given.

        Ends the command, before anything is written, where a source or a target cannot be one.

        Args:
            sources: to read. output: as given.
            ending: replaces a source's suffix.
            also: further files that are read.
            sidecars: each target gets one.
        """
        names = [f"{source.stem}{ending}" for source in sources]
        paths = self._paths(sources, output, names, ending)
        self._check_sources(sources, output, ending)
        if output is None:
            paths = [source.parent / name for source, name in zip(sources, names, strict=True)]
        self._check_targets(paths, [*sources, *filter(None, also)], sidecars)
        if output is not None and output != pipes.DASH and not is_folder(output):
            check_name(output, self.gives)
        return paths

    def rewritten(
        self,
        sources: list[Path],
        output: Path | None,
        in_place: bool,
        *,
        also: Iterable[Path | None] = (),
    ) -> list[tuple[Path, Path | None]]:
        """Sources with the files that become of them: None where a source itself is replaced.

        Ends the command as :meth:`targets` does.
        """
        if in_place and pipes.DASH in sources:
            stop("standard input cannot be replaced; give -o", _WRONG_CALL)
        self._check_sources(sources, output, "")
        if in_place == (output is not None):
            stop("name a file with -o, or give --in-place", _WRONG_CALL)
        if output is None:
            self._check_targets(sources, [], False)
            return [(source, None) for source in sources]
        paths = self._paths(sources, output, [source.name for source in sources], "")
        self._check_targets(paths, [*sources, *filter(None, also)], False)
        if output != pipes.DASH and sources[0] != pipes.DASH and not is_folder(output):
            check_name(output, _endings_of(sources[0]))
        return list(zip(sources, paths, strict=True))

    def _paths(
        self, sources: list[Path], output: Path | None, names: list[str], ending: str
    ) -> list[Path]:
        if output == pipes.DASH:
            if len(sources) > 1:
                stop("standard output takes one file, not several", _WRONG_CALL)
            return [pipes.target(output, ending)]
        if output is None:
            if pipes.DASH in sources:
                stop("standard input has no name; give -o", _WRONG_CALL)
            return []
        if is_folder(output):
            return [output / name for name in names]
        if len(sources) > 1:
            stop(f"{output}: is no folder; several files need one", _WRONG_CALL)
        return [output]

    def _check_sources(self, sources: list[Path], output: Path | None, ending: str) -> None:
        if meant := self._meant(sources, output, ending):
            stop(meant, _WRONG_CALL)
        _stop_at(self._refusal(source) for source in sources if source != pipes.DASH)

    def _meant(self, sources: list[Path], output: Path | None, ending: str) -> str:
        """What was probably meant where the last source is none: ``cp`` names its target last."""
        *others, last = sources
        if output is not None or not others or pipes.DASH in sources:
            return ""
        reason = f"{last}: is a folder" if is_folder(last) else _text(self._refusal(last))
        reason = reason or self._lack(last)
        if not reason or any(map(self._refusal, others)):
            return ""
        line = ["isp-meta", *self.command.split(), *map(str, others)]
        if is_folder(last):
            line += ["-o", str(last)]
        elif self.into and _is_picture(last):
            line += [self.into, str(last)]
            if last == others[0].with_name(others[0].stem + ending):
                line += ["-o", f"{last.with_name(f'{last.stem}-raw{last.suffix}')}"]
        elif last.suffix.lower() in self.gives:
            line += ["-o", str(last)]
        else:
            return ""
        if len(others) > 1 and not is_folder(last):
            return f"{reason}; -o names what is written, a folder for several files"
        return f"{reason}; did you mean: {shlex.join(line)}"

    def _lack(self, last: Path) -> str:
        """What a picture lacks that could be the one to write."""
        from .. import carriers, io
        from ..errors import PayloadMissing

        if not self.carrying or last.suffix.lower() not in self.gives:
            return ""
        try:
            carriers.extract(io.read_bytes(last))
        except PayloadMissing:
            beside = carriers.sidecar.sidecar_path(last).exists()
            return "" if beside else f"{last}: carries no raw metadata"
        except IspMetaError:
            pass  # told when it is read
        return ""

    def _refusal(self, source: Path) -> str | IspMetaError:
        """Why a source cannot be one; "": it can, as far as its first bytes tell."""
        from .. import io
        from ..io.refusals import rendered_already

        if is_folder(source):
            batch = shlex.join(["isp-meta", "batch", self.command, str(source), "-o", "OUT"])
            more = f"for all in it: {batch}" if self.batch else "name a file in it"
            return f"{source}: is a folder; {more}"
        try:
            io.check_source(source)
            kind = io.file_kind(source)
            if self.takes == "picture":
                refused = kind not in _CARRIERS
                return f"{source}: is no JPEG, PNG or TIFF; convert it first" if refused else ""
            rendered = self.takes == "raw" and io.is_rendered(source)
        except (IspMetaError, OSError) as error:
            return error if isinstance(error, IspMetaError) else str(error)
        return rendered_already(source, kind) if rendered else ""

    def _check_targets(self, paths: list[Path], sources: list[Path], sidecars: bool) -> None:
        from .. import io
        from ..carriers.sidecar import sidecar_path
        from ..errors import OutputError

        read = [source for source in sources if source != pipes.DASH]
        refusals = []
        for path in paths:
            if paths.count(path) > 1:
                stop(
                    f"{path}: would be written twice; do files of one name one by one", _WRONG_CALL
                )
            try:
                for each in [path, sidecar_path(path)] if sidecars else [path]:
                    # Whether it exists already is for each file to tell: the others go on.
                    io.check_target(each, overwrite=True, sources=read)
            except OutputError as error:
                refusals.append(error.text)
        _stop_at(refusals)


def _stop_at(refusals: Iterable[str | IspMetaError]) -> None:
    """Ends the command after a line for each refusal, if there is one."""
    if found := [refusal for refusal in refusals if refusal]:
        for refusal in found:
            complain(_text(refusal))
        errors = [refusal for refusal in found if isinstance(refusal, IspMetaError)]
        raise typer.Exit(max(map(exit_code, errors), default=1))


def _text(refusal: str | IspMetaError) -> str:
    return refusal if isinstance(refusal, str) else refusal.text


def _is_picture(path: Path) -> bool:
    from .. import io

    try:
        return io.file_kind(path) in _CARRIERS
    except OSError:
        return False


def _endings_of(source: Path) -> tuple[str, ...]:
    """Of a file that holds what a source does, in the source's own way."""
    from .. import io

    own = source.suffix.lower()
    endings = _CARRIERS.get(io.file_kind(source), ())
    return endings if own in endings else (*endings, own)


def check_name(output: Path, endings: Sequence[str]) -> None:
    """Ends the command unless the file's name says what will be in it.

    Args:
        output: to write; standard output may be anything.
        endings: that are possible, in lower case.
    """
    if output == pipes.DASH or output.suffix.lower() in endings:
        return
    *most, last = [ending for ending in endings if ending not in ("", *_ALIASES)]
    listed = f"{', '.join(most)} or {last}" if most else last
    stop(f"{output}: name it {listed}", _WRONG_CALL)


def is_folder(path: Path) -> bool:
    """Whether a path is a folder; unlike Path's own, silent on a name that is too long."""
    return os.path.isdir(path)  # noqa: PTH112
