"""``isp-meta train``: a sampler and a reconstructor learn from a training set."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from .console import errors, progress, say

if TYPE_CHECKING:
    import torch

    from ..training import TrainingConfig

__all__ = ["command"]


def command(
    config: Annotated[
        Path,
        typer.Argument(metavar="CONFIG", help="What to train and how, a .toml.", readable=False),
    ],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from last.pt in the output folder.")
    ] = False,
    data: Annotated[
        str | None, typer.Option(metavar="SET", help="Training set, in place of the config's.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", help="Folder, in place of the config's.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="In all, in place of the config's.")
    ] = None,
) -> None:
    """Train a sampler and a reconstructor as CONFIG says.

    \b
    Examples:
      isp-meta train configs/fast.toml --data set -o run
      isp-meta train configs/fast.toml --data set -o run --resume
    """
    # Training loads what no other command needs.
    from ..training import Interrupted, TrainingConfig
    from ..training.distributed import processes, rank

    with errors(config):
        plan = _changed(TrainingConfig.from_toml(config), data, output, steps)
        with processes() as device:
            try:
                _train(plan, device, resume)
            except Interrupted as interrupted:
                if rank() == 0:
                    say(f"{interrupted.path}: {interrupted}; go on with --resume")
                raise typer.Exit(128 + interrupted.signal) from None


def _changed(
    plan: TrainingConfig, data: str | None, output: str | None, steps: int | None
) -> TrainingConfig:
    run = plan.run
    if steps is not None:
        run = dataclasses.replace(run, steps=steps, epochs=None)
    if output is not None:
        run = dataclasses.replace(run, output=output)
    set_ = plan.data if data is None else dataclasses.replace(plan.data, folder=data)
    return dataclasses.replace(plan, run=run, data=set_)


def _train(plan: TrainingConfig, device: torch.device, resume: bool) -> None:
    from ..training import Trainer
    from ..training.distributed import rank
    from ..training.progress import TerminalProgress
    from ..training.systems import build, crops

    start = time.perf_counter()
    with progress(plan.data.folder) as step:
        train, val = crops(plan, step)
    trainer = Trainer(*build(plan), plan, device)
    shown = TerminalProgress(plan.run.total_steps(len(train)), Console(stderr=True))
    if rank() != 0:
        trainer.fit(train, val, resume=resume)
        return
    with shown:
        figures = trainer.fit(train, val, resume=resume, observers=[shown], note=shown.note)
    text = ", ".join(f"{name} {value:.2f} dB" for name, value in figures.items())
    say(f"{plan.run.output}: step {trainer.step}, {text}, {time.perf_counter() - start:.0f} s")
