"""Seconds and memory of the stages of a pipeline."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..frame import Frame
from ..stage import Stage

__all__ = ["StageTime", "Stopwatch"]

_PROCESS = Path("/proc/self")


@dataclass(frozen=True)
class StageTime:
    """What one stage cost.

    Attributes:
        stage: the stage.
        seconds: by the clock on the wall; stages that ran band by band together share theirs as
            they shared the workers.
        peak_bytes: the largest memory that the process (on CUDA: PyTorch) held while it ran; of
            stages that ran together, theirs together. None: the system does not tell.
    """

    stage: Stage
    seconds: float
    peak_bytes: int | None


class Stopwatch:
    """Measures one stage, or several that run together, after the other.

    Args:
        frame: tells the device.
    """

    def __init__(self, frame: Frame) -> None:
        pictures = [getattr(frame, name) for name in sorted(frame.filled - {"samples"})]
        self.cuda = any(picture.is_cuda for picture in pictures)
        self.times: list[StageTime] = []
        self._start()

    def lap(self, stages: Sequence[Stage], weights: Sequence[float]) -> None:
        """Notes what has passed since the last lap.

        Args:
            stages: that ran. weights: by which they share the seconds.
        """
        if self.cuda:
            torch.cuda.synchronize()
        spent = time.perf_counter() - self.begun
        peak = torch.cuda.max_memory_allocated() if self.cuda else _peak()
        for stage, weight in zip(stages, weights, strict=True):
            share = weight / (sum(weights) or 1.0)
            self.times.append(StageTime(stage, spent * share, peak if self.resets else None))
        self._start()

    def _start(self) -> None:
        if self.cuda:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        self.resets = self.cuda or _reset_peak()
        self.begun = time.perf_counter()


def _reset_peak() -> bool:
    """Sets the process's VmHWM to what it holds now; Linux alone does (man 5 proc)."""
    with contextlib.suppress(OSError):
        (_PROCESS / "clear_refs").write_text("5", encoding="ascii")
        return True
    return False


def _peak() -> int | None:
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s*(\d+) kB", (_PROCESS / "status").read_text(encoding="ascii"))
        return int(found[1]) * 1024 if found else None
    return None
