"""Stages one after the other, and what runs, times and stores them."""

from .blame import blaming
from .pipeline import Pipeline
from .plugins import installed
from .stopwatch import StageTime, Stopwatch

__all__ = ["Pipeline", "StageTime", "Stopwatch", "blaming", "installed"]
