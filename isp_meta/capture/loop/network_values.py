"""The values with which a network comes nearest to the truth, in place of the measured ones.

values ─▶ planes ─▶ inputs ─▶ network, frozen ─▶ raw ─▶ squared error
   ▲                                                        │
   └─────────────── Adam, in log-gains ◀── gradient ────────┘
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from ...codec import Steps, quantize
from ...decoder.guess import LOG_FLOOR, log_gain
from ...frame import Frame
from ...networks.tiles import Window, evaluating, tile_windows
from ...reconstruct import TrainableReconstructor
from ...samples import Samples

__all__ = ["ControlValues"]

# Looks at the whole picture for each step of effort, steps of Adam between two, their size at first
# and by how much smaller it becomes where the picture is the worse for them.
_LOOKS, _STEPS, _RATE, _SLOWER = 4, 5, 0.05, 0.3
# Largest side of what autograd holds at a time, without its halo: a U-Net of width 32 takes 2.5 GB.
_TILE = 512


class ControlValues:
    """Values under way from the measured ones to those that serve a network best.

    Args:
        reconstructor: whose network is asked; it stays as it is.
        frame: with ``raw`` and ``srgb``. samples: of it, as measured.
        counts: (H, W) bool, which pixels are to be met; None: all.
    """

    def __init__(
        self,
        reconstructor: TrainableReconstructor,
        frame: Frame,
        samples: Samples,
        counts: Tensor | None,
    ) -> None:
        self.reconstructor, self.samples, self.counts = reconstructor, samples, counts
        self.raw: Tensor = frame.require("raw", "ControlValues")
        self.srgb: Tensor = frame.require("srgb", "ControlValues")
        self.made_for = reconstructor.fingerprint()

    def better(
        self, effort: int, missed: Callable[[Samples], float]
    ) -> Iterator[tuple[Samples, float]]:
        """Control values in the default steps, nearer and nearer to the best ones.

        Args:
            missed: tells the squared error of samples.

        Yields:
            Samples, and what is missed with them: less each time, from that on with which the
            measured values would be met if nobody pasted them.
        """
        # No tensor of inference mode, in which whoever asks may be: autograd takes none.
        with torch.inference_mode(False):
            best = torch.zeros_like(self.samples.value)
        least, rate = missed(self._controls(best)), _RATE
        gain, optimizer = self._start(best, rate)
        for _ in range(_LOOKS * effort):
            for _ in range(_STEPS):
                self._advance(gain, optimizer)
            found = self._controls(gain)
            error = missed(found)
            if error < least:
                best, least = gain.clone(), error
                yield found, error
            else:
                # What is fitted to all values at once, as a first guess, makes long steps go wrong.
                rate *= _SLOWER
                gain, optimizer = self._start(best, rate)

    def _controls(self, gain: Tensor) -> Samples:
        value = quantize(_times(self.samples.value, gain), Steps())
        return replace(self.samples, value=value, control=True, made_for=self.made_for)

    @staticmethod
    @torch.inference_mode(False)
    def _start(gain: Tensor, rate: float) -> tuple[Tensor, torch.optim.Optimizer]:
        gain = gain.clone()
        return gain, torch.optim.Adam([gain], rate)

    @torch.inference_mode(False)
    @torch.no_grad()
    def _advance(self, gain: Tensor, optimizer: torch.optim.Optimizer) -> None:
        """A step of log-gains against the measured values, which stay in [0, 1]."""
        base = self.samples.value.clone()
        value = _times(base, gain)
        # Of the log-gain, from that of the value.
        gain.grad = self._gradient(value) * (value + LOG_FLOOR)
        optimizer.step()
        gain.copy_(log_gain(_times(base, gain), base))

    def _gradient(self, value: Tensor) -> Tensor:
        """(N, 3) of the squared error by values."""
        network = self.reconstructor.network
        halo, multiple = getattr(network, "halo", 96), getattr(network, "multiple", 16)
        size = self.samples.height, self.samples.width
        total = torch.zeros_like(value)
        with torch.enable_grad(), evaluating(network):
            for window in tile_windows(Window(0, size[0], 0, size[1]), _TILE, multiple):
                leaf = value.clone().requires_grad_()
                samples = replace(self.samples, value=leaf)
                around = window.grown(halo, size, multiple)
                inputs = self.reconstructor.window_reader(self.srgb, samples)(around)
                like = next(network.parameters(), inputs)
                made = network(inputs[None].to(like, memory_format=torch.channels_last))[0]
                error = window.within(around).of(made).to(value) - window.of(self.raw)
                if self.counts is not None:
                    error = error * window.of(self.counts).to(error)
                total += torch.autograd.grad(error.square().sum(), leaf)[0]
        return total


def _times(base: Tensor, gain: Tensor) -> Tensor:
    """Values in [0, 1] of log-gains against the measured ones."""
    return ((base + LOG_FLOOR) * gain.exp() - LOG_FLOOR).clamp(0, 1)
