"""A request to stop, heeded between two steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

__all__ = ["Interruption"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interruption:
    """While entered, SIGTERM and SIGINT are noted, not obeyed; a second SIGINT is obeyed.

    Outside the main thread, where Python allows no handlers, it notes nothing.

    Attributes:
        signal: number of the first that came, or 0.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = self.signal or number
