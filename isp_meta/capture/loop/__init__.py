"""Capture tries what recovery will do: the decoder's model, and the values that serve it best."""

from .fit import model_bytes
from .sampler import MOST_EFFORT, ClosedLoopSampler, close_loop

__all__ = ["MOST_EFFORT", "ClosedLoopSampler", "close_loop", "model_bytes"]
