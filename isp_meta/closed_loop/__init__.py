"""Capture tries what recovery will do: the decoder's model, and the values that serve it best."""

from .sampler import ClosedLoopSampler

__all__ = ["ClosedLoopSampler"]
