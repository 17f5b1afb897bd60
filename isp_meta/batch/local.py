"""Processes of this machine, one core each: any of them may die, and the others go on."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from ..errors import BatchError
from ..processors import prepare
from .manifest import Row
from .order import Order, failure
from .tree import Task

__all__ = ["die_with_parent", "end", "run_local"]

_PATIENCE = 5.0  # seconds that a process has to tidy up
_PR_SET_PDEATHSIG = 1


@dataclass(eq=False)
class _Worker:
    """A process, our end of its pipe, and what it is at."""

    process: BaseProcess
    pipe: Connection
    task: Task | None = None
    ready: bool = False


def run_local(order: Order, tasks: Sequence[Task], jobs: int) -> Iterator[Row]:
    """Does tasks in processes of this machine, and gives their rows as they are finished.

    A task whose worker dies is given to one other worker; if that dies too, the row says so.
    Where the caller stops early, the processes are ended first.

    Args:
        jobs: number of processes.

    Raises:
        BatchError: processes do not start.
    """
    waiting = deque(tasks)
    tried: set[str] = set()
    stillborn = 0
    workers: list[_Worker] = []
    scratch = tempfile.mkdtemp(prefix="isp-meta-")
    try:
        while waiting or any(worker.task for worker in workers):
            while len(workers) < min(jobs, len(waiting) + sum(bool(w.task) for w in workers)):
                workers.append(_start(order, scratch))
            for pipe in wait([worker.pipe for worker in workers]):
                worker = next(worker for worker in workers if worker.pipe is pipe)
                try:
                    row = worker.pipe.recv()
                except (EOFError, OSError):
                    workers.remove(worker)
                    stillborn += not worker.ready
                    if stillborn > 1:
                        raise BatchError(f"workers do not start, {_cause(worker)}") from None
                    yield from _after_death(worker, waiting, tried)
                    continue
                worker.task, worker.ready = None, True
                if row is not None:
                    yield row
                if waiting:
                    worker.task = waiting.popleft()
                    with contextlib.suppress(OSError):  # it died; its pipe says so next
                        worker.pipe.send(worker.task)
    finally:
        end([worker.process for worker in workers])
        shutil.rmtree(scratch, ignore_errors=True)  # a worker that was killed left its files


def _start(order: Order, scratch: str) -> _Worker:
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(
        target=_serve, args=(order, theirs, os.getpid(), scratch), daemon=True
    )
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _after_death(worker: _Worker, waiting: deque[Task], tried: set[str]) -> Iterator[Row]:
    cause, task = _cause(worker), worker.task
    if task is None:
        return
    if task.name not in tried:
        tried.add(task.name)
        waiting.appendleft(task)
        return
    yield failure(task, "WorkerDied", f"{cause} while at it, twice; it may need too much memory")


def _cause(worker: _Worker) -> str:
    worker.pipe.close()
    worker.process.join(_PATIENCE)
    code = worker.process.exitcode or 0
    return f"its process ended by {signal.Signals(-code).name if code < 0 else f'code {code}'}"


def end(processes: Sequence[BaseProcess], patience: float = _PATIENCE) -> None:
    """Ends processes, first kindly.

    Args:
        patience: seconds that they have.
    """
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(patience)
        if process.is_alive():
            process.kill()
            process.join()


def die_with_parent(parent: int, kind: int = signal.SIGKILL) -> None:
    """Has Linux end this process when its parent ends, however that ends.

    Args:
        parent: its number; if it is gone already, this process ends at once.
        kind: the signal to get then.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(kind))
    if os.getppid() != parent:
        os._exit(1)


def _serve(order: Order, pipe: Connection, parent: int, scratch: str) -> None:
    """A worker's life: says that it is there, then gives a row for every task."""
    die_with_parent(parent)
    # The terminal interrupts us all; the parent decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    prepare(threads=1)
    tempfile.tempdir = scratch
    with contextlib.suppress(EOFError, OSError):
        pipe.send(None)
        while True:
            pipe.send(order.do(pipe.recv()))
