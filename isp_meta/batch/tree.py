"""Which files there are to do, and what their results are called: the tree is mirrored."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from ..carriers.sidecar import SUFFIX as SIDECAR
from ..errors import BatchError
from .jobs import Job
from .manifest import Row
from .store import Store

__all__ = ["Found", "Task", "find_tasks"]


@dataclass(frozen=True)
class Task:
    """A file to do.

    Attributes:
        name: of the file, relative, with slashes. target: of its result; "": there is none.
        beside: whether the file that belongs to it lies beside it.
        known: what was done to it earlier.
        refusal: why it cannot be done, or "".
    """

    name: str
    target: str = ""
    beside: bool = False
    known: Row | None = None
    refusal: str = ""

    def to_json(self) -> str:
        """One line of ASCII."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Task:
        """The task that :meth:`to_json` wrote."""
        found = json.loads(text)
        known = found.pop("known")
        return cls(**found, known=None if known is None else Row(**known))


@dataclass(frozen=True)
class Found:
    """What there is in a tree.

    Attributes:
        tasks: the files that a job takes, sorted by name.
        passed_over: numbers of the others by their endings, in lower case; not of sidecars and
            layouts.
    """

    tasks: list[Task]
    passed_over: Counter[str]


def find_tasks(job: Job, source: Store, output: Store) -> Found:
    """The files of a tree.

    Hidden files and folders do not count, nor does the output tree where it lies inside. Names of
    results come from names of files alone; two files with one result are both refused.

    Raises:
        BatchError: there is no such folder, or no file in it.
    """
    found = list(source.walk(skip=output.inside(source)))
    names = {name for name, _refusal in found}
    tasks, passed_over = [], Counter[str]()
    for name, refusal in found:
        path = PurePosixPath(name)
        folder = name.endswith("/")
        if not folder and path.suffix.lower() not in job.suffixes:
            if not _belongs(name, names, (SIDECAR, job.companion)):
                passed_over[path.suffix.lower()] += 1
            continue
        target = "" if job.ending is None else str(path.with_name(f"{path.stem}{job.ending}"))
        beside = name + job.companion in names
        tasks.append(Task(name, target, beside, refusal=refusal))
    if not tasks:
        raise BatchError(
            f"{source}: holds no file that ends in one of {', '.join(sorted(job.suffixes))}; "
            f"{passed_over.total()} passed over"
        )
    results = Counter(task.target for task in tasks if task.target and not task.refusal)
    tasks = [_unless_shared(task, results) for task in tasks]
    return Found(sorted(tasks, key=lambda task: task.name), passed_over)


def _belongs(name: str, names: set[str], endings: Iterable[str]) -> bool:
    """Whether a file lies beside the one whose name it has, with an ending behind it."""
    return any(name.endswith(end) and name.removesuffix(end) in names for end in endings)


def _unless_shared(task: Task, results: Counter[str]) -> Task:
    if task.refusal or results[task.target] < 2:
        return task
    refusal = f"{task.target} would be made from another file, too; rename one of them"
    return dataclasses.replace(task, refusal=refusal)
