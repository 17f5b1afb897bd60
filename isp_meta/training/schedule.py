"""The learning rate of every step."""

from __future__ import annotations

import math

from .config import ScheduleConfig

__all__ = ["share_of_rate"]

_FINAL = 0.01  # what a cosine leaves


def share_of_rate(step: int, steps: int, config: ScheduleConfig) -> float:
    """Share of the highest learning rate that a step takes.

        warm-up: (s + 1) / warmup        cosine: f + (1 − f) (1 + cos π t) / 2,  t from 0 to 1

    Args:
        step: from 0.
        steps: of the training, in all.
        config: kind and warm-up.

    Returns:
        In (0, 1].

    Source: cosine as in Loshchilov and Hutter, ICLR 2017, without restarts.
    """
    if step < config.warmup:
        return (step + 1) / config.warmup
    if config.kind == "constant":
        return 1.0
    t = (step - config.warmup) / max(1, steps - config.warmup)
    return _FINAL + (1 - _FINAL) * (1 + math.cos(math.pi * min(1.0, t))) / 2
