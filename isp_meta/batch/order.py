"""One file, from its tree to the other: what every worker does, on this machine or another."""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from dataclasses import dataclass

from ..carriers.sidecar import SUFFIX as SIDECAR
from ..errors import ImageFileError, IspMetaError, OutputError
from .jobs import Job
from .manifest import Row, claim_name
from .store import Store, digest, open_store
from .tree import Task
from .work import work

__all__ = ["Order", "failure"]


@dataclass(frozen=True)
class Order:
    """What is to be done to every file of a tree; travels to workers.

    Attributes:
        job: what is done. source, output: paths or URLs of the two trees.
        overwrite: files in the output tree that no batch made may be replaced.
        device: of reconstruction.
    """

    job: Job
    source: str
    output: str
    overwrite: bool = False
    device: str = "cpu"

    def stores(self) -> tuple[Store, Store]:
        """The two trees."""
        return _open(self.source), _open(self.output)

    def do(self, task: Task) -> Row:
        """Does one file, unless that was done already; never raises for a reason in the file.

        A worker that is killed at any point, and a second one that begins again, leave one result:
        either the claim is there and the result is what it says, or the result is made again.
        """
        start = time.perf_counter()
        try:
            row = self._do(task)
        except IspMetaError as error:
            row = failure(task, type(error).__name__, error.text, error.remedy)
        except OSError as error:
            row = failure(task, type(error).__name__, str(error))
        if row.status == "skipped":
            return row
        seconds = round(time.perf_counter() - start, 3)
        return dataclasses.replace(row, seconds=seconds, worker=os.getpid())

    def _do(self, task: Task) -> Row:
        source, output = self.stores()
        data = source.read(task.name)
        if data is None:
            raise ImageFileError(f"{task.name}: is gone")
        beside = source.read(task.name + self.job.companion) if task.beside else None
        row = Row(task.name, "done", task.target, digest(data, beside), job=self.job.identity)
        present = digest(*(output.read(name) for name in self._results(task)))
        claim = self._claim(task, output)
        known = claim or task.known
        if known is not None and known.output == present and _same(known, row):
            # A claim of this run is that of a worker which was killed before it could say so.
            ours = claim is not None and claim != task.known
            return dataclasses.replace(known, status="done" if ours else "skipped")
        if present and not self.overwrite and not (known is not None and known.made(present)):
            raise OutputError(f"{task.target} exists already", remedy="overwrite")
        done = work(self.job, task.name, data, beside, self.device)
        if done.error:
            return dataclasses.replace(
                row, status="failed", kind=done.kind, error=done.error, remedy=done.remedy
            )
        made = [part for part in (done.data, done.beside) if part is not None]
        row = dataclasses.replace(
            row, megapixels=done.megapixels, output=digest(*made), replaced=present
        )
        if made:
            self._publish(task, output, row, made)
        return row

    def _results(self, task: Task) -> list[str]:
        """Names of the result's files."""
        if not task.target:
            return []
        return [task.target, task.target + SIDECAR] if self.job.sidecar else [task.target]

    def _claim(self, task: Task, output: Store) -> Row | None:
        try:
            found = output.read(claim_name(task.name)) if task.target else None
            return None if found is None else Row.from_json(found)
        except (ImageFileError, ValueError):
            return None

    def _publish(self, task: Task, output: Store, row: Row, made: list[bytes]) -> None:
        """First the claim, then the sidecar, and the picture last, which others look for."""
        output.write(claim_name(task.name), row.to_json().encode("ascii"), overwrite=True)
        files = list(zip(self._results(task), made, strict=True))
        try:
            for name, data in reversed(files):
                output.write(name, data, overwrite=self.overwrite or bool(row.replaced))
        except OutputError:
            output.remove(claim_name(task.name))
            raise


def failure(task: Task, kind: str, error: str, remedy: str = "") -> Row:
    """The row of a file that failed.

    Args:
        kind: name of the error's type. error: its text, which may begin with the file's name.
        remedy: the error's.
    """
    text = error if error.startswith(task.name) else f"{task.name}: {error}"
    return Row(task.name, "failed", kind=kind, error=text, remedy=remedy)


def _same(known: Row, row: Row) -> bool:
    return (known.input, known.job, known.target) == (row.input, row.job, row.target)


@functools.cache
def _open(place: str) -> Store:
    return open_store(place)
