"""A moving average of weights: steadier than the last ones, above all at a high learning rate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["MovingAverage"]


class MovingAverage:
    """Exponential moving average of a module's parameters and running statistics.

        θ̄ ← d θ̄ + (1 − d) θ,   d = min(decay, (1 + t) / (10 + t)) at update t

    The low decay of the first updates forgets the random weights of the start.

    Args:
        module: whose weights are averaged.
        decay: in (0, 1).

    Source: Polyak and Juditsky, SIAM J. Control Optim. 30(4), 1992, with exponential weights.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = module
        self.decay = decay
        self.updates = 0
        self.state = {name: value.clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Takes the weights as they are now."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        for name, value in self.module.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The module has the average within, and its own weights again afterwards."""
        own = {name: value.clone() for name, value in self.module.state_dict().items()}
        self.module.load_state_dict(self.state)
        try:
            yield
        finally:
            self.module.load_state_dict(own)

    def state_dict(self) -> dict[str, Tensor | int]:
        """What a checkpoint keeps."""
        return {**self.state, "updates": self.updates}

    def load_state_dict(self, state: dict[str, Tensor | int]) -> None:
        """Goes on from what a checkpoint kept.

        Raises:
            KeyError: it is that of another module.
        """
        self.updates = int(state["updates"])
        for name, value in self.state.items():
            value.copy_(torch.as_tensor(state[name]))
