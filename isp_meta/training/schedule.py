"""The learning rate of every step."""

from __future__ import annotations

import math

from .config import ScheduleConfig

__all__ = ["share_of_rate"]

_FINAL = 0.01  # of the rate, where it has fallen


def share_of_rate(step: int, steps: int, config: ScheduleConfig) -> float:
    """Share of the highest learning rate that a step takes.

        warm-up: (s + 1) / warmup        cosine: f + (1 − f) (1 + cos π t) / 2,  t from 0 to 1
        trapezoid: 1, and f + (1 − f) (1 − t) over the last ``decay`` steps, t from 0 to 1

    A trapezoid does not need to know how long a training will be: it goes on at the full rate for
    as long as that helps, and ends with a decay from any of its checkpoints.

    Args:
        step: from 0.
        steps: of the training, in all.
        config: kind, warm-up and decay.

    Returns:
        In (0, 1].

    Source: cosine as in Loshchilov and Hutter, ICLR 2017, without restarts; trapezoid as in Zhai et
    al., Scaling Vision Transformers, CVPR 2022, section 3.5 (infinite schedules with a cooldown).
    """
    if step < config.warmup:
        return (step + 1) / config.warmup
    if config.kind == "constant":
        return 1.0
    if config.kind == "trapezoid":
        left = steps - 1 - step
        return 1.0 if left >= config.decay else _FINAL + (1 - _FINAL) * left / config.decay
    t = (step - config.warmup) / max(1, steps - config.warmup)
    return _FINAL + (1 - _FINAL) * (1 + math.cos(math.pi * min(1.0, t))) / 2
