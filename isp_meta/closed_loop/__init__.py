"""Capture tries what recovery will do: the decoder's model, and the values that serve it best."""

from .sampler import MOST_EFFORT, ClosedLoopSampler, close_loop

__all__ = ["MOST_EFFORT", "ClosedLoopSampler", "close_loop"]
