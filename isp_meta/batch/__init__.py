"""Whole trees of files: embedded, recovered or verified by many processes or machines.

    tree of files ─▶ tasks ─▶ workers: read ─ work: bytes to bytes ─ write ─▶ rows ─▶ manifest

A run that is stopped, or killed, goes on where it was; see docs/batch.md.
"""

from .jobs import Embed, Job, Recover, Verify
from .manifest import Row
from .run import Engine, Summary, run

__all__ = ["Embed", "Engine", "Job", "Recover", "Row", "Summary", "Verify", "run"]
