"""A whole batch: what is left to do of a tree is found, done, and written down."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import BatchError
from ..processors import available
from .jobs import Job
from .local import run_local
from .manifest import ERRORS, Manifest, Row
from .order import Order, failure
from .ray_engine import run_ray
from .store import LocalStore, open_store
from .tree import Task, find_tasks

__all__ = ["Engine", "Summary", "run"]

Engine = Literal["local", "ray"]


@dataclass
class Summary:
    """How far a batch is; at its end, what came of it.

    Attributes:
        files: number of files that the job takes.
        done, skipped, failed: numbers of those done in this run, done earlier, and failed.
        passed_over: numbers of the files that it does not take, by their endings.
        megapixels: of those done in this run. seconds: of this run so far.
        errors: rows of those that failed.
        table: the same as a file, CSV.
    """

    files: int
    done: int = 0
    skipped: int = 0
    failed: int = 0
    passed_over: dict[str, int] = field(default_factory=dict)
    megapixels: float = 0.0
    seconds: float = 0.0
    errors: list[Row] = field(default_factory=list)
    table: str = ""

    @property
    def rate(self) -> float:
        """Megapixels a second in this run."""
        return self.megapixels / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float:
        """What the rest takes at the speed so far; infinite while nothing is done."""
        left = self.files - self.done - self.skipped - self.failed
        worked = self.done + self.failed
        return self.seconds / worked * left if worked else float("inf")

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        numbers = ("files", "done", "skipped", "failed", "megapixels", "seconds", "rate")
        endings = dict(sorted(self.passed_over.items()))
        rows = [{"name": r.name, "kind": r.kind, "error": r.error} for r in self.errors]
        return {name: getattr(self, name) for name in numbers} | {
            "passed_over": sum(endings.values()),
            "passed_over_endings": endings,
            "table": self.table,
            "errors": rows,
        }

    def _count(self, row: Row) -> None:
        setattr(self, row.status, getattr(self, row.status) + 1)
        if row.status == "done":
            self.megapixels += row.megapixels
        if row.status == "failed":
            self.errors.append(row)


def run(
    job: Job,
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    jobs: int | None = None,
    engine: Engine = "local",
    gpus: float = 0.0,
    overwrite: bool = False,
    report: Callable[[Row | None, Summary], None] | None = None,
) -> Summary:
    """Does a job to every file of a tree, and mirrors the tree with the results.

    What an earlier run of the same job did is skipped, if file and result are still the same. A
    file that fails is a row, and the others go on. Stopped at any point, by whatever means, the
    same call goes on where it was.

    Args:
        job: :class:`Embed`, :class:`Recover` or :class:`Verify`.
        source: folder, or the URL of one that fsspec opens ("s3://bucket/photos").
        output: likewise; made where it is missing. Its folder ``.isp-meta-batch`` holds the
            manifest and the table of errors.
        jobs: processes or actors; default as many as this process has cores.
        engine: "local": processes of this machine. "ray": actors of Ray Data, on the cluster that
            RAY_ADDRESS names or else on this machine; other machines must see the two trees at the
            same paths or URLs.
        gpus: that each actor of Ray holds, or a fraction of one; reconstruction runs there.
        overwrite: files in the output tree that no batch made may be replaced.
        report: called with each file's row as it is done, and how far the batch is; and before the
            first one with None.

    Returns:
        What came of it.

    Raises:
        BatchError: no such folder or nothing in it to do, another batch at work in the output
            tree, an engine that does not start.
        OutputError: the output tree cannot be written.
        ValueError: ``jobs`` or ``gpus`` out of range, or GPUs of the local engine.
    """
    jobs = available() if jobs is None else jobs
    if jobs < 1 or gpus < 0:
        raise ValueError(f"jobs must be at least 1 and gpus at least 0, not {jobs} and {gpus}")
    if gpus and engine != "ray":
        raise ValueError("GPUs are those of the engine ray")
    device = "cuda" if gpus else "cpu"
    start = time.monotonic()
    source_store, output_store = open_store(source), open_store(output)
    order = Order(job, source_store.url, output_store.url, overwrite, device)
    if isinstance(source_store, LocalStore) and not source_store.root.is_dir():
        raise BatchError(f"{source}: there is no such folder; check the name")
    found = find_tasks(job, source_store, output_store)
    with output_store.lock():
        manifest = Manifest(output_store)
        tasks = [
            dataclasses.replace(task, known=manifest.known.get(task.name)) for task in found.tasks
        ]
        table = f"{os.fspath(output).rstrip('/')}/{ERRORS}"
        summary = Summary(len(tasks), passed_over=dict(found.passed_over), table=table)
        if report:
            report(None, summary)
        try:
            # Closed before the manifest is: workers must not write any more then.
            with contextlib.closing(_rows(order, tasks, jobs, engine, gpus)) as rows:
                for row in rows:
                    manifest.add(row)
                    summary._count(row)
                    summary.seconds = time.monotonic() - start
                    if report:
                        report(row, summary)
        finally:
            manifest.close(summary.errors)
    return summary


def _rows(
    order: Order, tasks: list[Task], jobs: int, engine: Engine, gpus: float
) -> Generator[Row, None, None]:
    yield from (failure(task, "BatchError", task.refusal) for task in tasks if task.refusal)
    ready = [task for task in tasks if not task.refusal]
    if not ready:
        return
    if engine == "ray":
        yield from run_ray(order, ready, jobs, gpus)
    elif engine == "local":
        yield from run_local(order, ready, jobs)
    else:
        raise ValueError(f"engine must be local or ray, not {engine!r}")
