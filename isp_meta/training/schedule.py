"""The learning rate of every step."""

from __future__ import annotations

import math
from typing import Any

from .config import ScheduleConfig

__all__ = ["Schedule"]


class Schedule:
    """Share of the highest learning rate, by step and by what validation said.

        warm-up: (s + 1) / warmup        cosine: f + (1 − f) (1 + cos π t) / 2,  t from 0 to 1

    Args:
        config: kind and its constants.
        steps: of the training, in all.

    Source: cosine as in Loshchilov and Hutter, ICLR 2017, without restarts.
    """

    def __init__(self, config: ScheduleConfig, steps: int) -> None:
        self.config = config
        self.steps = steps
        self.scale = 1.0
        self.best = -math.inf
        self.worse = 0

    def share(self, step: int) -> float:
        """That of a step, from 0; in (0, 1]."""
        config = self.config
        if step < config.warmup:
            return (step + 1) / config.warmup
        if config.kind != "cosine":
            return self.scale
        t = (step - config.warmup) / max(1, self.steps - config.warmup)
        return config.final + (1 - config.final) * (1 + math.cos(math.pi * min(1.0, t))) / 2

    def validated(self, psnr: float) -> None:
        """Takes note of a validation; "plateau" lowers the rate where it stopped to help."""
        if psnr > self.best:
            self.best, self.worse = psnr, 0
            return
        self.worse += 1
        if self.config.kind == "plateau" and self.worse >= self.config.patience:
            self.scale, self.worse = self.scale * self.config.factor, 0

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"scale": self.scale, "best": self.best, "worse": self.worse}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what a checkpoint kept."""
        self.scale = float(state["scale"])
        self.best = float(state["best"])
        self.worse = int(state["worse"])
