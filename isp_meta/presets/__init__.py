"""Whole cameras, ready to use: functions that make a Pipeline from ``codes`` to ``srgb``."""

from .fixed import camera, karaimer_brown, local_tone, minimal
from .random_cameras import random

__all__ = ["camera", "karaimer_brown", "local_tone", "minimal", "random"]
