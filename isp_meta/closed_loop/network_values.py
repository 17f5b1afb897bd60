"""The values with which a network comes nearest to the truth, in place of the measured ones.

values ─▶ planes ─▶ inputs ─▶ network, frozen ─▶ raw ─▶ squared error
   ▲                                                        │
   └─────────────── Adam, in log-gains ◀── gradient ────────┘
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from ..codec import Steps, quantize
from ..frame import Frame, Samples
from ..networks.tiles import Window, evaluating, tile_windows
from ..reconstruct import TrainableReconstructor
from ..reconstruct.first_guess import LOG_FLOOR, log_gain

__all__ = ["ControlValues"]

# Steps of Adam for each of effort, how many between two looks at the picture, and their size.
_STEPS, _LOOK, _RATE = 10, 5, 0.02
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

    @property
    def measured(self) -> Samples:
        """The measured ones, as a reader of the default steps will see them."""
        return replace(self.samples, value=quantize(self.samples.value.clamp(0, 1), Steps()))

    def better(self, effort: int) -> Iterator[Samples]:
        """Control values in the default steps, nearer and nearer to the best ones."""
        # Leaves must be no tensors of inference mode, in which whoever asks may be.
        with torch.inference_mode(False):
            base = self.samples.value.clone()
            gain = torch.zeros_like(base)
        optimizer = torch.optim.Adam([gain], _RATE)
        looks = _STEPS * effort // _LOOK
        for look in range(looks):
            optimizer.param_groups[0]["lr"] = _RATE * (1 - look / looks)
            for _ in range(_LOOK):
                value = _times(base, gain)
                # Of the log-gain, from that of the value.
                gain.grad = self._gradient(value) * (value + LOG_FLOOR)
                optimizer.step()
                gain.copy_(log_gain(_times(base, gain), base))
            value = quantize(_times(base, gain), Steps())
            yield replace(self.samples, value=value, control=True, made_for=self.made_for)

    def _gradient(self, value: Tensor) -> Tensor:
        """(N, 3) of the squared error by values."""
        network = self.reconstructor.network
        halo, multiple = getattr(network, "halo", 96), getattr(network, "multiple", 16)
        size = self.samples.height, self.samples.width
        total = torch.zeros_like(value)
        with torch.inference_mode(False), torch.enable_grad(), evaluating(network):
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
