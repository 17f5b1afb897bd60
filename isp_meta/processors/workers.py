"""One core a worker: small computations in many threads, without PyTorch's own in between."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager

import torch

__all__ = ["workers"]


class _Threads:
    """PyTorch's number of threads, held at one while anybody works."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.count = 1

    def __enter__(self) -> int:
        with self.lock:
            if self.users == 0:
                self.count = torch.get_num_threads()
                torch.set_num_threads(1)
            self.users += 1
            return self.count

    def __exit__(self, *_error: object) -> None:
        with self.lock:
            self.users -= 1
            if self.users == 0:
                torch.set_num_threads(self.count)


# PyTorch's number is the process's. Two callers at once, each of which restored what it had found,
# could leave it at one for good.
_threads = _Threads()


@contextmanager
def workers() -> Iterator[Executor]:
    """As many workers as PyTorch has threads, each of which computes on one core.

    PyTorch's threads meet after every operation. Over thousands of small operations that gains
    nothing, and on a machine with other work it costs several times the computation.
    """
    with _threads as count, ThreadPoolExecutor(count) as executor:
        yield executor
