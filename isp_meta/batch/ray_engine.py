"""The same on Ray Data: actors on any number of machines, which read and write by themselves.

Ray runs in a process of its own. What it prints goes to a file, what it starts ends with it, and an
interruption of the terminal does not reach it but through us.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import re
import shutil
import signal
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ..errors import BatchError
from .local import die_with_parent, end
from .manifest import Row
from .order import Order, failure
from .tree import Task

__all__ = ["run_ray"]

_PATIENCE = 20.0  # seconds that Ray has to end
_OBJECT_STORE = 128 << 20  # bytes; only rows go through it
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def run_ray(order: Order, tasks: Sequence[Task], jobs: int, gpus: float = 0.0) -> Iterator[Row]:
    """Does tasks in actors of Ray, and gives their rows as they are finished.

    Ray is that of the environment variable RAY_ADDRESS; without it, one is started for this run. A
    task whose actor dies is given to one other actor; if that dies too, the row says so.

    Args:
        jobs: number of actors. gpus: that each of them holds, or a fraction of one.

    Raises:
        BatchError: Ray is not installed, or does not start.
    """
    if importlib.util.find_spec("ray") is None:
        raise BatchError("the engine ray needs Ray; pip install 'isp-meta[ray]'")
    ours, theirs = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("spawn")
    # Ray's sockets lie in it, whose names may not be long.
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    log = folder / "isp-meta.log"
    process = context.Process(
        target=_drive, args=(order, list(tasks), jobs, gpus, theirs, folder, os.getpid())
    )
    process.start()
    theirs.close()
    left = {task.name: task for task in tasks}
    failed = True
    try:
        while left:
            try:
                answer = ours.recv()
            except EOFError:
                raise BatchError(f"Ray ended before its work did; {log} says why") from None
            if isinstance(answer, str):
                raise BatchError(f"Ray failed, {answer}; {log} says more")
            if answer is None:
                break
            if left.pop(answer.name, None) is not None:
                yield answer
        failed = False
        for task in left.values():
            yield failure(task, "WorkerDied", "its actor died, twice; it may need too much memory")
    except GeneratorExit:
        failed = False
        raise
    finally:
        ours.close()
        end([process], _PATIENCE)
        if not failed:
            shutil.rmtree(folder, ignore_errors=True)


def _drive(
    order: Order,
    tasks: list[Task],
    jobs: int,
    gpus: float,
    pipe: Connection,
    folder: Path,
    parent: int,
) -> None:
    """The process around Ray: sends rows, then None; or the text of an error."""
    die_with_parent(parent, signal.SIGTERM)
    os.setsid()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    descriptor = os.open(folder / "isp-meta.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    # What this process can import, a job of the user's own say, its actors can.
    paths = os.pathsep.join(filter(None, sys.path))
    os.environ.update(_QUIET, PYTHONPATH=paths, TMPDIR=str(folder))
    import ray

    try:
        elsewhere = bool(os.environ.get("RAY_ADDRESS"))
        ray.init(
            include_dashboard=False,
            log_to_driver=False,
            num_cpus=None if elsewhere else jobs,
            object_store_memory=None if elsewhere else _OBJECT_STORE,
            _temp_dir=None if elsewhere else str(folder),
        )
        for row in _stream(order, tasks, jobs, gpus):
            pipe.send(row)
        pipe.send(None)
    except Exception as error:  # whatever Ray raises, the other process is to hear of it
        pipe.send(_brief(error))
        raise
    finally:
        ray.shutdown()


def _brief(error: Exception) -> str:
    text = re.sub(r"\x1b\[\d*m", "", f"{type(error).__name__}: {error}")
    return textwrap.shorten(text, 300, placeholder=" ...")


def _stream(order: Order, tasks: list[Task], jobs: int, gpus: float) -> Iterator[Row]:
    from ray import data

    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    # What an actor that dies for good took with it is missing at the end, and reported then.
    context.max_errored_blocks = -1
    rows = data.from_items(
        [{"task": task.to_json()} for task in tasks], override_num_blocks=len(tasks)
    ).map(
        _Actor,  # type: ignore[arg-type]
        fn_constructor_args=(order,),
        # One at a time: a task that kills its actor is to take no other one with it.
        compute=data.ActorPoolStrategy(size=min(jobs, len(tasks)), max_tasks_in_flight_per_actor=1),
        num_cpus=1,
        num_gpus=gpus or None,
        max_restarts=-1,
        max_task_retries=1,
    )
    for row in rows.iter_rows():
        yield Row.from_json(row["row"])


class _Actor:
    """Holds what is loaded once: PyTorch, the job's pipeline and networks."""

    def __init__(self, order: Order) -> None:
        import torch

        torch.set_num_threads(1)
        self.order = order

    def __call__(self, item: dict[str, Any]) -> dict[str, str]:
        return {"row": self.order.do(Task.from_json(item["task"])).to_json()}
