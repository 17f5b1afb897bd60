"""What is known of each file: one JSON line a file, added once and never changed.

    OUT/.isp-meta-batch/manifest.jsonl    a row for every file that was worked on
    OUT/.isp-meta-batch/claims/*.json     rows of results that are being written
    OUT/.isp-meta-batch/errors.csv        what failed in the latest run

A worker writes the claim of a result before the result itself. So a result that is there without a
line in the manifest, because somebody was killed in between, is still known to be ours.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import hashlib
import io
import json
from dataclasses import dataclass
from typing import Literal

from ..errors import BatchError, ImageFileError
from .store import Store

__all__ = ["FOLDER", "Manifest", "Row", "claim_name"]

FOLDER = ".isp-meta-batch"
MANIFEST = f"{FOLDER}/manifest.jsonl"
ERRORS = f"{FOLDER}/errors.csv"
_CLAIMS = f"{FOLDER}/claims"

Status = Literal["done", "skipped", "failed"]


@dataclass(frozen=True)
class Row:
    """What became of a file.

    Attributes:
        name: of the file, relative to the folder of its tree, with slashes.
        status: "done" in this run; "skipped": done earlier; "failed".
        target: name of its result; "" of a job without one.
        input: SHA-256 of the file, and after a "+" that of its sidecar.
        output: the same of the result. replaced: the same of what was there before it.
        job: :attr:`isp_meta.batch.Job.identity`.
        megapixels, seconds: of the picture, and that it took.
        kind, error: name of the error's type, and its text; "" where all went well.
        remedy: the argument by which it goes on all the same, see :class:`isp_meta.IspMetaError`.
        worker: the process that did it.
    """

    name: str
    status: Status
    target: str = ""
    input: str = ""
    output: str = ""
    replaced: str = ""
    job: str = ""
    megapixels: float = 0.0
    seconds: float = 0.0
    kind: str = ""
    error: str = ""
    remedy: str = ""
    worker: int = 0

    def made(self, present: str) -> bool:
        """Whether what is there now is this row's result, a part of it, or what it replaces."""
        parts = present.split("+")
        for ours in (self.output.split("+"), self.replaced.split("+")):
            if len(ours) == len(parts) and all(
                part in ("", whole) for part, whole in zip(parts, ours, strict=True)
            ):
                return True
        return False

    def same_as(self, other: Row | None) -> bool:
        """Whether another row tells of the same work: file, job and result."""
        if other is None:
            return False
        parts = "name", "input", "output", "job"
        return all(getattr(self, part) == getattr(other, part) for part in parts)

    def to_json(self) -> str:
        """One line of ASCII, which holds names that are no Unicode, too."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Row:
        """The row that :meth:`to_json` wrote.

        Raises:
            ValueError: it is none.
        """
        found = json.loads(text)
        try:
            row = cls(**found)
        except TypeError as error:
            raise ValueError(str(error)) from error
        for field in dataclasses.fields(cls):
            kinds = {"float": int | float, "int": int}.get(str(field.type), str)
            if not isinstance(getattr(row, field.name), kinds):
                raise ValueError(f"{field.name} is of a wrong type")
        return row


def claim_name(name: str) -> str:
    """Where the claim of a file's result lies."""
    return f"{_CLAIMS}/{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()}.json"


class Manifest:
    """The manifest of an output tree.

    Args:
        store: the tree.

    Attributes:
        known: the latest row of each file that was done, by its name.

    Raises:
        BatchError: the manifest cannot be read. A line that was cut off is passed over.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.known: dict[str, Row] = {}
        try:
            text = store.read(MANIFEST) or b""
        except ImageFileError as error:
            if "is empty" not in str(error):
                raise BatchError(str(error)) from error
            text = b""
        lines = text.split(b"\n")
        for line in filter(None, lines):
            # One that was cut off is as if it had never been written: its file is done again.
            with contextlib.suppress(ValueError):
                row = Row.from_json(line)
                if row.status == "done":
                    self.known[row.name] = row
        if lines[-1]:
            # What follows must not join the piece of a line.
            store.append(MANIFEST, b"\n")
        self._whole = [line for line in lines if line]
        self._open: set[str] = set()
        self._settled: list[str] = []
        for claim in store.list(_CLAIMS):
            with contextlib.suppress(ValueError, ImageFileError):
                row = Row.from_json(store.read(claim) or b"")
                if row.same_as(self.known.get(row.name)):
                    # Written down, and killed before the claim was taken back.
                    store.remove(claim)
                    continue
                self.known[row.name] = row
                self._open.add(row.name)

    def add(self, row: Row) -> None:
        """Writes down what became of a file, unless that was known; it is on the disk then."""
        if row.status == "skipped":
            if row.name not in self._open:
                return
            row = dataclasses.replace(row, status="done")
        line = row.to_json().encode("ascii")
        self._whole.append(line)
        appended = self.store.append(MANIFEST, line + b"\n")
        if row.status == "done":
            self._settled.append(claim_name(row.name))
        if appended:
            self._settle()

    def _settle(self) -> None:
        while self._settled:
            self.store.remove(self._settled.pop())

    def close(self, failed: list[Row]) -> None:
        """Writes down what is left, and the table of errors.

        Args:
            failed: rows of this run.
        """
        if self._settled:
            whole = b"".join(line + b"\n" for line in self._whole)
            self.store.write(MANIFEST, whole, overwrite=True)
            self._settle()
        table = io.StringIO()
        rows = csv.writer(table)
        rows.writerow(["name", "kind", "error"])
        rows.writerows([row.name, row.kind, row.error] for row in failed)
        self.store.write(
            ERRORS, table.getvalue().encode("utf-8", "backslashreplace"), overwrite=True
        )
