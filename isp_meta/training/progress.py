"""A training as one line on the terminal: step, losses, figures, time left."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

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
        self.console = console
        self.progress = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(bar_width=20),
            TimeRemainingColumn(),
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

    def __call__(self, record: Record) -> None:
        """Shows the newest of every figure."""
        self.shown.update(record)
        if self.console.is_terminal:
            text, step = _figures(self.shown), int(record["step"])
            self.progress.update(self.task, completed=step, description=text)
        else:
            self.console.print(f"step {int(record['step'])}  {_figures(record)}", soft_wrap=True)


def _figures(record: Record) -> str:
    return "  ".join(
        f"{name} {record[name]:.2f} dB" if name.startswith("psnr") else f"{name} {record[name]:.4g}"
        for name in _SHOWN
        if name in record
    )
