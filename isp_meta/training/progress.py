"""A training as one line on the terminal: step, losses, figures, time left."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from .log import Record

__all__ = ["TerminalProgress"]

_SHOWN = ("loss", "reconstruction", "superpixel", "meta", "psnr", "psnr_tuned")


class TerminalProgress:
    """Shows records as they come; where the output is no terminal, one line each.

    Args:
        steps: of the training, in all.
        console: to write to.
    """

    def __init__(self, steps: int, console: Console) -> None:
        self.console, self.steps = console, steps
        self.first: tuple[int, float] | None = None
        self.progress = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(bar_width=20),
            TextColumn("{task.description}"),
            console=console,
            disable=not console.is_terminal,
        )
        self.task = self.progress.add_task("", total=steps)
        self.shown: dict[str, float] = {}

    def __enter__(self) -> TerminalProgress:
        self.progress.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.progress.stop()

    def note(self, text: str) -> None:
        """A line of its own."""
        self.console.print(text, soft_wrap=True)

    def __call__(self, record: Record) -> None:
        """Shows the newest of every figure, and the time left at the pace since the first one."""
        self.shown.update(record)
        step, left = int(record["step"]), self._left(record)
        if self.console.is_terminal:
            text = "  ".join([*left, _figures(self.shown)])
            self.progress.update(self.task, completed=step, description=text)
        else:
            text = "  ".join([f"step {step} of {self.steps}", _figures(record), *left])
            self.console.print(text, soft_wrap=True)

    def _left(self, record: Record) -> list[str]:
        """Text of the time left, once two steps of this run have said how long one takes."""
        step, seconds = int(record["step"]), record.get("seconds", 0.0)
        if self.first is None:
            self.first = step, seconds
        steps = step - self.first[0]
        if steps < 1 or step >= self.steps:
            return []
        minutes = round((seconds - self.first[1]) / steps * (self.steps - step) / 60)
        return [f"{minutes // 60}:{minutes % 60:02} h left"]


def _figures(record: Record) -> str:
    return "  ".join(
        f"{name} {record[name]:.2f} dB" if name.startswith("psnr") else f"{name} {record[name]:.4g}"
        for name in _SHOWN
        if name in record
    )
