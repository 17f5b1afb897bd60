"""What is to be said before PyTorch loads, whose threads' library reads the environment once."""

from __future__ import annotations

import ctypes
import math
import os
import sys
from pathlib import Path

__all__ = ["available", "keep_freed_memory", "prepare"]

# Turns that a thread spins for the next piece of work before it sleeps: some 50 microseconds.
# By default it is milliseconds, in which nobody else has that processor.
_SPINS = "10000"
# glibc gives freed memory back to the kernel from so many bytes on, which then has to clear it
# again; and takes pieces from so many bytes on from the kernel alone.
_KEPT, _PIECE = 256 << 20, 32 << 20
# All threads take memory from one heap: of their own, each would keep what others could use, and
# give it back whatever the threshold says.
_HEAPS = 1
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def available(groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Number of processors that this process may keep busy, at least 1.

    Those it may run on, or fewer where a control group (version 2), such as a container's, has a
    quota of time.

    Args:
        groups: where control groups are mounted. own: the file that names this process's.
    """
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return max(1, min(count, math.ceil(min(_quotas(groups, own), default=count))))


def _quotas(groups: Path, own: Path) -> list[float]:
    """Processors' worth of time that each control group around this process may take."""
    found = []
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []
    for line in lines:
        hierarchy, _, name = line.partition("::")
        if hierarchy != "0":
            continue
        folder = groups / name.strip("/")
        # What a container mounts may be its own group alone, under the name it has outside.
        for each in (folder, *folder.parents):
            try:
                quota, period = (each / "cpu.max").read_text(encoding="ascii").split()
                if quota != "max":
                    found.append(int(quota) / int(period))
            except (OSError, ValueError):
                pass
            if each == groups:
                break
    return found


def prepare(threads: int | None = None) -> None:
    """Sets what of this process's surroundings makes PyTorch compute well; call it before it loads.

    What the environment says already (``OMP_NUM_THREADS``, ``OMP_WAIT_POLICY``, ``GOMP_SPINCOUNT``)
    stays. Processes that this one starts inherit it.

    Args:
        threads: to compute with, whatever the environment says; None: as the environment says, else
            as many as PyTorch would take, or fewer where a quota leaves less, see
            :func:`available`.
    """
    environment = os.environ
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(threads)
    elif available() < available(own=Path(os.devnull)):
        environment.setdefault("OMP_NUM_THREADS", str(available()))
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", _SPINS)
    keep_freed_memory()


def keep_freed_memory() -> None:
    """Has this process use its freed memory again, where that is glibc's to do."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)
        libc.mallopt(_M_MMAP_THRESHOLD, _PIECE)
        libc.mallopt(_M_ARENA_MAX, _HEAPS)
