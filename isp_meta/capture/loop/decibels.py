"""What is told of how far the trying has come."""

from __future__ import annotations

import math

__all__ = ["won"]


def won(start: float, less: float) -> str:
    """Decibels in parentheses that a squared error has fallen by; "" where it has not."""
    return f" ({10 * math.log10(start / max(less, 1e-20)):+.1f} dB)" if less < start else ""
