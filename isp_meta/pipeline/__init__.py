"""Stages one after the other, and what runs, times and stores them."""

from .blame import blaming
from .per_picture import PerPicture, stacked
from .pipeline import Pipeline
from .plugins import installed
from .stopwatch import StageTime, Stopwatch

__all__ = ["PerPicture", "Pipeline", "StageTime", "Stopwatch", "blaming", "installed", "stacked"]
