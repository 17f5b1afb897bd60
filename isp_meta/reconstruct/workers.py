"""One core a worker: small systems in many threads, without PyTorch's own threads in between."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager

import torch

__all__ = ["workers"]


@contextmanager
def workers() -> Iterator[Executor]:
    """As many workers as PyTorch has threads, each of which computes on one core.

    PyTorch's threads meet after every operation. Over thousands of small systems that gains
    nothing, and on a machine with other work it costs several times the computation.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as executor:
            yield executor
    finally:
        torch.set_num_threads(threads)
