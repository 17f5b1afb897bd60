"""How PyTorch is to compute during a training: in which numbers, in how many threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["computes_in_half", "threads"]


def computes_in_half(precision: str, device: torch.device) -> bool:
    """Whether networks run in bfloat16.

    Args:
        precision: "float32", "bfloat16", or "auto": in bfloat16 where the device has instructions
            for it, which is where it is faster.
        device: that they run on.
    """
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())


@contextmanager
def threads(count: int) -> Iterator[None]:
    """While entered, PyTorch has so many threads on the processor; 0: as many as it has."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
