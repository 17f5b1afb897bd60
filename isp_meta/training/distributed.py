"""Several processes with one model: what each does with its share, and what they add up.

Started by ``torchrun``, which says who is who in the environment; without it all of this is that of
one process. Batch norm in training mode takes the statistics of a process' own share of the batch,
and the first process' running statistics count for all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, distributed

__all__ = ["barrier", "processes", "rank", "sum_over_processes", "world_size"]


def world_size() -> int:
    """Number of processes, 1 outside a group."""
    return distributed.get_world_size() if _grouped() else 1


def rank() -> int:
    """This process' number, from 0; the first alone writes files."""
    return distributed.get_rank() if _grouped() else 0


def _grouped() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def sum_over_processes(tensors: Sequence[Tensor]) -> None:
    """Replaces tensors, of one dtype and device, by their sums over all processes, at once."""
    if world_size() == 1 or not tensors:
        return
    flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
    distributed.all_reduce(flat)
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    with torch.no_grad():
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))


def barrier() -> None:
    """Waits for all processes."""
    if world_size() > 1:
        distributed.barrier()


@contextmanager
def processes(device: str = "auto") -> Iterator[torch.device]:
    """Joins the group that ``torchrun`` describes, if it does, and leaves it at the end.

    Args:
        device: "auto": CUDA where there is one.

    Yields:
        This process' device: with CUDA that of its number on its machine.
    """
    cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    local = int(os.environ.get("LOCAL_RANK", "0"))
    chosen = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(chosen)
    joins = int(os.environ.get("WORLD_SIZE", "1")) > 1 and not _grouped()
    if joins:
        distributed.init_process_group(
            "nccl" if cuda else "gloo", device_id=chosen if cuda else None
        )
    try:
        yield chosen
    finally:
        if joins:
            distributed.destroy_process_group()
