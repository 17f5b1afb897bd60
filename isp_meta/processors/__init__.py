"""How a process computes: as many threads as it may run, which wait without keeping others out.

:mod:`isp_meta.processors.workers`, which needs PyTorch, is not loaded with it.
"""

from .environment import available, keep_freed_memory, prepare

__all__ = ["available", "keep_freed_memory", "prepare"]
