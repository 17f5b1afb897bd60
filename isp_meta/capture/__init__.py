"""From a raw file to a picture that carries it."""

from .embed import DEFAULT_EFFORT, Carrier, Embedded, default_sampler, embed
from .loop import MOST_EFFORT, ClosedLoopSampler, close_loop
from .rate import Rate

__all__ = [
    "DEFAULT_EFFORT",
    "MOST_EFFORT",
    "Carrier",
    "ClosedLoopSampler",
    "Embedded",
    "Rate",
    "close_loop",
    "default_sampler",
    "embed",
]
